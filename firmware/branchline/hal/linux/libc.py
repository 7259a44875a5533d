"""Functions of C libraries, through MicroPython's ffi (CPython: the stand-in over ctypes).

Types are the letters of MicroPython's ffi: v void, i int, I unsigned, l long, L unsigned long and
size_t, q and Q 64 bits, s a string, p and P a pointer. A pointer argument is a buffer (bytes,
bytearray, memoryview), an address, or None; nothing checks what the C function does with it.
"""

import os
import struct

import ffi
from uctypes import addressof  # noqa: F401  (part of this module's interface)

from branchline.wire.errors import Unsupported

WORD = struct.calcsize("P")  # octets in a pointer, in a long and in a size_t


class Library:
    """A shared library by its file name, such as "libc.so.6"; None is the process itself, which
    always includes libc. Raises Unsupported where it is missing."""

    def __init__(self, name):
        self._name = name
        self._made = {}
        try:
            self._lib = ffi.open(name)
        except OSError:
            raise Unsupported("no library " + str(name)) from None

    def func(self, result, name, arguments):
        """The C function `name`, of the given types, made once; raises Unsupported where it is
        missing."""
        key = result + name + arguments
        if key not in self._made:
            try:
                self._made[key] = self._lib.func(result, name, arguments)
            except OSError:
                raise Unsupported("no function " + name + " in " + str(self._name)) from None
        return self._made[key]


def errno():
    """The error number of this thread's last failed system call."""
    return os.errno()


def check(result):
    """Returns what a system call returned; raises OSError(errno) if that is negative."""
    if result < 0:
        raise OSError(os.errno())
    return result
