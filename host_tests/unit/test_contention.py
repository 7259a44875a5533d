"""tunnel.contention: two clients with one certificate, told from a path that comes and goes."""

from branchline.tunnel.contention import Contention
from branchline.wire.ticks import PERIOD, ticks_add

_START = PERIOD - 30_000


class Rig:
    def __init__(self):
        self.contention = Contention()
        self.now = _START

    def session(self, lives_ms=5000, attempts=1, took_ms=100, silent=True):
        """One session; answers how long to stay away, in seconds."""
        self.now = ticks_add(self.now, took_ms)
        self.contention.came_up(attempts, took_ms, self.now)
        self.now = ticks_add(self.now, lives_ms)
        return self.contention.ended(silent, self.now) // 1000

    def suspected(self):
        return self.contention.is_suspected(self.now)


def test_the_fourth_short_session_is_a_fight():
    rig = Rig()
    assert [rig.session() for _ in range(3)] == [0, 0, 0] and not rig.suspected()
    assert rig.session() == 60 and rig.suspected()


def test_the_wait_doubles_up_to_ten_minutes():
    rig = Rig()
    waits = [rig.session() for _ in range(40)]
    assert waits[3:9] == [60, 120, 240, 480, 600, 600] and waits[-1] == 600


_OTHER_ENDS = (
    ("it lived for two minutes", {"lives_ms": 120_000}),
    ("the server said why", {"silent": False}),
    ("it took several attempts", {"attempts": 2}),
    ("the path was gone: the handshake took long", {"took_ms": 1500}),
)


def test_what_is_no_fight():
    for reason, settings in _OTHER_ENDS:
        rig = Rig()
        assert not any(rig.session(**settings) for _ in range(20)), reason
        assert not rig.suspected(), reason


def test_one_such_session_in_between_begins_the_count_anew():
    for reason, settings in _OTHER_ENDS:
        rig = Rig()
        waits = [rig.session() for _ in range(3)]
        waits.append(rig.session(**settings))
        waits += [rig.session() for _ in range(2)]
        assert waits == [0] * 6, reason


def test_the_suspicion_ends_with_a_session_that_lives():
    rig = Rig()
    for _ in range(5):
        rig.session()
    rig.now = ticks_add(rig.now, 600_000)
    assert rig.suspected()
    rig.contention.came_up(1, 100, rig.now)
    assert rig.suspected()
    rig.now = ticks_add(rig.now, 120_000)
    assert not rig.suspected()
    rig.now = ticks_add(rig.now, PERIOD // 2)
    assert not rig.suspected()
