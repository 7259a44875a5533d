"""The file system as a power cut leaves it: whole files, or none. Raises OSError.

The same rules as in branchline/hal/store.py, which lies in the slots and may change with them:
only what was synced may take another file's place, and ext4 wants the folder synced as well.
"""

import hashlib
import os
import sys
from binascii import hexlify

_ENOENT = 2
_EEXIST = 17
_SIZE = 6  # where os.stat has the size
_PIECE = 512  # octets: what a small heap always has in one piece
_NEW = ".new"


class Disk:
    """The operating system's own calls."""

    open = staticmethod(open)
    rename = staticmethod(os.rename)
    remove = staticmethod(os.remove)
    mkdir = staticmethod(os.mkdir)
    names = staticmethod(os.listdir)

    @staticmethod
    def size(path):
        """The octets of a file."""
        return os.stat(path)[_SIZE]

    @staticmethod
    def sync(file):
        """Returns once what was written to an open file will survive a power cut."""
        file.flush()
        if hasattr(os, "fsync"):
            os.fsync(file.fileno())

    @staticmethod
    def sync_folder(path):
        """Returns once the folder's names will survive a power cut."""
        if hasattr(os, "fsync"):
            fd = os.open(path, os.O_RDONLY)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
        elif sys.platform == "linux":
            with open(path, "rb") as folder:
                folder.flush()
        elif hasattr(os, "sync"):
            os.sync()


def put(disk, folder, name, pieces):
    """Puts the octets that `pieces` yields in the place of a file, in one step; returns their
    SHA-256 in hexadecimal and their number."""
    path = folder + "/" + name
    digest = hashlib.sha256()
    size = 0
    try:
        with disk.open(path + _NEW, "wb") as file:
            for piece in pieces:
                file.write(piece)
                digest.update(piece)
                size += len(piece)
            disk.sync(file)
        disk.rename(path + _NEW, path)
    except OSError:
        remove(disk, path + _NEW)
        raise
    disk.sync_folder(folder)
    return hexlify(digest.digest()).decode(), size


def pieces(disk, path):
    """Yields the octets of a file; each piece is overwritten by the next."""
    buffer = memoryview(bytearray(_PIECE))
    with disk.open(path, "rb") as file:
        while n := file.readinto(buffer):
            yield buffer[:n]


def fingerprint(disk, path):
    """(SHA-256 in hexadecimal, octets) of a file, or None where there is none to read."""
    digest = hashlib.sha256()
    size = 0
    try:
        for piece in pieces(disk, path):
            digest.update(piece)
            size += len(piece)
    except OSError:
        return None
    return hexlify(digest.digest()).decode(), size


def read(disk, path, limit):
    """A small file's octets, or None where there is none of that length to read."""
    try:
        if disk.size(path) > limit:
            return None
        with disk.open(path, "rb") as file:
            return file.read()
    except OSError:
        return None


def remove(disk, path):
    """Removes a file if it is there; whether it was."""
    try:
        disk.remove(path)
    except OSError as error:
        if error.args[0] != _ENOENT:
            raise
        return False
    return True


def make_folder(disk, path):
    """Makes a folder unless it is there."""
    try:
        disk.mkdir(path)
    except OSError as error:
        if error.args[0] != _EEXIST:
            raise
