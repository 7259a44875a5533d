"""watchdog.journal: entries folded, bounded, batched, and read again whatever the file holds."""

import json

from branchline.watchdog.journal import GENERATION, MAX_REASON, MAX_WORD, Journal
from branchline.wire.ticks import PERIOD, ticks_add
from fake_disk import ENOSPC, FakeDisk
from support import raises

_START = PERIOD - 7000  # the ticks wrap while a test runs
_T = 1700000000


def _said(journal, n=1000):
    return [(entry.last, entry.reason, entry.count) for entry in journal.tail(n)]


def _write(journal, now, at_once=False):
    """The decoded lines of what is due, written."""
    data = journal.pending(now, at_once)
    if data:
        journal.written(True)
    return [json.loads(line) for line in data.split(b"\n") if line]


def test_equal_events_in_a_row_are_one_entry():
    journal = Journal(_START)
    for t, reason in ((1, "a"), (2, "a"), (5, "a"), (6, "b"), (7, "a")):
        journal.note(t, "paris", "down", reason)
    assert _said(journal) == [(5, "a", 3), (6, "b", 1), (7, "a", 1)]
    assert journal.tail(0) == [] and _said(journal, 1) == [(7, "a", 1)]
    assert journal.tail(3)[0].status() == {
        "first": 1, "last": 5, "subject": "paris", "event": "down", "reason": "a", "count": 3,
    }  # fmt: skip
    journal.note(8, "dublin", "down", "a")
    journal.note(9, "dublin", "up", "a")
    assert _said(journal, 2) == [(8, "a", 1), (9, "a", 1)]


def test_texts_are_cut_and_printable():
    journal = Journal(_START)
    for reason, expected in (
        ("plain ~!", "plain ~!"),
        ("a\nb\x00c\x1b[31m\x7f\u00e9", "a?b?c?[31m??"),
        ("x" * MAX_REASON, "x" * MAX_REASON),
        ("x" * (MAX_REASON + 1), "x" * (MAX_REASON - 3) + "..."),
        ("", ""),
    ):
        journal.note(1, "s", "e", reason)
        assert journal.tail(1)[0].reason == expected
    journal.note(1, "s" * 99, "e\n" * 99)
    entry = journal.tail(1)[0]
    assert len(entry.subject) == MAX_WORD and len(entry.event) == MAX_WORD
    assert "\n" not in entry.event
    longest = Journal(_START)
    longest.note(1 << 39, '"' * 99, '"' * 99, '"' * 999)
    again = Journal(_START)
    again.load(longest.pending(_START))
    assert again.garbage == 0 and again.tail(1)[0].reason == longest.tail(1)[0].reason


def test_the_ring_is_bounded_and_losses_counted():
    journal = Journal(_START, limit=5)
    for i in range(5):
        journal.note(i, "s", "e", str(i))
    assert len(_write(journal, _START)) == 5
    for i in range(5, 12):
        journal.note(i, "s", "e", str(i))
    assert [entry.last for entry in journal.tail(99)] == [7, 8, 9, 10, 11]
    assert journal.lost == 2
    assert [line[0] for line in _write(journal, _START, True)] == [7, 8, 9, 10, 11]
    assert not journal.dirty


def test_writes_are_batched():
    journal = Journal(_START)
    assert journal.next_timer() is None and not journal.dirty
    assert journal.pending(_START) == b""
    journal.note(_T, "s", "e", "first")
    assert journal.dirty and journal.next_timer() == _START
    assert _write(journal, _START) == [[_T, "s", "e", "first", 1]]
    assert not journal.dirty and journal.next_timer() is None
    journal.note(_T + 1, "s", "e", "second")
    journal.note(_T + 2, "s", "e", "third")
    due = ticks_add(_START, 5000)
    assert journal.next_timer() == due
    assert journal.pending(ticks_add(due, -1)) == b""
    assert [line[3] for line in _write(journal, due)] == ["second", "third"]


def test_urgent_entries_and_a_stop_do_not_wait():
    journal = Journal(_START)
    journal.note(1, "s", "e", "a")
    _write(journal, _START)
    now = ticks_add(_START, 10)
    journal.note(2, "s", "e", "b")
    assert journal.pending(now) == b""
    journal.note(3, "s", "reboot", "c", urgent=True)
    assert journal.next_timer() == now
    assert [line[0] for line in _write(journal, now)] == [2, 3]
    journal.note(4, "s", "e", "d")
    assert journal.pending(now) == b""
    assert [line[0] for line in _write(journal, now, True)] == [4]


def test_wear_is_bounded_however_much_happens():
    for urgent in (False, True):
        journal = Journal(_START)
        now = _START
        writes = 0
        for second in range(6 * 3600):
            journal.note(_T + second, "s", "flap", str(second), urgent)
            writes += bool(_write(journal, now))
            now = ticks_add(now, 1000)
        # 12 at first, two a minute afterwards.
        assert 720 <= writes <= 732, writes
        assert journal.lost == 0
        # A quiet hour, and many may come in a row again.
        now = ticks_add(now, 3600000)
        _write(journal, now)
        for i in range(9):
            now = ticks_add(now, 5000)
            journal.note(_T, "s", "e", str(i))
            assert _write(journal, now), i


def test_idle_for_longer_than_ticks_can_tell():
    journal = Journal(_START)
    now = _START
    for i in range(3):
        journal.note(_T + i, "s", "e", str(i))
        assert _write(journal, now), i
        for _ in range(8):  # days
            now = ticks_add(now, 86400000)
            assert journal.pending(now) == b""


def test_a_batch_is_bounded_and_the_rest_follows():
    journal = Journal(_START)
    for i in range(70):
        journal.note(i, "s", "e", str(i) + '"' * 200)
    found = []
    while journal.dirty:
        data = journal.pending(_START, True)
        assert 3000 < len(data) <= 4096 or len(found) > 50
        found += [json.loads(line)[0] for line in data.split(b"\n")[:-1]]
        journal.written(True)
    assert found == list(range(70))


def test_repeats_are_written_as_what_came_since():
    journal = Journal(_START)
    journal.note(1, "s", "e", "a")
    data = journal.pending(_START)
    journal.written(True)
    journal.note(2, "s", "e", "a")
    journal.note(3, "s", "e", "a")
    data += journal.pending(_START, True)
    journal.written(True)
    assert data == b'[1, "s", "e", "a", 1]\n[3, "s", "e", "a", 2]\n'
    again = Journal(_START)
    again.load(data)
    assert _said(again) == [(3, "a", 3)] and again.tail(1)[0].first == 1
    assert not again.dirty


def test_what_could_not_be_written_is_written_later():
    journal = Journal(_START)
    journal.note(1, "s", "e", "a", urgent=True)
    data = journal.pending(_START)
    journal.note(2, "s", "e", "a")  # such as that the disk is full
    journal.written(False)
    assert journal.dirty and journal.next_timer() == ticks_add(_START, 5000)
    later = journal.pending(ticks_add(_START, 5000))
    # The first attempt may have left a part of a line.
    for part in range(len(data) - 1):
        again = Journal(_START)
        again.load(data[:part] + later)
        assert _said(again) == [(2, "a", 2)], part


_ONE = b'[1, "s", "e", "a", 1]\n'
_FILES = (
    ("nothing", None, 0, 0),
    ("empty", b"", 0, 0),
    ("one", _ONE, 1, 0),
    ("empty lines", b"\n\n" + _ONE + b"\n", 1, 0),
    ("the end is missing", b'[1, "s", "e", "a", 1', 0, 1),
    ("a number's end is missing", b'[1, "s", "e", "a", 1]\n[2, "s", "e", "b", 1', 1, 1),
    ("only the line's end is missing", _ONE[:-1], 1, 0),
    ("zeros, as ext4 leaves them", _ONE + bytes(300), 1, 1),
    ("no JSON", b"garbage\n" + _ONE, 1, 1),
    ("not UTF-8", b'[1, "\xff", "e", "a", 1]\n' + _ONE, 1, 1),
    ("no list", b'{"a": 1}\n' + _ONE, 1, 1),
    ("a field too few", b'[1, "s", "e", 1]\n', 0, 1),
    ("a field too many", b'[1, "s", "e", "a", 1, 1]\n', 0, 1),
    ("other kinds", b'["1", "s", "e", "a", 1]\n[1, "s", "e", 7, 1]\n[1, 2, "e", "a", 1]\n', 0, 3),
    ("a fraction", b'[1.5, "s", "e", "a", 1]\n', 0, 1),
    ("numbers out of range", b'[-1, "s", "e", "a", 1]\n[1, "s", "e", "a", 0]\n', 0, 2),
    ("a huge number", b"[" + b"9" * 400 + b', "s", "e", "a", 1]\n', 0, 1),
    ("a long line", b'[1, "s", "e", "' + b"a" * 500 + b'", 1]\n' + _ONE, 1, 1),
    ("deeply nested", b"[" * 250 + b"]" * 250 + b"\n" + _ONE, 1, 1),
)


def test_files_that_are_not_what_they_should_be():
    for name, data, good, bad in _FILES:
        journal = Journal(_START)
        journal.load(data)
        assert (len(journal.tail(99)), journal.garbage) == (good, bad), name
        # What is added next is readable, whatever the file ends in.
        journal.note(2, "s", "e", "later")
        again = Journal(_START)
        again.load((data or b"") + journal.pending(_START))
        assert again.tail(1)[0].reason == "later" and again.garbage == bad, name


_NOISE = b'[]",:{}\\0123nulltrue\n\x00\xff'


def test_random_octets_never_raise():
    state = 1
    for _ in range(300):
        octets = bytearray()
        for _ in range(60):
            state = state * 1103515245 + 12345 & 0x7FFFFFFF
            octets.append(_NOISE[(state >> 16) % len(_NOISE)])
        Journal(_START).load(bytes(octets))
        Journal(_START).load(b"[" + bytes(octets) + b"]")
        Journal(_START).load(b'[1, "s", "e", "' + bytes(octets) + b'", 1]')


def test_a_torn_file_of_any_length():
    data = b"".join([b'[%d, "s", "e", "reason %d]", 1]\n' % (i, i) for i in range(5)])
    lengths = [len(data[: end + 1]) for end in range(len(data)) if data[end] == 0x0A]
    for n in range(len(data) + 1):
        journal = Journal(_START)
        journal.load(data[:n])
        whole = len([length for length in lengths if length - 1 <= n])
        assert len(journal.tail(9)) == whole, n


def test_a_restart_keeps_what_was_said():
    from branchline.hal.store import Store

    codes = [0]
    disk = FakeDisk(lambda n: codes[0])
    count = 0
    for run in range(4):
        store = Store("state", disk)
        journal = Journal(_START)
        for name in ("journal.old", "journal"):
            journal.load(store.read(name))
        assert len(journal.tail(999)) == min(200, count)
        if count:
            assert journal.tail(1)[0].reason == "reason %d" % (count - 1)
        for _ in range(150):
            journal.note(_T + count, "subject", "event", "reason %d" % count)
            count += 1
            codes[0] = ENOSPC if count % 7 == 0 else 0
            data = journal.pending(_START, True)
            if data:
                journal.written(store.append("journal", data, GENERATION))
        codes[0] = 0
        while data := journal.pending(_START, True):
            journal.written(store.append("journal", data, GENERATION))
        assert journal.garbage == 0 and journal.lost == 0, run
        assert max([len(content) for content in disk.files().values()]) <= GENERATION


def test_entries_are_bounded_in_memory():
    import gc

    if not hasattr(gc, "mem_alloc"):
        return
    journal = Journal(_START)
    gc.collect()
    before = gc.mem_alloc()
    for i in range(200):
        journal.note(_T + i, "subject", "event", "%03d" % i + "x" * MAX_REASON)
    gc.collect()
    assert gc.mem_alloc() - before < 200 * 400, gc.mem_alloc() - before


def test_wrong_use():
    raises(TypeError, Journal(_START).note, 1, "s", "e", None)
