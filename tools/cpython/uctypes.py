"""CPython's stand-in for the part of MicroPython's `uctypes` that the firmware uses."""

import ctypes


def addressof(buffer):
    """The address of a buffer's first octet; the caller keeps the buffer alive."""
    if isinstance(buffer, bytes):
        return ctypes.cast(ctypes.c_char_p(buffer), ctypes.c_void_p).value
    view = memoryview(buffer).cast("B")
    return ctypes.addressof((ctypes.c_char * len(view)).from_buffer(view))
