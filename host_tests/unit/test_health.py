"""watchdog.health: when silence is a death, and when loss, a full queue or our own absence."""

import random
import sys

from branchline.watchdog.health import DEGRADED, DOWN, UNKNOWN, UP, Health
from branchline.wire.ticks import PERIOD, ticks_add, ticks_diff
from support import SMALL_ADDRESSES, heap_lock, heap_unlock

_MICROPYTHON = sys.implementation.name == "micropython"
_HOUR_MS = 3_600_000


class Settings:
    def __init__(self, probe_ms=250, idle_probe_ms=None):
        self.probe_ms = probe_ms
        self.idle_probe_ms = probe_ms if idle_probe_ms is None else idle_probe_ms


class Rig:
    """A Health and the way to its hub, in virtual time.

    rtt(t): the delay in ms of a probe sent at t (ms since the start), None if it or its answer is
    lost; `cut`: nothing arrives any more, not even what is under way.
    """

    def __init__(self, rtt=1, start=0, first=b"\0\0", probe_ms=250, idle_probe_ms=None):
        self.health = Health(Settings(probe_ms, idle_probe_ms), lambda n: first)
        self.rtt = rtt if callable(rtt) else lambda t: rtt
        self.cut = False
        self.t = 0
        self.probes = []  # when one was sent
        self.events = []  # (t, state, reason)
        self._start = start
        self._flying = []
        self.health.start(self.now())

    def now(self):
        return ticks_add(self._start, self.t)

    def _step(self):
        health = self.health
        health.handle_timer(self.now())
        sequence = health.next_probe()
        if sequence >= 0:
            self.probes.append(self.t)
            rtt = self.rtt(self.t)
            if rtt is not None:
                self._flying.append((self.t + rtt, sequence))
            health.sent(self.now(), self.t * 1000)
        self._listen()

    def _listen(self):
        while event := self.health.next_event():
            self.events.append((self.t, event[0], event[1]))

    def _deliver(self):
        while self._flying and min(self._flying)[0] <= self.t:
            flight = min(self._flying)
            self._flying.remove(flight)
            if not self.cut:
                self.health.received(flight[1], self.now(), self.t * 1000)
                self._listen()

    def run(self, ms, until=None):
        """Lets ms pass, or less if until() becomes true; answers self."""
        end = self.t + ms
        steps = 0
        while not (until and until()):
            due = self.health.next_timer()
            moment = end if due is None else min(end, self.t + max(0, ticks_diff(due, self.now())))
            if self._flying:
                moment = min(moment, min(self._flying)[0])
            steps = 0 if moment > self.t else steps + 1
            assert steps < 20, "the virtual time stands still"
            self.t = max(moment, self.t)
            self._deliver()
            self._step()
            if self.t == end:
                break
        return self

    def pause(self, ms):
        """Nobody calls for so long; then the timers come before the answers that wait."""
        self.t += ms
        self._step()
        self._deliver()
        return self

    def settled(self):
        """Long enough for the delay to be known; answers self."""
        self.run(20_000)
        assert self.health.state == UP
        self.events = []
        return self

    def states(self):
        return [state for _, state, _ in self.events]

    def until_down(self, ms=10_000):
        """How long it takes until the tunnel is DOWN."""
        began = self.t
        self.run(ms, lambda: self.health.state == DOWN)
        assert self.health.state == DOWN
        return self.t - began


def _lossy(percent, rtt=40, seed=7):
    """Loses so many of the packets in each direction; the delay varies by some ms."""
    random.seed(seed)

    def delay(t):
        for _ in range(2):
            if random.getrandbits(16) * 100 < percent << 16:
                return None
        return rtt + random.getrandbits(3)

    return delay


def test_the_first_answer_makes_it_up():
    rig = Rig(40).run(39)
    assert rig.health.state == UNKNOWN and rig.probes == [0]
    rig.run(1)
    assert rig.events == [(40, UP, "the hub answers, 40 ms")]


# (RTT, the timeout that RFC 6298 makes of it with a variance of 5 ms and a minimum of 30 ms)
_TIMEOUTS = ((1, 30), (40, 60), (120, 140))


def test_a_fault_is_noticed_in_time_in_every_phase():
    for rtt, timeout in _TIMEOUTS:
        for probe_ms in (100, 250, 1000):
            limit = probe_ms + max(250, 2 * timeout + 5 * 25)
            took = []
            # From just behind the answer to a probe on.
            for phase in range(rtt, rtt + probe_ms, 9):
                rig = Rig(rtt, probe_ms=probe_ms).settled()
                last = len(rig.probes)
                rig.run(10_000, lambda rig=rig, last=last: len(rig.probes) > last)
                rig.run(phase)
                rig.rtt = lambda t: None
                rig.cut = True
                took.append(rig.until_down())
            assert max(took) <= limit, (rtt, probe_ms, took)
            # The bound is no worse than it has to be, unless probes under way serve as well.
            assert max(took) > limit - rtt - 60 or probe_ms < timeout, (rtt, probe_ms, took)


def test_no_silence_of_a_quarter_of_a_second_counts():
    for rtt, _ in _TIMEOUTS:
        for phase in range(0, 250, 10):
            rig = Rig(rtt).settled()
            rig.run(phase)
            began = rig.t
            rig.rtt = lambda t, began=began, rtt=rtt: max(rtt, began + 240 - t)
            rig.run(5000)
            assert DOWN not in rig.states(), (rtt, phase)


def test_a_queue_that_fills_up_is_no_death():
    """A download fills the hub's queue: the delay grows from 1 ms to 200 ms."""
    for within in (1, 100, 500):
        for phase in range(0, 250, 10):
            rig = Rig(1).settled()
            rig.run(phase)
            began = rig.t
            rig.rtt = lambda t, began=began, within=within: min(
                200, 1 + 199 * (t - began + 1) // within
            )
            rig.run(20_000)
            assert DOWN not in rig.states(), (within, phase)


def test_five_percent_loss_each_way_is_no_death():
    hours = 1 if _MICROPYTHON else 4
    for rtt in (1, 120):
        rig = Rig(_lossy(5, rtt))
        rig.run(hours * _HOUR_MS // 2)
        assert rig.states() == [UP], (rtt, rig.events)
        assert rig.health.status(rig.now())["loss"] > 0


def test_thirty_percent_loss_each_way_is_degraded():
    degraded = 0
    for seed in range(20):
        rig = Rig(1).settled()
        rig.rtt = _lossy(30, 40, seed)
        rig.run(60_000)
        degraded += rig.health.state == DEGRADED
        # Before the loss is known, a short row may look like a death; never for long.
        assert rig.states().count(DOWN) <= 1, rig.events
    assert degraded >= 19
    rig.events = []
    rig.run(600_000)
    assert DOWN not in rig.states(), rig.events


def test_states_do_not_flutter():
    """About the threshold of DEGRADED it stays for at least 5 s, and comes back only when good."""
    rig = Rig(_lossy(14)).run(1_200_000)
    since = {}
    for t, state, _ in rig.events:
        if state == UP and DEGRADED in since:
            assert t - since[DEGRADED] >= 5000
        since[state] = t
    assert DOWN not in rig.states() and 2 < len(rig.events) < 40, len(rig.events)


def test_a_degraded_tunnel_is_up_again_when_the_loss_ends():
    rig = Rig(1).settled()
    rig.rtt = _lossy(30)
    rig.run(60_000, lambda: rig.health.state == DEGRADED)
    assert "% of the probes are lost" in rig.health.reason
    rig.rtt = lambda t: 40
    rig.run(20_000)
    assert rig.states()[-2:] == [DEGRADED, UP]


def test_a_full_queue_degrades_it_until_it_is_empty():
    rig = Rig(20).settled()
    rig.rtt = lambda t: min(20 + (t - 20_000) // 10, 400)
    rig.run(20_000)
    assert rig.states() == [DEGRADED] and "a delay of" in rig.health.reason
    rig.rtt = lambda t: 20
    rig.run(20_000)
    assert rig.states() == [DEGRADED, UP]


def test_a_longer_way_is_judged_anew_soon():
    """Late answers: a delay that leaps beyond all patience may look like a death, but once."""
    for rtt in (400, 900, 1500):
        rig = Rig(1).settled()
        rig.rtt = lambda t, rtt=rtt: rtt
        rig.run(10_000)
        assert rig.states().count(DOWN) <= 1 and rig.health.state in (UP, DEGRADED), rtt
        rig.events = []
        rig.run(60_000)
        assert DOWN not in rig.states(), (rtt, rig.events)


def test_a_lost_probe_with_later_answers_is_no_suspicion():
    """With a long timeout later probes are answered before the lost one has had its time."""
    rig = Rig(lambda t: 100 + 200 * (t // 50 & 1), probe_ms=50).settled()
    lost = rig.t + 60
    rig.rtt = lambda t: None if lost <= t < lost + 50 else 1
    count = len(rig.probes)
    rig.run(5000)
    assert rig.states() == []
    # Nor is anything sent but the regular probes.
    assert len(rig.probes) - count <= 5000 // 50 + 1


def test_recovery_takes_three_answers():
    rig = Rig(40).settled()
    rig.rtt = lambda t: None
    rig.run(30_000)
    assert rig.states() == [DOWN] and "probes in a row without an answer" in rig.health.reason
    rig.rtt = lambda t: 40
    began, count = rig.t, len(rig.probes)
    rig.run(5000, lambda: rig.health.state == UP)
    assert len(rig.probes) - count == 3 and rig.t - began <= 3 * 250 + 40
    # The outage was no loss: what comes back is good.
    rig.run(30_000)
    assert rig.states() == [DOWN, UP]


def test_single_answers_do_not_raise_the_dead():
    rig = Rig(40).settled()
    rig.rtt = lambda t: None
    rig.run(5000)
    rig.rtt = lambda t: 40 if t // 250 % 3 else None
    rig.run(10_000)
    assert rig.states() == [DOWN]


def test_a_hub_that_never_answered_is_never_down_and_told_once():
    rig = Rig(None).run(60_000)
    assert [event[1:] for event in rig.events] == [(UNKNOWN, "the hub does not answer probes")]
    # It is asked seldom.
    assert len(rig.probes) < 20 + 60
    rig.rtt = lambda t: 40
    rig.run(10_000)
    assert rig.states() == [UNKNOWN, UP]


def _count(rig, seconds, per_second):
    """Tells once a second what the engine has received."""
    for _ in range(seconds):
        rig.run(1000)
        rig.received += per_second
        rig.health.traffic(0, rig.received, rig.now())
        rig.run(0)


def test_a_hub_that_answers_no_probes_but_pings_is_dead_when_silent():
    rig = Rig(None, start=PERIOD - 20_000)
    rig.received = 5000  # of an earlier session
    rig.health.traffic(0, 5000, rig.now())
    rig.health.start(rig.now(), 35_000)
    _count(rig, 34, 0)
    assert rig.states() == [UNKNOWN]
    _count(rig, 1, 0)
    assert rig.states() == [UNKNOWN, DOWN]
    assert rig.events[-1][2] == "neither an answer nor anything else for 35 s"
    _count(rig, 100, 40)
    assert rig.states() == [UNKNOWN, DOWN, UNKNOWN]
    _count(rig, 34, 0)
    assert rig.states() == [UNKNOWN, DOWN, UNKNOWN]
    _count(rig, 60, 0)
    assert rig.states() == [UNKNOWN, DOWN, UNKNOWN, DOWN]


def test_an_answer_ends_the_judgement_by_silence():
    rig = Rig(None)
    rig.received = 0
    rig.health.start(rig.now(), 8000)
    _count(rig, 10, 0)
    assert rig.states() == [UNKNOWN, DOWN]
    rig.rtt = lambda t: 40
    _count(rig, 60, 0)
    assert rig.states() == [UNKNOWN, DOWN, UP]


def test_silence_says_nothing_where_no_pings_are_known_of():
    rig = Rig(None)
    rig.received = 0
    _count(rig, 600, 0)
    assert rig.states() == [UNKNOWN]


def test_a_hub_that_answered_in_an_earlier_session_is_dead_when_silent():
    rig = Rig(40).settled()
    rig.health.stop(rig.now())
    assert rig.health.next_timer() is None
    rig.run(10_000)
    rig.rtt = lambda t: None
    rig.health.start(rig.now())
    assert rig.until_down() < 2000


def test_another_session_is_measured_anew():
    """It may go to another hub: what was measured before is no reason to be in a hurry."""
    rig = Rig(1).settled()
    rig.rtt = _lossy(30)
    rig.run(60_000)
    rig.health.stop(rig.now())
    rig.health.start(rig.now())
    rig.events = []
    rig.rtt = lambda t: 350
    rig.run(60_000)
    assert rig.states() == [UP] and rig.health.status(rig.now())["rtt_ms"] == 350


def test_our_own_absence_is_not_the_tunnels_fault():
    """SIGSTOP, a slow board: nobody called for a while, and the answers wait to be read."""
    for ms in (60, 200, 500, 2000, 10_000):
        for phase in range(0, 300, 10):
            rig = Rig(40).settled()
            rig.run(phase).pause(ms)
            rig.run(3000)
            assert DOWN not in rig.states(), (ms, phase)


def test_an_absence_within_a_suspicion_is_not_the_tunnels_fault():
    for ms in (60, 200, 2000):
        for phase in range(0, 600, 10):
            rig = Rig(40).settled()
            lost = rig.t + 250
            rig.rtt = lambda t, lost=lost: None if lost <= t < lost + 100 else 40
            rig.run(250 + phase)
            # It lasts so short a time that answers follow, which nobody reads.
            rig.pause(ms)
            rig.run(3000)
            assert DOWN not in rig.states(), (ms, phase)


def test_an_owner_that_is_always_late_notices_a_fault_all_the_same():
    rig = Rig(1).settled()
    rig.rtt = lambda t: None
    for _ in range(40):
        rig.pause(100)
    assert rig.states() == [DOWN]


def test_an_idle_tunnel_is_probed_less_often():
    rig = Rig(40, probe_ms=250, idle_probe_ms=2000).settled()

    totals = [0]

    def count(octets, seconds=20):
        before = len(rig.probes)
        for _ in range(seconds):
            totals[0] += octets
            rig.health.traffic(totals[0], 0, rig.now())
            rig.run(1000)
        return len(rig.probes) - before

    assert count(100_000) == 80
    assert 9 <= count(500) <= 14
    # Once it is busy, the next probe is soon due.
    count(100_000, 1)
    assert count(100_000, 1) == 4
    # A loss is looked into at once, however idle it is.
    count(0, 5)
    rig.rtt = lambda t: None
    assert rig.until_down() <= 2000 + 250


def test_what_the_engine_hears_is_a_part_of_the_reason():
    for octets, told in ((100, True), (0, False)):
        rig = Rig(1).settled()
        rig.rtt = lambda t: None
        while not rig.health.suspects:
            rig.run(10)
        rig.health.listen(5000)
        rig.run(50)
        rig.health.listen(5000 + octets)
        rig.until_down()
        assert rig.health.reason.endswith("the hub is heard") == told


def test_a_hub_that_begins_to_filter_probes_is_not_dead():
    for heard, expected in ((100, UNKNOWN), (0, DOWN)):
        rig = Rig(1).settled()
        rig.rtt = lambda t: None
        rig.health.stop(rig.now())
        rig.health.start(rig.now())
        octets = 0
        for _ in range(200):
            rig.run(10)
            octets += heard
            if rig.health.suspects:
                rig.health.listen(octets)
        assert rig.health.state == expected
        assert ("no longer answers" in rig.health.reason) == (heard > 0)


def test_without_probes_nothing_is_known():
    rig = Rig(40, probe_ms=0)
    assert rig.health.next_timer() is None
    rig.run(10_000)
    assert rig.probes == [] and rig.events == [] and rig.health.state == UNKNOWN
    status = rig.health.status(rig.now())
    assert (status["state"], status["rtt_ms"], status["loss"]) == ("unknown", None, 0)


def test_the_wraps_of_ticks_and_sequences():
    plain = Rig(_lossy(20)).run(120_000)
    for start, first in ((PERIOD - 60_000, b"\0\0"), (PERIOD - 1, b"\xff\xf0"), (0, b"\xff\xff")):
        rig = Rig(_lossy(20), start=start, first=first).run(120_000)
        assert rig.probes == plain.probes and rig.events == plain.events, (start, first)


def test_a_microsecond_clock_that_wraps_early_is_not_believed():
    """32-bit ports: it wraps after 2^30, every 18 minutes."""
    rig = Rig(40).settled()
    health = rig.health
    health.handle_timer(ticks_add(rig.now(), 250))
    sequence = health.next_probe()
    health.sent(rig.now(), (1 << 30) - 1000)
    health.received(sequence, ticks_add(rig.now(), 40), 39_000)
    assert health.status(rig.now())["rtt_ms"] < 41 and health.state == UP


def test_answers_to_nothing_are_passed_over():
    rig = Rig(None)
    rig.run(1000)
    sent = len(rig.probes)
    for sequence in (sent, sent + 1, 0x8000, 0xFFFF, sent - 64):
        rig.health.received(sequence & 0xFFFF, rig.now(), rig.t * 1000)
    assert rig.health.state == UNKNOWN
    rig.health.received(sent - 1, rig.now(), rig.t * 1000)
    assert rig.health.state == UP
    row = [rig.health.received(sent - 1, rig.now(), rig.t * 1000) for _ in range(3)]
    assert row == [None] * 3 and rig.health.next_event()[0] == UP
    assert rig.health.next_event() is None
    rig.health.stop(rig.now())
    rig.health.received(sent - 2, rig.now(), rig.t * 1000)
    assert rig.health.next_event() is None


def _exchange(health, now, times):
    """Probes that are answered after 1 ms."""
    for _ in range(times):
        now += 250
        health.handle_timer(now)
        sequence = health.next_probe()
        health.sent(now, now * 1000)
        health.received(sequence, now + 1, now * 1000 + 1000)
        health.handle_timer(now + 1)
        health.traffic(now, now, now)


def test_steady_state_allocates_nothing():
    health = Health(Settings(), lambda n: b"\0\0")
    health.start(0)
    _exchange(health, 0, 40)
    assert health.state == UP
    heap_lock(strict=SMALL_ADDRESSES)
    try:
        _exchange(health, 10_000, 100)
    finally:
        heap_unlock()
    # The deadline is put together from several, which makes garbage but leaves none.
    heap_lock(strict=not _MICROPYTHON)
    try:
        for _ in range(100):
            health.next_timer()
    finally:
        heap_unlock()
