"""watchdog.progress: the hardware watchdog is fed only while everything moves."""

from branchline.watchdog.progress import FEED_MS, PATIENCE_MS, Progress
from branchline.wire.ticks import PERIOD, ticks_add, ticks_diff

_START = PERIOD - 12000


class _Bench:
    """A core whose timer handling can be stopped, and a packet path, checked once a second."""

    def __init__(self):
        self.now = _START
        self.due = None
        self.handling = True
        self.waiting = False
        self.moved = 0
        self.progress = Progress(self.now)
        self.progress.watch_timers("paris", lambda: self.due)
        self.progress.watch_work("packets", lambda: self.waiting, lambda: self.moved)

    def run(self, seconds, moving=0):
        """Goes on; returns how many of the checks allowed a feed."""
        fed = 0
        for _ in range(seconds):
            self.now = ticks_add(self.now, FEED_MS)
            if self.handling and self.due is not None and ticks_diff(self.now, self.due) >= 0:
                self.due = ticks_add(self.now, 300)
            self.moved += moving
            assert self.progress.next_timer() == self.now
            fed += self.progress.check(self.now)
        return fed

    def events(self):
        found = []
        while event := self.progress.next_event():
            found.append(event)
        return found


def _bench():
    bench = _Bench()
    bench.progress.check(bench.now)
    return bench


def test_all_is_well():
    bench = _bench()
    bench.due = _START
    assert bench.run(60) == 60 and bench.events() == []
    bench.waiting = True
    assert bench.run(60, moving=1) == 60
    assert bench.events() == [] and bench.progress.stuck() == []


def test_an_overdue_timer_is_named():
    bench = _bench()
    bench.due = ticks_add(_START, 10000)
    assert bench.run(10) == 10
    bench.handling = False
    bench.due = bench.now
    fed = bench.run(20)
    assert PATIENCE_MS // FEED_MS <= fed <= PATIENCE_MS // FEED_MS + 1
    ((kind, name, reason),) = bench.events()
    assert (kind, name) == ("stuck", "paris") and reason.startswith("a timer is overdue by 2")
    assert bench.progress.stuck() == ["paris"]
    assert bench.run(10) == 0 and bench.events() == []
    bench.handling = True
    assert bench.run(5) == 5
    assert bench.events() == [("moves", "paris", "")]


def test_packets_that_wait_while_none_moves_are_named():
    bench = _bench()
    bench.waiting = True
    fed = bench.run(20)
    assert PATIENCE_MS // FEED_MS <= fed <= PATIENCE_MS // FEED_MS + 1
    assert bench.events() == [("stuck", "packets", "work waits and none is done")]
    assert bench.run(3, moving=1) == 3
    assert bench.events() == [("moves", "packets", "")]
    bench.run(4)
    bench.waiting = False  # it was none of ours after all
    assert bench.run(9) == 9 and bench.events() == []


def test_a_pause_of_the_whole_process_accuses_nobody():
    bench = _bench()
    bench.due = ticks_add(_START, 1000)
    bench.waiting = True
    bench.run(3, moving=1)
    bench.now = ticks_add(bench.now, 30000)
    # The check comes before the core has had its turn.
    assert bench.progress.check(bench.now)
    assert bench.run(10, moving=1) == 10
    assert bench.events() == []


def test_a_loop_that_does_not_turn():
    turns = [0]
    progress = Progress(_START)
    progress.watch_work("loop", lambda: True, lambda: turns[0])
    now = _START
    for _ in range(10):
        turns[0] += 1
        now = ticks_add(now, FEED_MS)
        assert progress.check(now)
    fed = 0
    for _ in range(10):
        now = ticks_add(now, FEED_MS)
        fed += progress.check(now)
    assert fed == 6 and progress.stuck() == ["loop"]


def test_parts_come_and_go():
    bench = _bench()
    bench.handling = False
    bench.due = bench.now
    bench.progress.watch_timers("dublin", lambda: None)
    assert bench.run(10) < 10
    bench.progress.forget("paris")
    bench.progress.forget("absent")
    assert bench.run(5) == 5 and bench.progress.stuck() == [] and bench.events() == []
