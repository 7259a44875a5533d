"""The entry of a compiled image: `micropython image_main.py IMAGE FOLDER`, on Linux.

The image (build/branchline.romfs, by `make compile`) is mapped into memory and its code runs in
place, as a board's does in flash: it takes no heap.
"""

import os
import sys

import ffi
import uctypes
import vfs

_READ = 1  # PROT_READ, and O_RDONLY is 0
_PRIVATE = 2


def _map(path):
    """The file as a bytearray outside the heap."""
    size = os.stat(path)[6]
    libc = ffi.open(None)
    fd = libc.func("i", "open", "si")(path, 0)
    mmap = libc.func("P", "mmap", "PLiiil")
    address = mmap(None, size, _READ, _PRIVATE, fd, 0)
    libc.func("i", "close", "i")(fd)
    return uctypes.bytearray_at(address, size)


def mount(path):
    """Has modules come from the image, and not from the sources that lie beside this file."""
    vfs.mount(vfs.VfsRom(_map(path)), "/rom")
    sys.path[:] = ["/rom", ".frozen"]


def main():
    """Runs the gateway out of the image; returns its exit code."""
    mount(sys.argv[1])
    from branchline.app.run import main

    return main(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
