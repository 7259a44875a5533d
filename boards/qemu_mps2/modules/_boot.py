"""Mounts the flash, which is the board's PSRAM, as LittleFS at /; an empty one is formatted."""

import sys

import uctypes
import vfs

_ADDRESS = 0x21000000
_SIZE = 8 << 20
_BLOCK = 4096


class Flash:
    """A block device (MicroPython's vfs.AbstractBlockDev) in memory."""

    def __init__(self):
        self._octets = memoryview(uctypes.bytearray_at(_ADDRESS, _SIZE))

    def readblocks(self, block, buf, offset=0):
        """Reads into buf from an offset in a block on."""
        start = block * _BLOCK + offset
        buf[:] = self._octets[start : start + len(buf)]

    def writeblocks(self, block, buf, offset=0):
        """Writes buf."""
        start = block * _BLOCK + offset
        self._octets[start : start + len(buf)] = buf

    def ioctl(self, request, argument):
        """The number of blocks (4), their size (5), or an erased block (6)."""
        return {4: _SIZE // _BLOCK, 5: _BLOCK}.get(request, 0)


def mount():
    """Mounts it."""
    flash = Flash()
    try:
        vfs.mount(flash, "/")
    except OSError:
        vfs.VfsLfs2.mkfs(flash)
        vfs.mount(flash, "/")
    sys.path[:] = [".frozen", "", "/lib"]


mount()
