"""tunnel.contention: two clients with one certificate, told from a path that comes and goes."""

from branchline.tunnel.contention import Contention
from branchline.wire.ticks import PERIOD, ticks_add, ticks_diff

_START = PERIOD - 30_000


class Rig:
    def __init__(self):
        self.contention = Contention()
        self.now = _START

    def session(self, lives_ms=5000, attempts=1, took_ms=100, silent=True, dead_ms=0):
        """One session, noticed to be dead after dead_ms; answers how long to stay away, in
        seconds."""
        self.now = ticks_add(self.now, took_ms)
        self.contention.came_up(attempts, took_ms, self.now)
        self.live(lives_ms)
        self.now = ticks_add(self.now, dead_ms)
        return self.contention.ended(silent, self.now) // 1000

    def live(self, ms):
        end = ticks_add(self.now, ms)
        while self.now != end:
            self.now = ticks_add(self.now, min(1000, ticks_diff(end, self.now)))
            self.contention.heard(self.now)

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
    ("the path was gone: the handshake took long", {"took_ms": 1600}),
)


def test_what_is_no_fight():
    for reason, settings in _OTHER_ENDS:
        rig = Rig()
        rig.session()
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


def test_a_session_lives_as_long_as_it_is_heard_not_until_that_is_noticed():
    rig = Rig()
    assert [rig.session(10_000, dead_ms=300_000) for _ in range(4)] == [0, 0, 0, 60]


def test_two_boards_that_notice_late_leave_each_other_a_long_life():
    """Both by ping-restart, as their hub answers no probes: one's silence is the other's life."""
    for silence_ms, expected in ((60_000, 60), (120_000, 60), (600_000, 60)):
        rig = Rig()
        waits = [rig.session(silence_ms + 1500, dead_ms=silence_ms) for _ in range(4)]
        assert waits == [0, 0, 0, expected] and rig.suspected(), silence_ms
        rig.contention.came_up(1, 100, rig.now)
        rig.live(silence_ms)
        assert rig.suspected(), silence_ms


def test_a_path_that_goes_once_in_a_while_is_no_fight():
    rig = Rig()
    for silence_ms in (500, 120_000, 600_000):
        lives_ms = max(120_000, 2 * silence_ms)
        assert not any(rig.session(lives_ms, dead_ms=silence_ms) for _ in range(20)), silence_ms
    assert not any(rig.session(3_600_000, dead_ms=3_000_000) for _ in range(8))


def test_a_slow_board_is_in_a_fight_too():
    rig = Rig()
    assert [rig.session(took_ms=t) for t in (9000, 8000, 9400, 8200)] == [0, 0, 0, 60]


def test_a_long_life_is_never_taken_for_a_short_one():
    rig = Rig()
    for _ in range(3):
        rig.session()
    rig.contention.came_up(1, 100, rig.now)
    for _ in range(PERIOD // 2_000_000 + 1):
        rig.now = ticks_add(rig.now, 2_000_000)
        rig.contention.heard(rig.now)
    assert rig.contention.ended(True, rig.now) == 0
