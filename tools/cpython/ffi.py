"""CPython's stand-in for MicroPython's `ffi` (and its os.errno), over ctypes."""

import ctypes
import os

from uctypes import addressof

_TYPES = {
    "v": None,
    "i": ctypes.c_int,
    "I": ctypes.c_uint,
    "l": ctypes.c_long,
    "L": ctypes.c_ulong,
    "q": ctypes.c_longlong,
    "Q": ctypes.c_ulonglong,
    "s": ctypes.c_char_p,
    "p": ctypes.c_void_p,
    "P": ctypes.c_void_p,
}

os.errno = ctypes.get_errno


def _convert(value):
    """The argument as ctypes takes it; a read-only view goes as a copy."""
    if value is None or isinstance(value, (int, bytes)):
        return value
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, memoryview) and value.readonly:
        return bytes(value)
    return addressof(value)


class open:
    """A shared library, or the process itself (None); OSError where it is missing."""

    def __init__(self, name):
        self._lib = ctypes.CDLL(name, use_errno=True)

    def func(self, result, name, arguments):
        """The function of that name; OSError where it is missing."""
        try:
            function = self._lib[name]
        except AttributeError as error:
            raise OSError(str(error)) from None
        function.restype = _TYPES[result]
        function.argtypes = [_TYPES[letter] for letter in arguments]

        def call(*values):
            returned = function(*map(_convert, values))
            return 0 if returned is None and result in "pP" else returned

        return call
