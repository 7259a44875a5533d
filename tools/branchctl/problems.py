"""What is wrong in the user's input or files, and what to do about it."""

import dataclasses
import difflib
from collections.abc import Iterable

DONE, FAILED, WRONG_INPUT, DUE = range(4)
EXIT_CODES = (
    "Exit codes: 0 done; 1 it could not be done, and the message says why; 2 the command line or "
    "fleet.toml is wrong, and nothing was changed; 3 (`check --online`, `inventory --within`, "
    "`lab up`, `lab status`) done, and something needs attention."
)


class Refusal(Exception):
    """Nothing was changed: what is in the way, and how to get past it."""

    def __init__(self, what: str, fix: str, code: int = FAILED):
        super().__init__(what)
        self.what = what
        self.fix = fix
        self.code = code


@dataclasses.dataclass(frozen=True, order=True)
class Problem:
    """A mistake in a file: its line (from 1), the key, what is wrong and how to mend it."""

    file: str
    line: int
    key: str
    what: str
    fix: str

    def __str__(self) -> str:
        key = f"{self.key}: " if self.key else ""
        return f"{self.file}:{self.line}: {key}{self.what}; {self.fix}"


class Problems(Exception):
    """All the mistakes of a file, in its order."""

    def __init__(self, problems: Iterable[Problem]):
        self.problems = sorted(set(problems))
        super().__init__("\n".join(map(str, self.problems)))


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant."""
    found = difflib.get_close_matches(word.lower(), list(known), 1, 0.6)
    return found[0] if found else None


def meant(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """How to mend an unknown word: the nearest known one, or all of them, or `otherwise`."""
    known = sorted(known)
    found = nearest(word, known)
    if found:
        return f"did you mean {found}?"
    return otherwise or ("known are " + ", ".join(known) if known else "none is known")
