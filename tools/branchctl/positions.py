"""On which line of a TOML file a key stands, which tomllib does not tell."""

import re
import tomllib

Path = tuple[str | int, ...]
_DEPTH = 3  # of arrays within arrays that an unfinished value may stand in
_AT = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


class Positions:
    """The line of every key and array element of a document that is valid TOML.

    A key stands on the line by which the document, cut off after it, first holds the key. A cut
    within an array is mended by closing it, so that elements have lines of their own.
    """

    def __init__(self, text: str):
        self._lines: dict[Path, int] = {}
        lines = text.splitlines()
        for number in range(1, len(lines) + 1):
            document = _parse("\n".join(lines[:number]))
            if document is not None:
                self._note(document, (), number)

    def shown(self, path: Path) -> Path:
        """The path less a final index where a single value stands for a list."""
        single = path and isinstance(path[-1], int) and path not in self._lines
        return path[:-1] if single else path

    def line(self, path: Path) -> int:
        """The line of a key, or of the nearest one around it that is there."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)

    def _note(self, value, path: Path, number: int) -> None:
        self._lines.setdefault(path, number)
        if isinstance(value, dict):
            children = value.items()
        elif isinstance(value, list):
            children = enumerate(value)
        else:
            return
        for key, child in children:
            self._note(child, (*path, key), number)


def _parse(text: str) -> dict | None:
    for depth in range(_DEPTH + 1):
        try:
            return tomllib.loads(text + "\n" + "]" * depth)
        except tomllib.TOMLDecodeError:
            continue
    return None


def name_of(path: Path) -> str:
    """Such as "policy[2].from"."""
    name = ""
    for part in path:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else part
    return name


def split_error(error: tomllib.TOMLDecodeError, text: str) -> tuple[int, str]:
    """The line and the reason of a syntax error."""
    reason = str(error)
    found = _AT.search(reason)
    if found is None:
        return 1, reason
    line = int(found[1]) if found[1] else max(1, len(text.splitlines()))
    return line, reason[:found.start()]
