"""CPython's stand-in for MicroPython's `micropython` module, so that the firmware imports there.

`viper` functions take their pointer arguments as memoryviews of the annotated width, which is
what the pointer means on a little-endian host.
"""

import builtins
import functools


def const(value):
    """Returns value; MicroPython's compiler folds it in."""
    return value


def native(function):
    """No change: an emitter choice of MicroPython's."""
    return function


def heap_lock():
    """Does nothing: CPython cannot forbid allocation."""


def heap_unlock():
    """Does nothing, as heap_lock."""


class _Pointer:
    """ptr8, ptr16 and ptr32: a view of a buffer as unsigned integers of that width."""

    def __init__(self, code):
        self._code = code

    def __call__(self, buffer):
        view = memoryview(buffer).cast("B")
        size = {"B": 1, "H": 2, "I": 4}[self._code]
        return view[: len(view) // size * size].cast(self._code)


builtins.ptr8 = _Pointer("B")
builtins.ptr16 = _Pointer("H")
builtins.ptr32 = _Pointer("I")


def viper(function):
    """Wraps function so that arguments annotated ptr8/16/32 arrive as such views."""
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    casts = [function.__annotations__.get(name) for name in names]

    @functools.wraps(function)
    def call(*args):
        return function(
            *(cast(arg) if isinstance(cast, _Pointer) else arg for cast, arg in zip(casts, args))
        )

    return call
