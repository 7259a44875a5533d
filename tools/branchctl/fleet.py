"""fleet.toml read into a Fleet, with every mistake in it found."""

import re
import tomllib
import urllib.parse
from pathlib import Path

from branchctl import consistency
from branchctl.model import (
    BABEL_DAEMONS,
    BABELD,
    BOARDS,
    KINDS,
    Branch,
    Client,
    Endpoint,
    Fleet,
    Hub,
    Lan,
    Rule,
    Service,
    is_label,
)
from branchctl.positions import split_error
from branchctl.problems import WRONG_INPUT, Problem, Problems, Refusal
from branchctl.reader import REQUIRED, Report, Section, parse_address

FILE = "fleet.toml"
_ENDPOINT = '["udp://paris.example.com:1194"]'
_SERVICE = re.compile(r"(tcp|udp)(?:/(\d{1,5})(?:-(\d{1,5}))?)?")
_MAX_PORT = 65535
_MAX_INTERFACE = 15
_HOST = re.compile(r"[A-Za-z0-9.:-]+")


def load(file: Path) -> tuple[Fleet, Report]:
    """The fleet of a file. Raises Problems, or Refusal where the file cannot be read."""
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise Refusal(f"{file} is missing", "branchctl init writes one; --fleet names another",
                      WRONG_INPUT) from None
    except (OSError, UnicodeError) as error:
        raise Refusal(f"{file} cannot be read: {error}", "it must be a readable UTF-8 text",
                      WRONG_INPUT) from None
    try:
        value = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line, reason = split_error(error, text)
        fix = "each name may be described once" if "overwrite" in reason or "twice" in reason \
            else "correct that line, or the one before it"
        raise Problems([Problem(str(file), line, "", f"not TOML: {reason}", fix)]) from None
    report = Report(file, text)
    fleet = _read(Fleet(file), Section(report, value))
    consistency.check(fleet, report)
    if report.problems:
        raise Problems(report.problems)
    return fleet, report


def _read(fleet: Fleet, top: Section) -> Fleet:
    top.allow("network", "virtual", "mesh", "defaults", "routing", "certificates", "hubs",
              "branches", "clients", "groups", "policy")
    fleet.network = _label(top, "network", top.get("network", str, REQUIRED, '"example"'))
    fleet.virtual = _ipv4(top, "virtual", "10.100.0.0/16", REQUIRED)
    fleet.mesh = _ipv4(top, "mesh", "10.8.0.0/24", None)
    defaults = top.section("defaults")
    defaults.allow("board", "lan", "babel")
    routing = top.section("routing")
    routing.allow("hello_ms", "keys")
    fleet.hello_ms = routing.number("hello_ms", 500, 20, 10_000)
    fleet.signed = routing.get("keys", bool, True)
    certificates = top.section("certificates")
    certificates.allow("days", "ca_days")
    fleet.days = certificates.number("days", 730, 1, 3650)
    fleet.ca_days = certificates.number("ca_days", 3650, 30, 18250)
    for name, item in top.sections("hubs"):
        fleet.hubs[name] = _hub(name, item, defaults.choice("babel", BABEL_DAEMONS, BABELD))
    board = defaults.choice("board", BOARDS, "linux")
    interface = _interface(defaults, "lan", defaults.get("lan", str, "eth1"))
    for name, item in top.sections("branches"):
        fleet.branches[name] = _branch(name, item, board, interface)
    for name, item in top.sections("clients"):
        fleet.clients[name] = _client(name, item)
    groups = top.section("groups")
    for name in groups.names():
        _label(groups, name, name)
        fleet.groups[name] = [text for text, _ in groups.texts(name, '["lyon", "nice"]')]
    fleet.rules = [_rule(number, item) for number, item in enumerate(top.items("policy"), 1)]
    return fleet


def _label(item: Section, key: str, name: str | None) -> str:
    if name is not None and not is_label(name):
        fix = "use small letters, digits and hyphens, at most 63, no hyphen at either end"
        suggested = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63]
        item.wrong(key, f'"{name}" is not a DNS label',
                   f"{fix}: {suggested}" if is_label(suggested) else fix)
    return name or ""


def _named(item: Section, name: str) -> None:
    """The name of a member, which is the key of its table."""
    if name in KINDS:
        item.report.add(item.path, f"{name} stands for many in the policy", "choose another name")
    elif not is_label(name):
        outer = Section(item.report, {}, item.path[:-1])
        _label(outer, name, name)


def _ipv4(item: Section, key: str, example: str, default):
    network = item.network(key, example, default)
    if network is not None and network.version != 4:
        item.wrong(key, f"{network} is not IPv4", f'write {key} = "{example}"')
        return None
    return network


def _address(item: Section):
    text = item.get("address", str, None)
    return None if text is None else parse_address(item.report, item.at("address"), text)


def _hub(name: str, item: Section, babel: str | None) -> Hub:
    _named(item, name)
    item.allow("endpoints", "tunnels", "prefixes", "anycast", "address", "babel", "mesh_port")
    endpoints = [_endpoint(item.report, path, text) for text, path in
                 item.texts("endpoints", _ENDPOINT, REQUIRED)]
    return Hub(
        name, item.path, _address(item),
        endpoints=[endpoint for endpoint in endpoints if endpoint],
        tunnels=_ipv4(item, "tunnels", "10.8.1.0/24", REQUIRED),
        prefixes=list(item.networks("prefixes", '["10.1.0.0/16"]').values()),
        anycast=list(item.networks("anycast", '["10.0.0.53/32"]').values()),
        babel=item.choice("babel", BABEL_DAEMONS, babel or BABELD) or BABELD,
        mesh_port=item.number("mesh_port", 1500, 1, _MAX_PORT - 255),
    )


def _endpoint(report: Report, path, text: str) -> Endpoint | None:
    fix = f"write it as in {_ENDPOINT[1:-1]}"
    try:
        parts = urllib.parse.urlsplit(text)
        proto, host, port = parts.scheme, parts.hostname, parts.port
        extra = parts.path or parts.query or parts.fragment or parts.username
    except ValueError:
        proto = host = port = extra = None
    if proto not in ("udp", "tcp") or extra:
        report.add(path, f'"{text}" is not udp://HOST:PORT or tcp://HOST:PORT', fix)
    elif not host or not _HOST.fullmatch(host):
        report.add(path, f'"{text}" names no host', fix)
    elif not port:
        report.add(path, f'"{text}" names no port', fix)
    else:
        return Endpoint(proto, host, port)
    return None


def _branch(name: str, item: Section, board: str | None, interface: str) -> Branch:
    _named(item, name)
    item.allow("board", "lans", "address")
    if item.is_table("lans"):
        lans = _lan_table(item.section("lans"))
    else:
        lans = [Lan(interface, network, key)
                for key, network in item.networks("lans", '["192.168.11.0/24"]').items()]
    return Branch(name, item.path, _address(item),
                  board=item.choice("board", BOARDS, board or "linux") or "linux",
                  lans=lans)


def _lan_table(item: Section) -> list[Lan]:
    lans = []
    for name in item.names():
        _interface(item, name, name)
        lans += [Lan(name, network, key)
                 for key, network in item.networks(name, '"192.168.11.0/24"').items()]
    return lans


def _interface(item: Section, key: str, name: str) -> str:
    if not 0 < len(name) <= _MAX_INTERFACE or re.search(r"[\s/]", name):
        item.wrong(key, f'"{name}" cannot be a network interface',
                   f"its name has 1 to {_MAX_INTERFACE} letters, as `ip link` shows it")
    return name


def _client(name: str, item: Section) -> Client:
    _named(item, name)
    item.allow("address", "hubs")
    return Client(name, item.path, _address(item),
                  hubs=[text for text, _ in item.texts("hubs", '["paris", "dublin"]')])


def _rule(number: int, item: Section) -> Rule:
    item.allow("from", "to", "allow")
    names = {key: [text for text, _ in item.texts(key, '["lyon"]', REQUIRED)]
             for key in ("from", "to")}
    services = [_service(item.report, path, text)
                for text, path in item.texts("allow", '["tcp/443"]', REQUIRED)]
    return Rule(number, item.path, names["from"], names["to"],
                [service for service in services if service])


def _service(report: Report, path, text: str) -> Service | None:
    if text in ("any", "icmp"):
        return Service(text)
    found = _SERVICE.fullmatch(text)
    if not found:
        report.add(path, f'"{text}" is not a service',
                   'write "any", "icmp", "tcp", "udp", "tcp/443" or "udp/5000-5010"')
        return None
    if not found[2]:
        return Service(found[1])
    low = int(found[2])
    high = int(found[3] or low)
    if not 1 <= low <= high <= _MAX_PORT:
        report.add(path, f'"{text}" names no ports', f"ports go from 1 to {_MAX_PORT}")
        return None
    return Service(found[1], low, high)

