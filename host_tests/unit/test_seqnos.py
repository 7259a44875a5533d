"""app.seqnos: Babel's seqno never goes back over a restart, and is seldom written."""

from branchline.app.seqnos import Seqnos
from branchline.babel.source import newer

_NOW = 1_800_000_000
_CLOCK = _NOW >> 10 & 0xFFFF


class Records:
    """The folder `state`; broken: nothing can be written."""

    def __init__(self, data=None, broken=False):
        self.data = data
        self.broken = broken
        self.writes = 0

    def read(self, name):
        assert name == "seqno"
        return self.data

    def write(self, name, data):
        assert name == "seqno"
        self.writes += 1
        if not self.broken:
            self.data = data
        return not self.broken


def _run(records, raises, stop=False, unix_time=_NOW):
    """One run with so many raises, some seconds apart; (first seqno, last seqno)."""
    seqnos = Seqnos(records, unix_time)
    seqno = seqnos.first
    for _ in range(3):
        seqnos.keep(seqno)
    for _ in range(raises):
        seqno = seqno + 1 & 0xFFFF
        for _ in range(3):
            seqnos.keep(seqno)
    if stop:
        seqnos.stop(seqno)
    return seqnos.first, seqno


_FIRST = (
    ("nothing kept", None, _CLOCK),
    ("empty", b"", _CLOCK),
    ("no number", b"-5\n", _CLOCK),
    ("not a seqno", b"65536\n", _CLOCK),
    ("much too long", b"1" * 4000, _CLOCK),
    ("behind the clock", b"%d\n" % (_CLOCK - 1), _CLOCK),
    ("the clock's own", b"%d\n" % _CLOCK, _CLOCK + 1),
    ("ahead of the clock", b"%d" % (_CLOCK + 700), _CLOCK + 701),
    ("ahead, around the circle", b"%d" % (_CLOCK + 0x7000 & 0xFFFF), _CLOCK + 0x7001 & 0xFFFF),
    ("behind, around the circle", b"%d" % (_CLOCK - 0x7000 & 0xFFFF), _CLOCK),
)


def test_the_larger_of_what_was_kept_and_the_clock_is_the_first():
    for reason, data, expected in _FIRST:
        assert Seqnos(Records(data), _NOW).first == expected, reason
    assert Seqnos(None, _NOW).first == _CLOCK


def test_the_last_seqno_is_followed_by_the_first():
    for last in (65_534, 65_535):
        first = Seqnos(Records(b"%d" % last), 65_000 << 10).first
        assert newer(first, last) and first == last + 1 & 0xFFFF


def test_every_run_begins_behind_the_one_before_however_it_ended():
    for start in (_NOW, _NOW + (0xFFF0 - _CLOCK << 10)):
        records = Records()
        last = None
        for raises in (0, 1, 7, 8, 9, 15, 16, 17, 100, 0):
            for stop in (False, True):
                first, end = _run(records, raises, stop, start)
                assert last is None or newer(first, last), (raises, stop)
                last = end


def test_a_run_that_ended_in_order_wastes_none():
    records = Records()
    _, last = _run(records, 5, stop=True)
    assert _run(records, 0)[0] == last + 1


def test_one_write_reserves_for_many_raises():
    records = Records()
    _run(records, 800)
    assert records.writes <= 1 + 800 // 8


def test_nothing_is_written_in_the_second_of_a_raise():
    records = Records()
    seqnos = Seqnos(records, _NOW)
    for n in range(1, 50):
        seqnos.keep(_CLOCK + n)
    assert not records.writes
    seqnos.keep(_CLOCK + 49)
    assert records.data == b"%d\n" % (_CLOCK + 49 + 16)


def test_a_disk_that_fails_is_not_tried_every_second():
    records = Records(broken=True)
    _run(records, 0)
    assert records.writes == 1
    _run(records, 80)
    assert records.writes <= 2 + 80 // 8


def test_without_a_folder_nothing_is_kept():
    assert _run(None, 100, stop=True)[0] == _CLOCK
