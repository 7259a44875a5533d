"""hal.store: writes that are whole or not at all, on a disk that fails at every step."""

import os

from branchline.hal.store import Store
from fake_disk import ENOSPC, FakeDisk, PowerCut
from support import raises

_OLD = b"what was there before"
_NEW = b"what is to be there, and is longer than that"
_PATH = "state/file"


def _cut_at(k):
    def fails(n):
        if n == k:
            raise PowerCut
        return 0

    return fails


def _fail_at(k, code=ENOSPC):
    return lambda n: code if n == k else 0


def _steps(work, files):
    """How many steps work(store) takes on a disk that does not fail."""
    disk = FakeDisk(files=files)
    work(Store("state", disk))
    return disk.steps


def test_a_power_cut_between_any_two_steps_leaves_old_or_new():
    for files, allowed in (({_PATH: _OLD}, (_OLD, _NEW)), ({"state/x": b""}, (None, _NEW))):
        count = _steps(lambda store: store.write("file", _NEW), files)
        assert count >= 5
        found = set()
        for k in range(count):
            disk = FakeDisk(_cut_at(k), files)
            raises(PowerCut, Store("state", disk).write, "file", _NEW)
            for left in disk.after_power_cut():
                content = Store("state", left).read("file")
                assert content in allowed, (k, content)
                found.add(content)
        assert found == set(allowed)


def test_what_was_written_survives_a_power_cut():
    disk = FakeDisk()
    store = Store("state", disk)
    assert store.write("file", _OLD) and store.write("file", _NEW)
    assert store.append("log", b"one\n", 100) and store.append("log", b"two\n", 100)
    for left in disk.after_power_cut():
        again = Store("state", left)
        assert again.read("file") == _NEW
        assert again.read("log") == b"one\ntwo\n"


def test_a_failure_at_any_step_is_told_and_leaves_old_or_new():
    for k in range(_steps(lambda store: store.write("file", _NEW), {_PATH: _OLD})):
        disk = FakeDisk(_fail_at(k), {_PATH: _OLD})
        store = Store("state", disk)
        assert store.write("file", _NEW) is False, k
        assert store.problem == "cannot write state/file: no space left", k
        assert store.read("file") in (_OLD, _NEW)
        assert "state/file.new" not in disk.files(), k
        assert store.write("file", _NEW) is True and store.problem is None
        assert disk.files() == {_PATH: _NEW}


def test_the_reason_is_remembered_once():
    codes = [ENOSPC]
    disk = FakeDisk(lambda n: codes[0], {_PATH: _OLD})
    store = Store("state", disk)
    assert not store.write("file", _NEW)
    codes[0] = 30
    assert not store.write("file", _NEW) and not store.append("log", b"x", 10)
    assert store.problem == "cannot write state/file: no space left"
    codes[0] = 0
    # Another file's success says nothing about this one.
    assert store.append("log", b"x", 10) and store.problem
    assert store.write("file", _NEW) and store.problem is None
    codes[0] = 77
    assert store.read("file") is None
    assert store.problem == "cannot read state/file: error 77"


def test_appending_is_bounded_by_two_generations():
    disk = FakeDisk()
    store = Store("state", disk)
    for i in range(50):
        assert store.append("log", b"%04d\n" % i, 52)
        files = disk.files()
        assert len(files["state/log"]) <= 52 and len(files.get("state/log.old", b"")) <= 52
    both = store.read("log.old") + store.read("log")
    assert both == b"".join([b"%04d\n" % i for i in range(50)][-len(both) // 5 :])
    assert len(both) > 52
    assert not store.append("log", bytes(53), 52)
    assert store.problem == "cannot write state/log: longer than its limit"


def test_a_power_cut_while_appending_loses_no_more_than_what_was_appended():
    before = b"one\ntwo\n"
    for limit in (100, 10):
        files = {"state/log": before}
        for k in range(_steps(lambda store, n=limit: store.append("log", b"three\n", n), files)):
            disk = FakeDisk(_cut_at(k), files)
            raises(PowerCut, Store("state", disk).append, "log", b"three\n", limit)
            for left in disk.after_power_cut():
                store = Store("state", left)
                kept = (store.read("log.old") or b"") + (store.read("log") or b"")
                # A torn file system block may take what shares it; whole files stay.
                if limit == 10:
                    assert kept.startswith(before), (k, kept)
                assert (before + b"three\n").startswith(kept), (k, kept)


def test_files_that_cannot_be_read():
    store = Store("state", FakeDisk(files={_PATH: bytes(100)}))
    assert store.read("absent") is None and store.problem is None
    assert store.read("file", 100) == bytes(100)
    assert store.read("file", 99) is None
    assert store.problem == "cannot read state/file: longer than it can be"
    for name in ("", "../x", ".hidden", "a/b"):
        raises(ValueError, store.write, name, b"")
        raises(ValueError, store.read, name)


def _remove(folder):
    for name in os.listdir(folder):
        os.remove(folder + "/" + name)
    os.rmdir(folder)


def test_on_a_real_disk():
    folder = "/tmp/branchline-store-" + str(id(object()))
    store = Store(folder)
    try:
        assert store.read("file") is None
        for content in (_OLD, _NEW, b"", bytes(range(256)) * 20):
            assert store.write("file", content), store.problem
            assert store.read("file") == content
        for i in range(6):
            assert store.append("log", b"%09d\n" % i, 40)
        assert store.read("log.old") == b"".join([b"%09d\n" % i for i in range(4)])
        assert store.read("log") == b"000000004\n000000005\n"
        assert sorted(os.listdir(folder)) == ["file", "log", "log.old"]
        beneath = Store(folder + "/file")
        assert not beneath.write("x", b"") and "its folder is no folder" in beneath.problem
        missing = Store(folder + "/no/folder")
        assert not missing.write("x", b"") and missing.problem.endswith("error 2")
    finally:
        _remove(folder)
