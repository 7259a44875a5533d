"""A folder of small files that a power cut at any moment leaves whole; not for secrets.

Every write blocks until the flash has it: keep writes rare and small. On the unix port of
MicroPython this is what `flush` does (fsync), LittleFS does it when a file is synced or closed,
and CPython has `os.fsync`. ext4 wants the folder synced, too, before a rename is certain.
"""

import os
import sys

from micropython import const

_ENOENT = const(2)
_EEXIST = const(17)
_SIZE = const(6)  # where os.stat has the size
_MAX_READ = const(65536)
_REASONS = {
    1: "not permitted",
    5: "input/output error",
    13: "permission denied",
    20: "its folder is no folder",
    28: "no space left",
    30: "the file system is read-only",
    122: "no space left in the quota",
}


class Disk:
    """What Store needs of the operating system; all raise OSError."""

    open = staticmethod(open)
    rename = staticmethod(os.rename)
    remove = staticmethod(os.remove)
    mkdir = staticmethod(os.mkdir)

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
        elif hasattr(os, "sync"):  # LittleFS needs neither; what a port's cache holds goes out
            os.sync()


class Store:
    """The files of one folder, by plain names; the folder is made when it is first needed.

    Nothing raises for a disk that fails: `problem` then holds the reason, from the first failure
    until the same file is written again, and None otherwise.
    """

    def __init__(self, folder, disk=Disk):
        self._folder = folder
        self._disk = disk
        self._failed = None
        self.problem = None

    def read(self, name, limit=_MAX_READ):
        """The content, or None where there is none, or more than `limit` octets."""
        path = self._path(name)
        try:
            if self._size(path) > limit:
                return self._fail(name, "read", "longer than it can be")
            with self._disk.open(path, "rb") as file:
                return file.read()
        except OSError as error:
            if error.args[0] != _ENOENT:
                self._fail(name, "read", _reason(error))
            return None

    def write(self, name, data):
        """Puts `data` (bytes) in the place of the file, in one step: whatever happens meanwhile,
        the file holds the whole of the old content or the whole of this. False: it failed."""
        return self._carry_out(name, self._replace, data)

    def append(self, name, data, limit):
        """Adds `data` at the end. A file that would outgrow `limit` octets first becomes
        `name`.old, in the place of an earlier one. False: it failed.

        A power cut, or a full disk, may leave a part of the data. Together the two files take at
        most twice `limit`, which must be no less than what is added at a time.
        """
        if len(data) > limit:
            self._fail(name, "write", "longer than its limit")
            return False
        return self._carry_out(name, self._extend, data, limit)

    def _path(self, name):
        if not name or "/" in name or name[0] == ".":
            raise ValueError("not a plain file name")
        return self._folder + "/" + name

    def _carry_out(self, name, work, *args):
        path = self._path(name)
        try:
            try:
                work(path, *args)
            except OSError as error:
                if error.args[0] != _ENOENT:
                    raise
                self._make_folder()
                work(path, *args)
        except OSError as error:
            self._fail(name, "write", _reason(error))
            return False
        if self._failed == name:
            self._failed = self.problem = None
        return True

    def _replace(self, path, data):
        disk = self._disk
        temporary = path + ".new"
        try:
            self._put(temporary, "wb", data)
            # Only synced may it take the old one's place: the rename can reach the flash first.
            disk.rename(temporary, path)
        except OSError:
            self._remove(temporary)
            raise
        disk.sync_folder(self._folder)

    def _extend(self, path, data, limit):
        size = self._size(path)
        if size and size + len(data) > limit:
            self._disk.rename(path, path + ".old")
            size = 0
        self._put(path, "ab", data)
        if not size:
            self._disk.sync_folder(self._folder)

    def _put(self, path, mode, data):
        with self._disk.open(path, mode) as file:
            file.write(data)
            self._disk.sync(file)

    def _size(self, path):
        try:
            return self._disk.size(path)
        except OSError as error:
            if error.args[0] != _ENOENT:
                raise
            return 0

    def _make_folder(self):
        try:
            self._disk.mkdir(self._folder)
        except OSError as error:
            if error.args[0] != _EEXIST:
                raise

    def _remove(self, path):
        """A half-written file must not keep a full disk full."""
        try:
            self._disk.remove(path)
        except OSError:
            pass

    def _fail(self, name, what, reason):
        if self.problem is None:
            self._failed = name
            self.problem = "cannot %s %s/%s: %s" % (what, self._folder, name, reason)


def _reason(error):
    code = error.args[0]
    return _REASONS.get(code) or "error %d" % code
