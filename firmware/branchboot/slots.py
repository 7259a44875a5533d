"""Two slots, of which one is good and the other may be on trial.

    ROOT/RECORD     which slot is good, and how the other one's trial stands
    ROOT/a, ROOT/b  a gateway's folder each: code, configuration and MANIFEST
    ROOT/keys       private keys, which both name; ROOT/state: what the gateway keeps

A slot on trial is started once. It confirms itself, and is the good one from then on; or the next
start finds it tried and not confirmed, and goes back. RECORD is the one file that decides, and is
replaced in one step: a power cut leaves the decision before or the one after.
"""

import json

from branchboot.disk import Disk, fingerprint, make_folder, put, read
from branchboot.manifest import FILE, MAX_OCTETS, Manifest, ManifestError

RECORD = "RECORD"
KEYS = "keys"
STATE = "state"
NAMES = ("a", "b")

_MAX_RECORD = 1024
_MAX_SAID = 200
_FAILED_STARTS = 3


class Slots:
    """root: the folder; disk: branchboot.disk.Disk. OSErrors of writing are passed on."""

    def __init__(self, root, disk=Disk):
        self.root = root
        self.disk = disk
        self.good = self.trial = None  # names of slots
        self.tried = False
        self.starts = 0  # of the good slot, since it last worked or stopped in order
        self.said = ""  # how the last trial ended
        self._load()

    def _load(self):
        """A RECORD that is none counts as none: the slots themselves are then looked at."""
        data = read(self.disk, self.root + "/" + RECORD, _MAX_RECORD)
        try:
            value = json.loads(data or b"{}")
            good, trial = value.get("good"), value.get("trial")
            starts, said = value.get("starts", 0), value.get("said", "")
        except (ValueError, AttributeError, UnicodeError, RuntimeError):
            return
        if good in NAMES and trial in (None, other(good)) and type(starts) is int:
            self.good, self.trial, self.starts = good, trial, starts
            self.tried = value.get("tried") is True
            self.said = said if type(said) is str else ""

    def _save(self):
        value = {"good": self.good, "trial": self.trial, "tried": self.tried,
                 "starts": self.starts, "said": self.said[:_MAX_SAID]}
        put(self.disk, self.root, RECORD, (json.dumps(value).encode(),))

    def folder(self, slot):
        """Where a slot lies."""
        return self.root + "/" + slot

    def manifest(self, slot):
        """A slot's Manifest, or None."""
        data = slot and read(self.disk, self.folder(slot) + "/" + FILE, MAX_OCTETS)
        if not data:
            return None
        try:
            return Manifest(data)
        except ManifestError:
            return None

    def damage(self, slot):
        """What is wrong with a slot, or None if every file is what its MANIFEST says."""
        manifest = self.manifest(slot)
        if manifest is None:
            return "it has no MANIFEST"
        for folder, files in (
            (self.folder(slot), manifest.files),
            (self.root + "/" + KEYS, manifest.keys),
        ):
            for name, entry in files.items():
                if fingerprint(self.disk, folder + "/" + name) != entry:
                    return name + " is damaged or missing"
        return None

    def idle(self):
        """The slot that an update may overwrite."""
        return other(self.good) if self.good else NAMES[0]

    # ---- starting ----

    def choose(self):
        """Which slot to start: a Choice; to be called once for each start. Writes RECORD."""
        if self.trial:
            choice = self._choose_trial()
            if choice:
                return choice
        problem = self.damage(self.good) if self.good else "none was ever installed"
        if problem:
            # Better one that worked once than none.
            spare = other(self.good) if self.good else NAMES[0]
            told = "slot %s: %s" % (self.good or "-", problem)
            if self.damage(spare):
                self.said = told
                return Choice(self, None, False, False)
            self.good, self.starts, self.said = spare, 0, told + "; slot " + spare + " runs"
        # Counted before anything can go wrong.
        self.starts += 1
        self._save()
        return Choice(self, self.good, False, self.starts > _FAILED_STARTS)

    def _choose_trial(self):
        problem = "it did not confirm itself" if self.tried else self.damage(self.trial)
        if problem:
            self._back("slot %s was not taken: %s" % (self.trial, problem))
            return None
        self.tried = True
        self._save()
        return Choice(self, self.trial, True, False)

    def _back(self, said):
        self.trial, self.tried, self.said = None, False, said

    # ---- what becomes of it ----

    def stage(self, slot):
        """Has the next start try a slot, which is complete. Without a good one it is that."""
        if self.good is None:
            self.good, self.starts = slot, 0
            self.said = "slot " + slot + " is the first"
        else:
            self.trial, self.tried = slot, False
        self._save()

    def withdraw(self):
        """The idle slot is about to be written to: no start may take it."""
        if self.trial:
            self._back("slot %s was replaced before it was confirmed" % self.trial)
            self._save()

    def works(self, slot):
        """The slot that runs does what it should."""
        if slot == self.trial:
            self.good, self.trial, self.tried, self.starts = slot, None, False, 0
            self.said = "slot " + slot + " has confirmed itself"
            self._save()
        else:
            self.stopped()

    def stopped(self):
        """What runs ends in order: this start was no failed one."""
        if self.starts:
            self.starts = 0
            self._save()

    def reject(self, slot, reason):
        """The slot on trial will not do."""
        if slot == self.trial:
            self._back("slot %s was not taken: %s" % (slot, reason))
            self._save()

    def status(self):
        """A dict of JSON values."""
        return {"good": self.good, "trial": self.trial, "tried": self.tried,
                "starts": self.starts, "said": self.said,
                "versions": {slot: manifest.version for slot in NAMES
                             if (manifest := self.manifest(slot))}}


class Choice:
    """What was chosen; the gateway is given it, and calls `works` or `reject`.

    folder: the gateway's folder, or None when there is nothing to start; state: its folder for
    what it keeps; trial: whether it must confirm itself, within confirm_s seconds; safe: whether
    starts before this one failed."""

    def __init__(self, slots, slot, trial, safe):
        self._slots = slots
        self.slot = slot
        self.folder = slot and slots.folder(slot)
        self.state = slots.root + "/" + STATE
        self.trial = trial
        self.safe = safe
        self.said = slots.said
        manifest = trial and slots.manifest(slot)
        self.confirm_s = manifest.confirm_s if manifest else 0

    def works(self):
        """It does what it should: a trial is confirmed. OSErrors are passed on."""
        self._slots.works(self.slot)
        self.trial = False

    def stopped(self):
        """It ends as it should."""
        self._slots.stopped()

    def reject(self, reason):
        """It will not do: the next start takes the other slot."""
        self._slots.reject(self.slot, reason)


def other(slot):
    """The other slot."""
    return NAMES[1] if slot == NAMES[0] else NAMES[0]


def prepare(root, disk=Disk):
    """Makes the folders of an empty root."""
    for folder in (root, root + "/" + KEYS) + tuple(root + "/" + name for name in NAMES):
        make_folder(disk, folder)
