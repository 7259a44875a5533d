"""Mounts the flash's first part as LittleFS at /; an empty one is formatted."""

import sys

import flash
import uctypes
import vfs

_BLOCK = 4096


class Device:
    """A block device (MicroPython's vfs.AbstractBlockDev): the flash, which is memory to read."""

    def __init__(self):
        self._octets = memoryview(uctypes.bytearray_at(flash.ADDRESS, flash.SIZE))

    def readblocks(self, block, buf, offset=0):
        """Reads into buf from an offset in a block on."""
        start = block * _BLOCK + offset
        buf[:] = self._octets[start : start + len(buf)]

    def writeblocks(self, block, buf, offset=0):
        """Writes buf."""
        flash.write(block * _BLOCK + offset, buf)

    def ioctl(self, request, argument):
        """The number of blocks (4), their size (5), or an erased block (6)."""
        return {4: flash.SIZE // _BLOCK, 5: _BLOCK}.get(request, 0)


def mount():
    """Mounts it."""
    device = Device()
    try:
        vfs.mount(device, "/")
    except OSError:
        vfs.VfsLfs2.mkfs(device)
        vfs.mount(device, "/")
    sys.path[:] = [".frozen", "", "/lib"]


mount()
