"""Any sequence of calls to the watchdog's parts: nothing raises, and every bound holds."""

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from branchline.watchdog import health as h
from branchline.watchdog.damping import Damping
from branchline.watchdog.health import Health
from branchline.watchdog.ladder import Ladder, Rung
from branchline.wire.ticks import PERIOD, ticks_add, ticks_diff

_STARTS = st.sampled_from((0, PERIOD - 1000, PERIOD // 2 - 500))
_WAITS = st.one_of(st.integers(0, 60), st.integers(0, 3000), st.integers(0, 100_000_000))

_HEALTH_CALLS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), _WAITS),
        st.tuples(st.just("timer"), st.integers(1, 40)),
        st.tuples(st.just("answer"), st.integers(0, 70)),
        st.tuples(st.just("garbage"), st.integers(0, 0xFFFF)),
        st.tuples(st.just("traffic"), st.integers(0, 1 << 40)),
        st.tuples(st.sampled_from(("start", "stop")), st.just(0)),
    ),
    max_size=60,
)
# What may follow on what, of the changes that are told.
_CHANGES = {
    h.UNKNOWN: (h.UNKNOWN, h.UP, h.DOWN),
    h.UP: (h.DEGRADED, h.DOWN),
    h.DEGRADED: (h.UP, h.DOWN),
    h.DOWN: (h.UP,),
}


class _Driven:
    """A Health, called as hypothesis says."""

    def __init__(self, start, probe_ms, idle_ms, first):
        settings = SimpleNamespace(probe_ms=probe_ms, idle_probe_ms=idle_ms)
        self.health = Health(settings, lambda n: first.to_bytes(n, "big"))
        self.now = start
        self.us = 0
        self.last = first
        self.ever = self.running = False
        self.state = h.UNKNOWN

    def wait(self, ms):
        self.now = ticks_add(self.now, ms)
        self.us += ms * 1000

    def timer(self, times):
        """Time goes on to each next deadline, as the loop does it."""
        for _ in range(times):
            due = self.health.next_timer()
            if due is None:
                return
            self.wait(max(0, ticks_diff(due, self.now)))
            self.health.handle_timer(self.now)
            sequence = self.health.next_probe()
            if sequence >= 0:
                assert 0 <= sequence <= 0xFFFF
                self.last = sequence
                self.health.sent(self.now, self.us)
            assert self.health.next_probe() == -1
            self.listen()

    def answer(self, back):
        self.garbage((self.last - back) & 0xFFFF)

    def garbage(self, sequence):
        self.health.received(sequence, self.now, self.us)
        self.listen()

    def traffic(self, octets):
        self.health.traffic(octets, octets // 3, self.now)

    def start(self, _):
        self.health.start(self.now)
        self.running = True
        self.state = h.UNKNOWN

    def stop(self, _):
        self.health.stop(self.now)
        self.running = False
        self.state = h.UNKNOWN

    def listen(self):
        while event := self.health.next_event():
            state, reason = event
            assert self.running and reason
            assert state in _CHANGES[self.state], (self.state, state)
            assert state != h.DOWN or self.ever, "it never answered"
            self.ever = self.ever or state == h.UP
            self.state = state


@given(
    _HEALTH_CALLS, _STARTS, st.sampled_from((0, 50, 250, 60_000)), st.integers(0, 4),
    st.sampled_from((0, 0xFFFA)),
)  # fmt: skip
def test_health(calls, start, probe_ms, factor, first):
    driven = _Driven(start, probe_ms, probe_ms * (1 + factor), first)
    driven.start(0)
    for name, argument in calls:
        getattr(driven, name)(argument)
        health = driven.health
        assert health.state == driven.state
        assert (health.next_timer() is not None) == (driven.running and probe_ms > 0)
        status = health.status(driven.now)
        assert 0 <= status["loss"] <= 1 and status["for_s"] >= 0
        assert status["state"] == h.STATE_NAMES[health.state]


@given(
    st.lists(st.tuples(st.integers(0, 500_000), st.booleans()), max_size=60), _STARTS,
    st.integers(1, 100), st.integers(0, 8000), st.integers(1, 5000), st.integers(1, 1000),
)  # fmt: skip
def test_damping(calls, now, half_life_s, above, reuse, max_s):
    suppress = above and reuse + above
    damping = Damping(
        SimpleNamespace(half_life_s=half_life_s, suppress=suppress, reuse=reuse,
                        max_suppress_s=max_s)
    )  # fmt: skip
    last_flap = now
    penalty = 0
    for wait, flap in calls:
        now = ticks_add(now, wait)
        present = damping.status(now)["penalty"]
        assert 0 <= present <= penalty, "it grows by itself"
        if flap:
            suppressed = damping.penalise(now)
            last_flap = now
        else:
            suppressed = damping.is_suppressed(now)
        status = damping.status(now)
        penalty = status["penalty"]
        assert 0 <= penalty <= damping.ceiling and status["suppressed"] == suppressed
        assert not (suppressed and suppress == 0)
        if suppressed:
            due = damping.next_timer()
            assert ticks_diff(due, now) > 0 and ticks_diff(due, last_flap) <= max_s * 1000
            assert 0 < status["reuse_in_s"] <= max_s
        else:
            assert damping.next_timer() is None and status["reuse_in_s"] is None
    due = damping.next_timer()
    if due is not None:
        assert damping.is_suppressed(ticks_add(due, -1)) and not damping.is_suppressed(due)


_RUNGS = st.lists(
    st.tuples(st.integers(0, 100_000), st.integers(0, 5)), min_size=1, max_size=4
).map(sorted)
_LADDER_CALLS = st.lists(
    st.tuples(
        st.sampled_from(("begin", "end", "pause", "resume", "take", "take", "take")),
        st.integers(0, 2_000_000),
        st.booleans(),
    ),
    max_size=80,
)


@given(_RUNGS, _LADDER_CALLS, _STARTS)
def test_ladder(rungs, calls, start):
    ladder = Ladder([Rung(str(n), *rung) for n, rung in enumerate(rungs)])
    elapsed = 0
    trouble = paused = False
    taken = []
    for name, wait, forbidden in calls:
        elapsed += wait
        now = ticks_add(start, elapsed)
        if name == "begin":
            ladder.begin(now)
            trouble = trouble or any(limit for _, limit in rungs)
        elif name == "end":
            ladder.end()
            trouble = False
        elif name in ("pause", "resume"):
            paused = name == "pause"
            ladder.pause(paused, now)
        else:
            rung = ladder.take(now, lambda name, no=forbidden: "no" if no else "")
            if rung is not None:
                assert trouble and not paused and not forbidden
                taken.append((elapsed, rung))
                limit = rungs[int(rung)][1]
                hour = [1 for ms, one in taken if one == rung and elapsed - ms < 3_600_000]
                assert len(hour) <= limit
        assert ladder.in_trouble == trouble
        assert (ladder.next_timer() is not None) == (trouble and not paused)
