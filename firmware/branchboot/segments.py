"""Slots in a microcontroller's flash: a segment each, which holds a read-only file system.

Its code runs in place. An update comes over the console, as blocks of the whole image: what the
segment that runs has at the same place is copied from there, and the rest is received.
"""

import hashlib
import io
import os
import sys
from binascii import hexlify

import deflate
import vfs

from branchboot.disk import make_folder
from branchboot.manifest import Manifest
from branchboot.slots import KEYS, NAMES, Slots
from branchboot.update import Update, UpdateError

BLOCK = 4096

_SEGMENT = 2  # operations of vfs.rom_ioctl (extmod/vfs.h)
_PREPARE = 3
_WRITE = 4
_COMPLETE = 5
_SUM = 8  # octets of a block's SHA-256
_ACKNOWLEDGE = b"\x06"


def mount():
    """Mounts the segments that hold a file system as /a and /b; returns the Slots."""
    for number in range(len(NAMES)):
        _mount(number)
    return Slots("")


def _mount(number):
    try:
        vfs.mount(vfs.VfsRom(vfs.rom_ioctl(_SEGMENT, number)), "/" + NAMES[number])
    except OSError:
        pass  # nothing was ever installed there


def _unmount(number):
    try:
        vfs.umount("/" + NAMES[number])
    except OSError:
        pass


def mount_code(folder):
    """Has modules come from a slot's code, which lies in it as a file system of its own; a slot
    without code leaves it to what is frozen."""
    name = folder + "/branchline.romfs"
    try:
        os.stat(name)
    except OSError:
        return
    with open(name, "rb") as image:
        vfs.mount(vfs.VfsRom(memoryview(image)), "/code")
    sys.path.insert(0, "/code")


class SegmentUpdate(Update):
    """An update of this board, driven over its console (branchctl's console_board.py).

    slots: Slots; manifest: the MANIFEST's octets; board: this board's name; size: octets of the
    image. Raises ManifestError and UpdateError."""

    def __init__(self, slots, manifest, board, size):
        super().__init__(slots, Manifest(manifest), board)
        self._size = size
        self._number = NAMES.index(slots.idle())
        self._segment = vfs.rom_ioctl(_SEGMENT, self._number)
        self._other = vfs.rom_ioctl(_SEGMENT, 1 - self._number)
        if size > len(self._segment):
            raise UpdateError(
                "the image has %d octets, and a slot %d" % (size, len(self._segment)))

    def sums(self):
        """The first octets of each block's SHA-256 in the slot that is kept, in hexadecimal."""
        return [
            hexlify(hashlib.sha256(self._other[at : at + BLOCK]).digest()[:_SUM]).decode()
            for at in range(0, self._size, BLOCK)
        ]

    def begin(self):
        """From here on the slot that does not run is none."""
        make_folder(self._disk, "/" + KEYS)
        self._slots.withdraw()
        _unmount(self._number)
        if vfs.rom_ioctl(_PREPARE, self._number, self._size) < 0:
            raise UpdateError("the slot cannot be erased")

    def receive_key(self, name):
        """A key, whose octets come over the console."""
        entry = self._manifest.keys[name]
        self._put("/" + KEYS, name, entry, self._octets(entry[1]))

    def copy(self, blocks):
        """Blocks, by number, that the other slot has at the same place."""
        for block in blocks:
            at = block * BLOCK
            self._write(at, self._other[at : min(at + BLOCK, self._size)])

    def receive_blocks(self, blocks):
        """Blocks, by number, whose octets come over the console one after the other."""
        octets = self._octets(sum([min(BLOCK, self._size - block * BLOCK) for block in blocks]))
        for number, block in zip(blocks, octets):
            self._write(number * BLOCK, block)

    def _write(self, at, octets):
        if vfs.rom_ioctl(_WRITE, self._number, at, octets) < 0:
            raise UpdateError("the slot cannot be written")

    def finish(self):
        """Checks what was written, and has the next start try it."""
        vfs.rom_ioctl(_COMPLETE, self._number)
        _mount(self._number)
        slot = NAMES[self._number]
        present = self._slots.manifest(slot)
        if not present or present.data != self._manifest.data:
            raise UpdateError("after writing, the slot holds something else")
        problem = self._slots.damage(slot)
        if problem:
            raise UpdateError("after writing, " + problem)
        self._slots.stage(slot)
        self._drop_keys()
        return slot

    @staticmethod
    def _octets(count):
        """Yields that many octets of the console, a BLOCK at a time; acknowledges each.

        A block comes compressed (RFC 1950), behind its length in four hexadecimal digits. Ctrl-C
        is never in it, so that it still interrupts: nobody is waited for for ever.
        """
        console = sys.stdin.buffer
        while count:
            size = int(console.read(4), 16)
            data = console.read(size).replace(b"\x10C", b"\x03").replace(b"\x10P", b"\x10")
            # The next one may come while this one is worked on.
            sys.stdout.buffer.write(_ACKNOWLEDGE)
            block = deflate.DeflateIO(io.BytesIO(data), deflate.ZLIB).read(BLOCK)
            count -= len(block)
            if not block or count < 0:
                raise UpdateError("the host has sent something else than was to come")
            yield block
