"""branchboot: which slot starts, and updates on a disk that fails at every step."""

import hashlib
import json
from binascii import hexlify

from branchboot.disk import pieces
from branchboot.manifest import Manifest, ManifestError
from branchboot.slots import Slots
from branchboot.update import Update, UpdateError
from fake_disk import ENOSPC, FakeDisk, PowerCut
from support import raises

_OLD = {"gateway.json": b"{old}", "branchline.romfs": b"code of old" * 100, "a.ovpn": b"same"}
_OLD_KEYS = {"a-1.key": b"secret 1", "b-1.key": b"secret b"}
_NEW = {"gateway.json": b"{new}", "branchline.romfs": b"code of new" * 90, "b.ovpn": b"same"}
_NEW_KEYS = {"a-2.key": b"secret 2", "b-1.key": b"secret b"}


def _entries(files):
    return {name: (hexlify(hashlib.sha256(data).digest()).decode(), len(data))
            for name, data in files.items()}


def _manifest(files, keys, **other):
    value = {"network": "acme", "name": "lyon", "board": "linux", "version": "1"}
    value.update(other)
    value["files"] = _entries(files)
    value["keys"] = _entries(keys)
    return Manifest(json.dumps(value).encode())


def _sent(files, keys):
    """What open_sent is: everything that was sent, in two pieces each."""
    def open_sent(name):
        data = keys[name[5:]] if name.startswith("keys/") else files[name]
        yield data[:3]
        yield data[3:]

    return open_sent


def _install(disk, files, keys, **other):
    update = Update(Slots("root", disk), _manifest(files, keys, **other), "linux")
    update.receive(_sent(files, keys))
    return Slots("root", disk)


def _installed():
    disk = FakeDisk()
    _install(disk, _OLD, _OLD_KEYS)
    Slots("root", disk).choose().works()
    return disk


def _again(disk):
    """The same files, certainly on flash, on a disk that does not fail."""
    copy = FakeDisk(files=disk.files())
    copy.folders = set(disk.folders)
    return copy


def _content(disk, slot):
    """{name: octets} of a slot, without its MANIFEST."""
    start = "root/" + slot + "/"
    return {path[len(start):]: data for path, data in disk.files().items()
            if path.startswith(start) and path != start + "MANIFEST"}


def test_the_first_install_needs_no_trial():
    disk = FakeDisk()
    slots = _install(disk, _OLD, _OLD_KEYS)
    choice = slots.choose()
    assert (choice.slot, choice.folder, choice.trial, choice.safe) == ("a", "root/a", False, False)
    assert _content(disk, "a") == _OLD


def test_nothing_installed_is_nothing_to_start():
    disk = FakeDisk()
    choice = Slots("root", disk).choose()
    assert choice.folder is None and "none was ever installed" in choice.said
    assert disk.files() == {}


def test_a_trial_that_confirms_itself_is_the_good_one():
    disk = _installed()
    _install(disk, _NEW, _NEW_KEYS)
    choice = Slots("root", disk).choose()
    assert (choice.slot, choice.trial, choice.confirm_s) == ("b", True, 300)
    choice.works()
    for _ in range(2):
        choice = Slots("root", disk).choose()
        assert (choice.slot, choice.trial) == ("b", False)
    assert _content(disk, "b") == _NEW


def test_a_trial_gets_one_start():
    disk = _installed()
    _install(disk, _NEW, _NEW_KEYS)
    assert Slots("root", disk).choose().trial
    choice = Slots("root", disk).choose()
    assert (choice.slot, choice.trial) == ("a", False)
    assert "slot b was not taken: it did not confirm itself" in choice.said


def test_a_rejected_trial_says_why():
    disk = _installed()
    _install(disk, _NEW, _NEW_KEYS)
    Slots("root", disk).choose().reject("no tunnel has worked within 300 s")
    slots = Slots("root", disk)
    assert slots.choose().slot == "a"
    assert slots.status()["said"] == "slot b was not taken: no tunnel has worked within 300 s"


def test_a_damaged_trial_is_not_started():
    disk = _installed()
    _install(disk, _NEW, _NEW_KEYS)
    files = dict(disk.files())
    files["root/b/gateway.json"] = b"{neW}"
    choice = Slots("root", FakeDisk(files=files)).choose()
    assert choice.slot == "a" and "gateway.json is damaged" in choice.said


def test_a_damaged_good_slot_gives_way_to_the_other():
    disk = _installed()
    _install(disk, _NEW, _NEW_KEYS)
    Slots("root", disk).choose().works()
    for broken in ("root/b/branchline.romfs", "root/keys/a-2.key", "root/b/MANIFEST"):
        files = dict(disk.files())
        files[broken] = files[broken][: len(files[broken]) // 2]
        choice = Slots("root", FakeDisk(files=files)).choose()
        assert choice.slot == "a", broken
        assert "slot a runs" in choice.said
    for file in ("root/b/gateway.json", "root/a/gateway.json"):
        files[file] = b""
    assert Slots("root", FakeDisk(files=files)).choose().folder is None


def test_a_record_that_is_none_is_made_anew_from_the_slots():
    for record in (b"", b"[]", b"{", b"\xff", b'{"good": "c"}', b'{"good": "a", "trial": "a"}',
                   b'{"good": "a", "starts": "x"}', b"x" * 2000):
        files = dict(_installed().files())
        files["root/RECORD"] = record
        choice = Slots("root", FakeDisk(files=files)).choose()
        assert (choice.slot, choice.trial) == ("a", False), record


def test_the_fourth_failed_start_in_a_row_is_a_safe_one():
    disk = _installed()
    assert [Slots("root", disk).choose().safe for _ in range(4)] == [False, False, False, True]
    choice = Slots("root", disk).choose()
    assert choice.safe
    choice.stopped()
    assert not Slots("root", disk).choose().safe


def test_only_what_is_not_there_is_asked_for():
    disk = _installed()
    update = Update(Slots("root", disk), _manifest(_NEW, _NEW_KEYS))
    assert sorted(update.missing()) == ["branchline.romfs", "gateway.json", "keys/a-2.key"]
    assert not update.is_present()
    same = Update(Slots("root", disk), _manifest(_OLD, _OLD_KEYS))
    assert same.is_present() and same.missing() == []


def test_what_was_damaged_on_its_way_is_refused():
    disk = _installed()
    update = Update(Slots("root", disk), _manifest(_NEW, _NEW_KEYS))
    sent = dict(_NEW)
    sent["gateway.json"] = b"{nEw}"
    text = str(raises(UpdateError, update.receive, _sent(sent, _NEW_KEYS)))
    assert text == "gateway.json was damaged on its way: 5 octets came of 5"
    assert Slots("root", disk).choose().slot == "a"
    assert _content(disk, "a") == _OLD


def test_what_is_for_another_is_refused():
    disk = _installed()
    before = disk.files()
    for other, text in (({"board": "teensy41"}, "it is for the board teensy41, and this is linux"),
                        ({"name": "nice"}, "it is of the branch nice, and this is lyon"),
                        ({"network": "x"}, "it is of the network x, and this is acme")):
        manifest = _manifest(_NEW, _NEW_KEYS, **other)
        assert str(raises(UpdateError, Update, Slots("root", disk), manifest, "linux")) == text
    assert disk.files() == before


def test_a_manifest_that_is_none_is_refused():
    good = json.loads(_manifest(_NEW, _NEW_KEYS).data)
    for change, text in (
        ({"version": 1}, "version: is missing"),
        ({"confirm_s": 0}, "confirm_s"),
        ({"confirm_s": True}, "confirm_s"),
        ({"files": {}}, "gateway.json is missing"),
        ({"files": []}, "files: is no object"),
        ({"files": {"../x": ["0" * 64, 1]}}, "is no plain file name"),
        ({"files": {"MANIFEST": ["0" * 64, 1]}}, "is no plain file name"),
        ({"files": {".x": ["0" * 64, 1]}}, "is no plain file name"),
        ({"files": {"x.new": ["0" * 64, 1]}}, "is no plain file name"),
        ({"keys": {"x": ["0" * 63, 1]}}, "needs a SHA-256"),
        ({"keys": {"x": ["0" * 64, -1]}}, "needs a SHA-256"),
        ({"keys": {"x": "0" * 64}}, "needs a SHA-256"),
    ):
        value = dict(good)
        value.update(change)
        told = str(raises(ManifestError, Manifest, json.dumps(value).encode()))
        assert text in told, (change, told)
    for data in (b"", b"[]", b"\xff\xfe", b"x" * 20000, b"[" * 5000):
        raises(ManifestError, Manifest, data)


def test_keys_that_no_slot_names_are_dropped():
    disk = _installed()

    def keys():
        return sorted(path[10:] for path in disk.files() if path.startswith("root/keys/"))

    _install(disk, _NEW, _NEW_KEYS)
    assert keys() == ["a-1.key", "a-2.key", "b-1.key"]
    Slots("root", disk).choose().works()
    _install(disk, {"gateway.json": b"{}"}, {})
    assert keys() == ["a-2.key", "b-1.key"]


def _cut_at(k):
    def fails(n):
        if n == k:
            raise PowerCut
        return 0

    return fails


def _check_whole(disk, allowed):
    """Whatever runs next is one of `allowed`, unmixed; returns which."""
    choice = Slots("root", disk).choose()
    assert choice.slot, choice.said
    content = _content(disk, choice.slot)
    keys = {path[10:]: data for path, data in disk.files().items()
            if path.startswith("root/keys/") and not path.endswith(".new")}
    for number, (files, needed) in enumerate(allowed):
        if content == files:
            assert all(keys.get(name) == data for name, data in needed.items())
            return number
    raise AssertionError(content)


def test_a_power_cut_in_an_update_leaves_the_old_one_or_the_new_one():
    disk = _installed()
    whole = _again(disk)
    _install(whole, _NEW, _NEW_KEYS)
    count = whole.steps
    assert count > 60
    found = set()
    for k in range(count):
        cut = _again(disk)
        cut.fails = _cut_at(k)
        raises(PowerCut, _install, cut, _NEW, _NEW_KEYS)
        for left in cut.after_power_cut():
            found.add(_check_whole(left, ((_OLD, _OLD_KEYS), (_NEW, _NEW_KEYS))))
            # And the update can be made again.
            again = _again(left)
            _install(again, _NEW, _NEW_KEYS)
            assert _check_whole(again, ((_NEW, _NEW_KEYS),)) == 0
    assert found == {0, 1}


def test_a_power_cut_while_a_start_is_recorded_is_only_a_start_more():
    disk = _installed()
    _install(disk, _NEW, _NEW_KEYS)
    for work in (lambda slots: slots.choose(), lambda slots: slots.choose().works()):
        counted = _again(disk)
        work(Slots("root", counted))
        for k in range(counted.steps):
            cut = _again(disk)
            cut.fails = _cut_at(k)
            raises(PowerCut, lambda work=work, cut=cut: work(Slots("root", cut)))
            for left in cut.after_power_cut():
                _check_whole(left, ((_OLD, _OLD_KEYS), (_NEW, _NEW_KEYS)))


def test_a_full_disk_leaves_the_slot_that_runs():
    disk = _installed()
    whole = _again(disk)
    _install(whole, _NEW, _NEW_KEYS)
    for k in range(whole.steps):
        full = _again(disk)
        full.fails = lambda n, k=k: ENOSPC if n == k else 0
        try:
            _install(full, _NEW, _NEW_KEYS)
        except (OSError, UpdateError):
            pass
        _check_whole(_again(full), ((_OLD, _OLD_KEYS), (_NEW, _NEW_KEYS)))


def test_pieces_are_the_whole_file():
    data = bytes(range(256)) * 9
    disk = FakeDisk(files={"f/x": data})
    assert b"".join([bytes(piece) for piece in pieces(disk, "f/x")]) == data
