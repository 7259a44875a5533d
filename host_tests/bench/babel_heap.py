"""Babel's share of a small heap, by host_tests/bench/babel_memory.py."""

import json
import subprocess
from pathlib import Path

from host_tests.lab import LabError

_ROOT = Path(__file__).resolve().parents[2]
_MICROPYTHON = _ROOT / ".toolchain" / "bin" / "micropython"
_SCRIPT = _ROOT / "host_tests" / "bench" / "babel_memory.py"
PREFIXES, NEIGHBOURS = 200, 4
_ROOMY, _LOW, _STEP = 1024, 32, 2  # KB


def measure(note) -> dict[str, dict]:
    """By how many neighbours each prefix comes from: octets of code, agent and tables, and
    the least heap in KB that holds them and the interpreter's own."""
    note("Babel's share of the heap")
    result = {}
    for copies in (1, NEIGHBOURS):
        figures = share(copies, f"{_ROOMY}k")
        if not figures or figures["selected"] != PREFIXES:
            raise LabError(f"Babel does not hold {PREFIXES} prefixes in {_ROOMY} KB: {figures}")
        low, high = _LOW, _ROOMY
        while high - low > _STEP:
            middle = (low + high) // 2 // _STEP * _STEP
            found = share(copies, f"{middle}k")
            if found and found["selected"] == PREFIXES:
                high = middle
            else:
                low = middle
        result[str(copies)] = {**figures, "least_kb": high}
    return result


def share(copies: int, heap: str) -> dict[str, int] | None:
    """The figures in a heap of that size, such as "96k"; None if it is too small."""
    done = subprocess.run(
        [_MICROPYTHON, "-X", f"heapsize={heap}", _SCRIPT,
         *map(str, (PREFIXES, NEIGHBOURS, copies))],
        env={"MICROPYPATH": f"{_ROOT / 'build' / 'mpy'}:.frozen"},
        capture_output=True, text=True, timeout=60,
    )
    return None if done.returncode else json.loads(done.stdout)
