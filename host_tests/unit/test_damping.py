"""watchdog.damping: RFC 2439's penalty, half-life, suppress, reuse and ceiling."""

from branchline.watchdog.damping import Damping
from branchline.wire.ticks import PERIOD, ticks_add, ticks_diff

_START = PERIOD - 100_000  # the wrap comes in the middle of most tests


class Settings:
    def __init__(self, half_life_s=60, suppress=3000, reuse=1000, max_suppress_s=300):
        self.half_life_s = half_life_s
        self.suppress = suppress
        self.reuse = reuse
        self.max_suppress_s = max_suppress_s


_TABLE = (
    Settings(),
    Settings(half_life_s=15, suppress=2000, reuse=750, max_suppress_s=60),
    Settings(half_life_s=60, max_suppress_s=90, suppress=2500),
    Settings(half_life_s=1, suppress=1, reuse=1, max_suppress_s=3600),
    Settings(half_life_s=3600, suppress=9000, reuse=1000, max_suppress_s=14_400),
    Settings(half_life_s=7, suppress=1500, reuse=1400, max_suppress_s=11),
)


def _flapped(settings, times=100, now=_START):
    """A Damping that has suffered so many flaps at once."""
    damping = Damping(settings)
    for _ in range(times):
        damping.penalise(now)
    return damping


def _reuse_after(damping, now):
    """The ms from now until the tunnel is used again."""
    return ticks_diff(damping.next_timer(), now)


def test_it_is_suppressed_above_the_threshold():
    for flaps, suppressed in ((1, False), (2, False), (3, False), (4, True), (5, True)):
        damping = Damping(Settings())
        answers = [damping.penalise(_START) for _ in range(flaps)]
        assert answers == [n > 3 for n in range(1, flaps + 1)]
        assert damping.is_suppressed(_START) == suppressed
        assert (damping.next_timer() is not None) == suppressed


def test_flaps_far_apart_never_suppress():
    damping = Damping(Settings())
    now = _START
    for _ in range(1000):
        assert not damping.penalise(now)
        now = ticks_add(now, 60_000)
    assert damping.status(now)["penalty"] <= 1000


def test_the_penalty_halves_in_a_half_life():
    damping = _flapped(Settings(suppress=0), 8)
    for halves in range(20):
        now = ticks_add(_START, halves * 60_000)
        assert damping.status(now)["penalty"] == 8000 >> halves


def test_between_two_halvings_it_falls_steadily_and_near_the_curve():
    for step in (1, 37, 79, 250, 999, 10_007):
        damping = _flapped(Settings(suppress=0), 4)
        last, ms = 4000, 0
        while ms < 120_000:
            ms += step
            penalty = damping.status(ticks_add(_START, ms))["penalty"]
            curve = 4000 * 2 ** (-ms / 60_000)
            assert penalty <= last and curve - 1 <= penalty < curve * 1.07, (step, ms, penalty)
            last = penalty


def test_it_decays_alike_however_often_somebody_looks():
    for step in (1, 33, 70, 250, 1000, 59_999):
        often, seldom = _flapped(Settings(), 5), _flapped(Settings(), 5)
        for ms in range(0, 150_000, step):
            often.is_suppressed(ticks_add(_START, ms))
        now = ticks_add(_START, 150_000)
        assert often.status(now) == seldom.status(now), step


def test_next_timer_is_when_it_is_used_again():
    for settings in _TABLE:
        for flaps in range(1, 101, 9):
            for later in (0, 1, 12_345):
                damping = _flapped(settings, flaps)
                if not damping.is_suppressed(_START):
                    continue
                # A look in between changes nothing of it.
                now = ticks_add(_START, min(later, _reuse_after(damping, _START) - 1))
                assert damping.is_suppressed(now)
                due = damping.next_timer()
                assert damping.is_suppressed(ticks_add(due, -1)), flaps
                assert damping.next_timer() == due
                assert not damping.is_suppressed(due) and damping.next_timer() is None
                assert damping.status(due)["penalty"] <= settings.reuse


def test_no_tunnel_is_suppressed_for_longer_than_the_maximum():
    for settings in _TABLE:
        damping = _flapped(settings, 1200)
        assert damping.is_suppressed(_START)
        most = settings.max_suppress_s * 1000
        took = _reuse_after(damping, _START)
        # RFC 2439 4.2: the ceiling is what takes that long; with a limit of 20 half-lives.
        assert took <= most
        assert took > min(most, 20_000 * settings.half_life_s) * 99 // 100, (took, most)


def test_a_flap_while_suppressed_lasts_longer():
    damping = _flapped(Settings(), 4)
    first = _reuse_after(damping, _START)
    assert first == 120_000
    now = ticks_add(_START, 119_000)
    assert damping.penalise(now)
    assert 59_000 < _reuse_after(damping, now) < 62_000
    assert not damping.is_suppressed(ticks_add(now, 62_000))


def test_a_threshold_of_zero_suppresses_never():
    damping = Damping(Settings(suppress=0))
    assert not any(damping.penalise(_START) for _ in range(1000))
    assert damping.next_timer() is None
    assert damping.status(_START) == {
        "penalty": 32_000, "suppressed": False, "reuse_in_s": None,
    }  # fmt: skip


def test_status_tells_the_seconds_left():
    damping = _flapped(Settings(), 4)
    assert damping.status(_START) == {"penalty": 4000, "suppressed": True, "reuse_in_s": 120}
    now = ticks_add(_START, 60_001)
    assert damping.status(now) == {"penalty": 2000, "suppressed": True, "reuse_in_s": 60}
    assert damping.status(ticks_add(_START, 119_999))["reuse_in_s"] == 1
    now = ticks_add(_START, 120_000)
    assert damping.status(now) == {"penalty": 1000, "suppressed": False, "reuse_in_s": None}


def test_the_penalty_ends():
    damping = _flapped(Settings(half_life_s=1), 100)
    now = _START
    for _ in range(100):
        now = ticks_add(now, PERIOD // 4)
        assert damping.status(now)["penalty"] == 0
    assert not damping.penalise(now) and damping.status(now)["penalty"] == 1000


def test_a_tick_of_the_past_changes_nothing():
    damping = _flapped(Settings(), 4)
    before = damping.status(_START)
    assert damping.is_suppressed(ticks_add(_START, -5000))
    assert damping.status(_START) == before
