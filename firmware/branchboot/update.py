"""An update: the files of a MANIFEST put into the slot that does not run, checked, and staged.

What either slot or the folder of keys already has is not sent again. The order makes it safe at
any moment: the idle slot first loses its MANIFEST, keys come before what names them, each file is
checked as it lies there, and the MANIFEST comes last, before RECORD says that it may be tried.
"""

from branchboot.disk import fingerprint, pieces, put, remove
from branchboot.manifest import FILE
from branchboot.slots import KEYS, NAMES, prepare


class UpdateError(Exception):
    """The update was refused or failed; the slot that runs is untouched. The text says why."""


class Update:
    """slots: Slots; manifest: Manifest; board: what this machine is, or None to take any."""

    def __init__(self, slots, manifest, board=None):
        self._slots = slots
        self._disk = slots.disk
        self._manifest = manifest
        if board and manifest.board != board:
            raise UpdateError(
                "it is for the board %s, and this is %s" % (manifest.board, board))
        present = slots.manifest(slots.good)
        for what in ("network", "name"):
            if present and getattr(present, what) != getattr(manifest, what):
                raise UpdateError("it is of the %s %s, and this is %s" % (
                    "network" if what == "network" else "branch", getattr(manifest, what),
                    getattr(present, what)))

    def is_present(self):
        """Whether the slot that is good, or on its way to be, holds just this."""
        slots = self._slots
        slot = slots.trial or slots.good
        present = slots.manifest(slot)
        return bool(present) and present.data == self._manifest.data and not slots.damage(slot)

    def missing(self):
        """The names that must be sent, keys as "keys/NAME"."""
        names = [name for name in self._manifest.files if not self._found(name)]
        return names + [KEYS + "/" + name for name in self.missing_keys()]

    def missing_keys(self):
        """The names of the keys among them."""
        return [name for name, entry in self._manifest.keys.items()
                if fingerprint(self._disk, self._key_path(name)) != entry]

    def _found(self, name):
        """The path of a file with the content that `name` is to have, or None.

        In the slot that runs it may have any name. In the idle one only its own: others are
        overwritten, in any order. That slot's MANIFEST may be gone, if an update was interrupted.
        """
        entry = self._manifest.files[name]
        slots = self._slots
        paths = [slots.folder(slots.idle()) + "/" + name]
        present = slots.manifest(slots.good)
        for each in present.files if present else ():
            if present.files[each] == entry:
                paths.append(slots.folder(slots.good) + "/" + each)
        for path in paths:
            if fingerprint(self._disk, path) == entry:
                return path
        return None

    def _key_path(self, name):
        return self._slots.root + "/" + KEYS + "/" + name

    def receive(self, open_sent):
        """Puts everything in place and stages it. open_sent(name): yields the octets of a file
        that missing() has named. Raises UpdateError; OSErrors (a full disk) are passed on."""
        slots, disk = self._slots, self._disk
        prepare(slots.root, disk)
        slots.withdraw()
        slot = slots.idle()
        folder = slots.folder(slot)
        # Asked before the slot loses the list of what it has.
        sources = {name: self._found(name) for name in self._manifest.files}
        remove(disk, folder + "/" + FILE)
        disk.sync_folder(folder)
        self._make_room(folder, sources)
        for name in self.missing_keys():
            entry = self._manifest.keys[name]
            self._put(slots.root + "/" + KEYS, name, entry, open_sent(KEYS + "/" + name))
        for name, entry in self._manifest.files.items():
            path = folder + "/" + name
            if sources[name] != path:
                source = sources[name]
                self._put(folder, name, entry,
                          pieces(disk, source) if source else open_sent(name))
        put(disk, folder, FILE, (self._manifest.data,))
        problem = slots.damage(slot)
        if problem:
            raise UpdateError("after writing, " + problem)
        slots.stage(slot)
        self._drop_keys()

    def _put(self, folder, name, entry, octets):
        found = put(self._disk, folder, name, octets)
        if found != entry:
            remove(self._disk, folder + "/" + name)
            raise UpdateError("%s was damaged on its way: %d octets came of %d" % (
                name, found[1], entry[1]))

    def _make_room(self, folder, sources):
        """Removes from the idle slot what no file of the update is taken from."""
        keep = [path for path in sources.values() if path]
        for name in self._disk.names(folder):
            path = folder + "/" + name
            if path not in keep:
                remove(self._disk, path)

    def _drop_keys(self):
        """Removes the keys that neither slot names."""
        slots, disk = self._slots, self._disk
        named = set()
        for slot in NAMES:
            manifest = slots.manifest(slot)
            named.update(manifest.keys if manifest else ())
        folder = slots.root + "/" + KEYS
        for name in disk.names(folder):
            if name not in named:
                remove(disk, folder + "/" + name)
