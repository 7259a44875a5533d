"""Runs on MicroPython: `micropython flash_image.py IMAGE SIZE BLOCK FOLDER` writes a folder as an
image of LittleFS, as a board's flash has it."""

import os
import sys

import vfs


class _Memory:
    """A block device in memory."""

    def __init__(self, size, block):
        self.octets = bytearray(size)
        self._block = block

    def readblocks(self, number, buf, offset=0):
        start = number * self._block + offset
        buf[:] = memoryview(self.octets)[start : start + len(buf)]

    def writeblocks(self, number, buf, offset=0):
        start = number * self._block + offset
        self.octets[start : start + len(buf)] = buf

    def ioctl(self, request, argument):
        return {4: len(self.octets) // self._block, 5: self._block}.get(request, 0)


def _copy(files, source, target):
    """A folder with all that is in it."""
    for name, kind, *_ in os.ilistdir(source):
        if kind == 0x4000:
            files.mkdir(target + name)
            _copy(files, source + "/" + name, target + name + "/")
        else:
            with open(source + "/" + name, "rb") as file:
                octets = file.read()
            with files.open(target + name, "wb") as copy:
                copy.write(octets)


def main(image, size, block, folder):
    """Writes the image."""
    memory = _Memory(int(size), int(block))
    vfs.VfsLfs2.mkfs(memory)
    _copy(vfs.VfsLfs2(memory), folder, "/")
    with open(image, "wb") as file:
        file.write(memory.octets)


main(*sys.argv[1:])
