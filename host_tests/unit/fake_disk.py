"""A disk in memory that can fail, or lose power, at any step; runs on both interpreters.

What was written reaches the flash at the latest when it is synced; what was renamed, when the
folder is. What a power cut leaves of the rest is anybody's guess: `after_power_cut` yields the
guesses.
"""

ENOENT = 2
ENOSPC = 28


class PowerCut(Exception):
    """The machine is off."""


class _Node:
    """A file's octets: as programs see them, and those that are certainly on flash."""

    def __init__(self, data=b""):
        self.seen = data
        self.flash = data


class _File:
    def __init__(self, disk, node):
        self._disk = disk
        self.node = node
        self._at = 0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return False

    def read(self):
        self._disk.step()
        return self.node.seen

    def readinto(self, buffer):
        self._disk.step()
        piece = self.node.seen[self._at : self._at + len(buffer)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def write(self, data):
        """In two steps, so that a failure may come when a part is written."""
        half = len(data) // 2
        for part in (data[:half], data[half:]):
            self._disk.step()
            self.node.seen += bytes(part)


class FakeDisk:
    """hal.store.Disk and branchboot.disk.Disk in memory. fails(n) is asked before step n, from 0:
    it returns an error number, or 0 to go on, or raises PowerCut."""

    def __init__(self, fails=lambda n: 0, files=None):
        self.fails = fails
        self.steps = 0
        self.folders = set()
        self._seen = {path: _Node(data) for path, data in (files or {}).items()}
        self._flash = dict(self._seen)
        if files:
            self.folders = {path.rpartition("/")[0] for path in files}

    def step(self):
        """Counts one step and fails if it is to fail."""
        self.steps += 1
        code = self.fails(self.steps - 1)
        if code:
            raise OSError(code)

    def files(self):
        """{path: content} as programs see it."""
        return {path: node.seen for path, node in self._seen.items()}

    def after_power_cut(self):
        """Yields disks that may be found after a power cut at this moment."""
        for names in (self._flash, self._seen):
            for keep in (
                lambda node: node.flash,
                lambda node: node.seen,
                lambda node: node.seen[: (len(node.flash) + len(node.seen)) // 2],
                lambda node: node.seen[: len(node.seen) // 2] if node.seen != node.flash
                else node.seen,
            ):
                disk = FakeDisk(files={path: keep(node) for path, node in names.items()})
                disk.folders = set(self.folders)
                yield disk

    def _node(self, path):
        if path not in self._seen:
            raise OSError(ENOENT)
        return self._seen[path]

    def open(self, path, mode):
        self.step()
        if path.rpartition("/")[0] not in self.folders:
            raise OSError(ENOENT)
        if mode == "rb":
            return _File(self, self._node(path))
        if path not in self._seen:
            self._seen[path] = _Node()
        if mode == "wb":
            self._seen[path].seen = b""
        return _File(self, self._seen[path])

    def rename(self, old, new):
        self.step()
        self._seen[new] = self._node(old)
        del self._seen[old]

    def remove(self, path):
        self.step()
        self._node(path)
        del self._seen[path]

    def mkdir(self, path):
        self.step()
        self.folders.add(path)

    def names(self, folder):
        self.step()
        start = folder + "/"
        return [path[len(start):] for path in self._seen
                if path.startswith(start) and "/" not in path[len(start):]]

    def size(self, path):
        self.step()
        return len(self._node(path).seen)

    def sync(self, file):
        self.step()
        file.node.flash = file.node.seen

    def sync_folder(self, path):
        self.step()
        self._flash = dict(self._seen)
