"""Tables of fleet.toml read key by key; every mistake is noted, none ends the reading."""

import ipaddress
from collections.abc import Iterator
from pathlib import Path as File

from branchctl.positions import Path, Positions, name_of
from branchctl.problems import Problem, meant

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_KINDS = {str: "text in quotes", int: "a whole number", bool: "true or false", dict: "a table",
          list: "a list in [ ]"}
REQUIRED = object()


class Report:
    """Where the mistakes in a file are gathered."""

    def __init__(self, file: File, text: str):
        self.problems: list[Problem] = []
        self._file = str(file)
        self._text = text
        self._positions: Positions | None = None

    def add(self, path: Path, what: str, fix: str) -> None:
        """Note that what stands at `path` is wrong."""
        self.problems.append(self.problem(path, what, fix))

    def problem(self, path: Path, what: str, fix: str) -> Problem:
        """The same, not noted."""
        return Problem(self._file, self.line(path), self.name(path), what, fix)

    def line(self, path: Path) -> int:
        """The line on which `path` stands."""
        return self._where().line(path)

    def name(self, path: Path) -> str:
        """The name of `path`, such as "hubs.paris.prefixes[0]"."""
        return name_of(self._where().shown(path))

    def _where(self) -> Positions:
        if self._positions is None:
            self._positions = Positions(self._text)
        return self._positions


class Section:
    """A table of the file."""

    def __init__(self, report: Report, value: dict, path: Path = ()):
        self.report = report
        self.path = path
        self._value = value

    def at(self, *keys: str | int) -> Path:
        """The path of what stands in this table."""
        return (*self.path, *keys)

    def wrong(self, key: str, what: str, fix: str) -> None:
        """Note a mistake in one of the keys."""
        self.report.add(self.at(key), what, fix)

    def allow(self, *keys: str) -> None:
        """Note every other key as unknown."""
        for key in self._value:
            if key not in keys:
                self.wrong(key, "unknown key", meant(key, keys))

    def is_table(self, key: str) -> bool:
        return isinstance(self._value.get(key), dict)

    def get(self, key: str, kind: type, default=REQUIRED, example: str = ""):
        """The value of a key; the default, or None, where it is missing or of a wrong kind."""
        if key not in self._value:
            if default is REQUIRED:
                self.report.add(self.at(key), "is missing", f"add {key} = {example}")
                return None
            return default
        value = self._value[key]
        if type(value) is not kind:
            fix = f"write {key} = {example}" if example else f"write {_KINDS[kind]}"
            self.wrong(key, f"must be {_KINDS[kind]}", fix)
            return None if default is REQUIRED else default
        return value

    def number(self, key: str, default: int, low: int, high: int) -> int:
        """A whole number within bounds."""
        value = self.get(key, int, default)
        if not low <= value <= high:
            self.wrong(key, f"{value} is out of range", f"write {low} to {high}")
            return default
        return value

    def choice(self, key: str, known: tuple[str, ...], default=REQUIRED) -> str | None:
        """One of some words."""
        value = self.get(key, str, default, f'"{known[0]}"')
        if value is None or value in known:
            return value
        self.wrong(key, f'"{value}" is not known', meant(value, known))
        return None

    def texts(self, key: str, example: str, default=()) -> list[tuple[str, Path]]:
        """A list of texts (a single one may stand without [ ]), each with its path."""
        if isinstance(self._value.get(key), str):
            return [(self._value[key], self.at(key))]
        found = []
        for number, value in enumerate(self.get(key, list, default, example) or ()):
            if isinstance(value, str):
                found.append((value, self.at(key, number)))
            else:
                self.report.add(self.at(key, number), "must be text in quotes",
                                f"write {key} = {example}")
        return found

    def network(self, key: str, example: str, default=REQUIRED) -> Network | None:
        """A prefix."""
        text = self.get(key, str, default, f'"{example}"')
        return None if text is None else parse_network(self.report, self.at(key), text)

    def networks(self, key: str, example: str) -> dict[Path, Network]:
        """A list of prefixes by their paths."""
        parsed = {path: parse_network(self.report, path, text)
                  for text, path in self.texts(key, example)}
        return {path: network for path, network in parsed.items() if network is not None}

    def section(self, key: str) -> "Section":
        """A table within this one; an empty one where it is missing."""
        return Section(self.report, self.get(key, dict, {}), self.at(key))

    def sections(self, key: str) -> Iterator[tuple[str, "Section"]]:
        """The tables within a table, by their names."""
        outer = self.section(key)
        for name in outer._value:
            if isinstance(outer._value[name], dict):
                yield name, outer.section(name)
            else:
                outer.wrong(name, "must be a table", f"write {name} = {{ ... }}")

    def items(self, key: str) -> Iterator["Section"]:
        """The tables of a list of tables."""
        for number, value in enumerate(self.get(key, list, [], "[{ ... }]")):
            if isinstance(value, dict):
                yield Section(self.report, value, self.at(key, number))
            else:
                self.report.add(self.at(key, number), "must be a table", "write { ... }")

    def names(self) -> list[str]:
        return list(self._value)


def parse_network(report: Report, path: Path, text: str) -> Network | None:
    """A prefix that hosts can be in."""
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        report.add(path, f'"{text}" is not a prefix', _network_fix(text))
        return None
    if not network.prefixlen:
        report.add(path, f"{network} is everything",
                   "name the prefixes that are there; default routes are no matter of the fleet")
    elif network.is_loopback or network.is_link_local or network.is_multicast:
        report.add(path, f"{network} is never routed", "choose a private or public prefix")
    else:
        return network
    return None


def _network_fix(text: str) -> str:
    try:
        return f'write "{ipaddress.ip_network(text, strict=False)}"'
    except ValueError:
        return 'write an address and a length, such as "192.168.11.0/24"'


def parse_address(report: Report, path: Path, text: str) -> ipaddress.IPv4Address | None:
    """An IPv4 address."""
    try:
        return ipaddress.IPv4Address(text)
    except ValueError:
        report.add(path, f'"{text}" is not an IPv4 address', 'write it as in "10.100.0.11"')
        return None
