"""Runs the unit tests under MicroPython: run_micropython.py [--plain] [test_name...]

--plain: without machine code, as on the processors that branchline/plain.py is for.
Imports every test_*.py of this folder and calls its test functions in the order of their names.
A file that cannot be imported, or has no test, counts as a failure.
"""

import gc
import os
import sys

_FOLDER = __file__.rsplit("/", 1)[0]
_PLAIN = "--plain"


def _test_files():
    return sorted(
        name[:-3]
        for name in os.listdir(_FOLDER)
        if name.startswith("test_") and name.endswith(".py")
    )


def _without_machine_code():
    import branchline
    from branchline import plain

    branchline.__path__ = plain.mount(branchline.__path__)


def _forget_modules(but):
    """Gives each file fresh modules, so that none leans on another's, and the heap back."""
    for name in list(sys.modules):
        if name not in but:
            del sys.modules[name]
    gc.collect()


def _succeeds(where, function, *args):
    try:
        function(*args)
        return True
    except Exception as error:
        print("FAILED", where)
        sys.print_exception(error)
        return False


def _run_file(name):
    """Runs one file; returns (passed, failed)."""
    if not _succeeds(name, __import__, name):
        return 0, 1
    module = sys.modules[name]
    tests = sorted(attribute for attribute in dir(module) if attribute.startswith("test_"))
    if not tests:
        print("FAILED", name, "has no test")
        return 0, 1
    passed = sum(_succeeds(name + "." + test, getattr(module, test)) for test in tests)
    return passed, len(tests) - passed


def main(names):
    """Runs the named files, or all; returns the exit code."""
    if _PLAIN in names:
        names.remove(_PLAIN)
        _without_machine_code()
    ours = frozenset(sys.modules)
    passed = failed = 0
    for name in names or _test_files():
        good, bad = _run_file(name)
        _forget_modules(ours)
        print("{:32} {:4} passed {:4} failed".format(name, good, bad))
        passed += good
        failed += bad
    print("{} passed, {} failed".format(passed, failed))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
