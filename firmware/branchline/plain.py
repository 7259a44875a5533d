"""Lets the package run where MicroPython emits no machine code, such as 64-bit ARM and RISC-V.

The compiler refuses `@micropython.native` and `@micropython.viper` there. So the package's
sources are read through a file system that blanks these lines (`make compile` does it for .mpy
files), and what they decorate becomes bytecode, which computes the same: a viper function's
pointer arguments are buffers whose items have the width that their annotation says (ptr8: octets,
ptr32: an array of "I"), and for the casts in its body there are stand-ins here. The packet path
is slower then, and allocates.
"""

import builtins
import io
import os
import re
from array import array

import uctypes
import vfs

_FOLDER = "/plain"
_DECORATOR = re.compile("\n *@micropython\\.(native|viper)\n")


def _ptr8(buffer):
    """The buffer's octets."""
    if isinstance(buffer, array):
        return uctypes.bytearray_at(uctypes.addressof(buffer), 4 * len(buffer))
    return buffer


def _ptr32(buffer):
    """The octets of a buffer as 32-bit words, in the machine's order."""
    words = (uctypes.ARRAY | 0, uctypes.UINT32 | len(buffer) >> 2)
    return uctypes.struct(uctypes.addressof(buffer), words)


builtins.ptr8 = _ptr8
builtins.ptr32 = _ptr32


class _Sources:
    """A read-only file system: the sources below a folder, without the decorators."""

    def __init__(self, folder):
        self._folder = folder

    def mount(self, readonly, mkfs):
        pass

    def stat(self, path):
        return os.stat(self._folder + path)

    def open(self, path, mode):
        with open(self._folder + path) as source:
            # Line numbers stay as they are.
            return io.BytesIO(_DECORATOR.sub("\n\n", source.read()).encode())


def mount(folder):
    """Makes the sources below folder importable, bare, from the folder that is returned."""
    try:
        vfs.mount(_Sources(folder), _FOLDER)
    except OSError:
        pass  # the package is imported once more, and the file system is still there
    return _FOLDER
