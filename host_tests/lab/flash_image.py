"""Runs on MicroPython: `micropython flash_image.py IMAGE SIZE BLOCK FOLDER` writes a folder as an
image of LittleFS, in /gateway, as a board's flash has it."""

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


def main(image, size, block, folder):
    """Writes the files, not the folders, that the folder holds."""
    memory = _Memory(int(size), int(block))
    vfs.VfsLfs2.mkfs(memory)
    files = vfs.VfsLfs2(memory)
    files.mkdir("/gateway")
    for name, kind, *_ in os.ilistdir(folder):
        if kind == 0x8000:
            with open(folder + "/" + name, "rb") as source:
                data = source.read()
            with files.open("/gateway/" + name, "wb") as copy:
                copy.write(data)
    with open(image, "wb") as file:
        file.write(memory.octets)


main(*sys.argv[1:])
