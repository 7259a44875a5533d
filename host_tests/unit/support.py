"""What the unit tests share; runs on CPython and on MicroPython."""

import gc
import sys

import micropython

import branchline

# Whether the firmware has machine code: without it, frames that are too large for the C stack are
# allocated. CPython's stand-in forbids nothing, so there the answer does not matter.
MACHINE_CODE = branchline.__path__ != "/plain"
# Whether addresses are small integers, which are not allocated.
SMALL_ADDRESSES = sys.maxsize > 1 << 32

_MAX_LEFT = 256  # octets: what only seems to be in use may not add up to a packet
_held = None


def heap_lock(strict):
    """Until heap_unlock nothing may be allocated, or, unless `strict`, be left allocated."""
    global _held
    if strict:
        micropython.heap_lock()
    else:
        gc.collect()
        _held = gc.mem_alloc()


def heap_unlock():
    """Ends what heap_lock began; call it even if the code between has raised."""
    global _held
    if _held is None:
        micropython.heap_unlock()
    else:
        gc.collect()
        left = gc.mem_alloc() - _held
        _held = None
        assert left < _MAX_LEFT, left


def raises(expected, function, *args, **kwargs):
    """Calls function and returns the exception of class `expected` that it must raise."""
    try:
        function(*args, **kwargs)
    except expected as error:
        return error
    raise AssertionError("no " + expected.__name__ + " was raised")


def unhex(text):
    """Octets from hexadecimal text; white space does not count."""
    return bytes.fromhex("".join(text.split()))
