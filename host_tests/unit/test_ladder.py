"""watchdog.ladder: which step is taken when, how often, and what keeps it back."""

from branchline.watchdog.ladder import Ladder, Rung
from branchline.wire.ticks import PERIOD, ticks_add, ticks_diff

_START = PERIOD - 20_000
_HOUR_MS = 3_600_000


def _climb(ladder, now, ms, forbidden=lambda name: ""):
    """Lets ms pass, from one deadline to the next; returns [(ms, step)]."""
    found = []
    begin = now
    for _ in range(10_000):
        due = ladder.next_timer()
        if due is None or ticks_diff(due, begin) > ms:
            return found
        if ticks_diff(due, now) > 0:
            assert ladder.take(ticks_add(due, -1), forbidden) is None
            now = due
        step = ladder.take(now, forbidden)
        if step:
            found.append((ticks_diff(now, begin), step))
    raise AssertionError("the ladder spins")


def _ladder(*rungs):
    return Ladder([Rung(*rung) for rung in rungs])


def _three():
    return _ladder(("rebind", 0, 100), ("restart", 3000, 100), ("engine", 60_000, 100))


def test_each_rung_has_its_time_and_the_last_repeats():
    ladder = _three()
    assert ladder.next_timer() is None and not ladder.in_trouble
    ladder.begin(_START)
    assert ladder.in_trouble
    assert _climb(ladder, _START, 200_000) == [
        (0, "rebind"), (3000, "restart"), (60_000, "engine"), (120_000, "engine"),
        (180_000, "engine"),
    ]  # fmt: skip


def test_trouble_that_is_known_begins_nothing():
    ladder = _three()
    ladder.begin(_START)
    assert _climb(ladder, _START, 2000) == [(0, "rebind")]
    ladder.begin(ticks_add(_START, 2000))
    assert ladder.next_timer() == ticks_add(_START, 3000)


def test_the_end_of_trouble_begins_at_the_bottom():
    ladder = _three()
    ladder.begin(_START)
    _climb(ladder, _START, 10_000)
    ladder.end()
    assert ladder.next_timer() is None and not ladder.in_trouble
    assert ladder.take(ticks_add(_START, 90_000)) is None
    now = ticks_add(_START, 100_000)
    ladder.begin(now)
    assert _climb(ladder, now, 5000) == [(0, "rebind"), (3000, "restart")]


def test_an_only_rung_without_a_time_does_not_spin():
    ladder = _ladder(("rebind", 0, 720))
    ladder.begin(_START)
    assert _climb(ladder, _START, 12_000) == [(0, "rebind"), (5000, "rebind"), (10_000, "rebind")]


def test_no_more_than_the_limit_in_an_hour():
    ladder = _ladder(("restart", 10_000, 3))
    ladder.begin(_START)
    assert [ms for ms, _ in _climb(ladder, _START, _HOUR_MS // 2)] == [10_000, 20_000, 30_000]
    assert ladder.waits_for == "3 times in an hour are enough"
    now = ticks_add(_START, _HOUR_MS // 2)
    later = [ms for ms, _ in _climb(ladder, now, _HOUR_MS)]
    # As soon as the oldest is an hour old, the next one has its turn.
    expected = [_HOUR_MS // 2 + ms for ms in (10_000, 20_000, 30_000)]
    assert len(later) == 3
    for ms, due in zip(later, expected):
        assert due <= ms < due + 5000


def test_the_limit_holds_over_several_troubles():
    ladder = _ladder(("restart", 0, 2))
    taken = []
    for minute in range(60):
        now = ticks_add(_START, minute * 60_000)
        ladder.begin(now)
        taken += [minute] if ladder.take(now) else []
        ladder.end()
    assert taken == [0, 1]
    assert ladder.waits_for == ""


def test_a_limit_is_forgotten_after_days_without_trouble():
    for days in (1, 5, 7, 10, 12):
        ladder = _ladder(("restart", 0, 1))
        ladder.begin(_START)
        assert ladder.take(_START)
        ladder.end()
        now = ticks_add(_START, days * 24 * _HOUR_MS)
        ladder.begin(now)
        assert ladder.take(now) == "restart", days


def test_rungs_with_a_limit_of_zero_are_left_out():
    ladder = _ladder(("rebind", 0, 0), ("restart", 3000, 9), ("engine", 60_000, 0))
    ladder.begin(_START)
    assert _climb(ladder, _START, 7000) == [(3000, "restart")]
    empty = _ladder(("rebind", 0, 0))
    empty.begin(_START)
    assert empty.next_timer() is None and empty.take(_START) is None
    empty.pause(True, _START)
    empty.pause(False, _START)
    empty.end()


def test_what_is_forbidden_waits_and_is_told():
    ladder = _three()
    ladder.begin(_START)
    reasons = {"restart": "another tunnel works"}
    assert _climb(ladder, _START, 30_000, lambda name: reasons.get(name, "")) == [(0, "rebind")]
    assert ladder.waits_for == "another tunnel works"
    now = ticks_add(_START, 31_000)
    found = _climb(ladder, now, 60_000)
    assert [step for _, step in found] == ["restart", "engine"] and found[0][0] < 5000
    assert ladder.waits_for == ""


def test_nothing_is_taken_while_paused_and_after_it_the_trouble_is_fresh():
    ladder = _three()
    ladder.begin(_START)
    _climb(ladder, _START, 10_000)
    ladder.pause(True, ticks_add(_START, 10_000))
    assert ladder.next_timer() is None
    assert ladder.take(ticks_add(_START, 200_000)) is None
    now = ticks_add(_START, 300_000)
    ladder.pause(False, now)
    assert _climb(ladder, now, 5000) == [(0, "rebind"), (3000, "restart")]
    # To say so again is no change.
    due = ladder.next_timer()
    ladder.pause(False, ticks_add(now, 9000))
    assert ladder.next_timer() == due


def test_trouble_that_begins_while_paused():
    ladder = _three()
    ladder.pause(True, _START)
    ladder.begin(_START)
    assert ladder.next_timer() is None and ladder.in_trouble
    ladder.end()
    ladder.pause(False, _START)
    assert ladder.next_timer() is None
