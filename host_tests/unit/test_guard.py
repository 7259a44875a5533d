"""watchdog.guard: what a tunnel may carry, what counts as a flap, and which steps are wanted."""

from branchline.watchdog.guard import CHANGED, ENGINE, INFINITY, REBIND, RESTART, STEP, Guard
from branchline.watchdog.health import DEGRADED, DOWN, UNKNOWN, UP
from branchline.wire.ticks import PERIOD, ticks_add, ticks_diff

_DEGRADED_COST = 256


class Settings:
    probe_ms = idle_probe_ms = 250
    half_life_s = 60
    suppress = 3000
    reuse = 1000
    max_suppress_s = 300
    restarts_per_hour = 60
    engines_per_hour = 6


class Rig:
    """A Guard whose probes are answered after 1 ms while `answering`."""

    def __init__(self, answering=True, **settings):
        chosen = Settings()
        for name, value in settings.items():
            setattr(chosen, name, value)
        self.guard = Guard("paris", chosen, lambda n: b"\0\0", 3000)
        self.answering = answering
        self.forbidden = {}
        self.steps = []  # (ms since the start, rung, reason)
        self.news = []  # (event, reason)
        self.ms = 0

    def now(self):
        return ticks_add(PERIOD - 30_000, self.ms)

    def up(self, probed=True):
        self.guard.tunnel_up(probed, self.now())
        return self

    def down(self, wanted=False):
        self.guard.tunnel_down(wanted, self.now())
        return self

    def _listen(self):
        changed = False
        while event := self.guard.next_event():
            kind, detail = event
            if kind == STEP:
                self.steps.append((self.ms, detail[0], detail[1]))
            else:
                assert kind == CHANGED
                changed = True
                if detail:
                    self.news.append(detail)
        return changed

    def run(self, ms):
        end = self.ms + ms
        guard = self.guard
        while True:
            guard.handle_timer(self.now(), lambda name: self.forbidden.get(name, ""))
            sequence = guard.health.next_probe()
            if sequence >= 0:
                guard.health.sent(self.now(), self.ms * 1000)
                if self.answering:
                    us = self.ms * 1000 + 1000
                    guard.health.received(sequence, ticks_add(self.now(), 1), us)
                    guard.drain(self.now())
            self._listen()
            if self.ms == end:
                return self
            due = guard.next_timer()
            wait = end - self.ms if due is None else max(1, ticks_diff(due, self.now()))
            self.ms += min(end - self.ms, wait)

    def flap(self, ms=3000):
        """The path is gone for so long, and back."""
        self.answering = False
        self.run(ms)
        self.answering = True
        self.run(1500)

    def events(self):
        return [event for event, _ in self.news]


def test_the_penalty_follows_the_state():
    rig = Rig()
    guard = rig.guard
    assert not guard.is_usable() and guard.penalty() == INFINITY
    guard.tunnel_up(True, rig.now())
    for state, usable, penalty in (
        (UNKNOWN, True, 0),
        (UP, True, 0),
        (DEGRADED, True, _DEGRADED_COST),
        (DOWN, False, INFINITY),
    ):
        guard.health.state = state
        assert (guard.is_usable(), guard.penalty()) == (usable, penalty)
    guard.health.state = UP
    guard.tunnel_down(True, rig.now())
    assert not guard.is_usable() and guard.penalty() == INFINITY


def test_each_change_is_told():
    rig = Rig().up()
    assert rig._listen() and rig.news == []
    rig.run(1000)
    rig.answering = False
    rig.run(1000)
    rig.answering = True
    rig.run(1000)
    assert [event for event in rig.events() if event != "health"] == []
    assert [reason.split(":")[0] for _, reason in rig.news] == ["up", "down", "up"]
    rig.down(True)
    assert rig._listen()


def test_a_wanted_end_is_no_flap():
    rig = Rig()
    for _ in range(10):
        rig.up().run(1000).down(True).run(1000)
    assert rig.guard.status(rig.now())["damping"]["penalty"] == 0
    assert "suppressed" not in rig.events()


def test_one_trouble_is_one_flap():
    """Silence, and the end of the session that follows from it."""
    rig = Rig().up().run(2000)
    rig.answering = False
    rig.run(2000)
    assert 950 < rig.guard.status(rig.now())["damping"]["penalty"] <= 1000
    rig.down().run(100)
    assert rig.guard.status(rig.now())["damping"]["penalty"] <= 1000


def test_an_end_of_a_session_that_worked_is_a_flap():
    for answering in (True, False):
        rig = Rig(answering).up().run(2000).down()
        assert rig.guard.status(rig.now())["damping"]["penalty"] == 1000


def test_flaps_suppress_and_quiet_allows_again():
    rig = Rig().up().run(2000)
    for _ in range(4):
        assert not rig.guard.is_damped
        rig.flap()
    assert rig.guard.is_damped and rig.events().count("suppressed") == 1
    assert rig.guard.health.state == UP
    # Whether that matters is for the owner to weigh.
    assert rig.guard.is_usable() and rig.guard.penalty() == 0
    rig.flap()
    assert rig.events().count("suppressed") == 1
    rig.run(200_000)
    assert not rig.guard.is_damped and rig.events().count("reused") == 1
    assert rig.guard.status(rig.now())["damping"]["reuse_in_s"] is None


def test_next_timer_covers_the_reuse():
    rig = Rig(False).up()
    guard = rig.guard
    for _ in range(5):
        guard.tunnel_up(True, rig.now())
        guard.tunnel_down(False, rig.now())
    guard.ladder.end()
    assert guard.is_damped
    due = guard.next_timer()
    assert due == guard.damping.next_timer()
    guard.handle_timer(ticks_add(due, -1))
    assert guard.is_damped
    guard.handle_timer(due)
    assert not guard.is_damped


def test_old_flaps_are_forgotten_without_a_suppression():
    """Nobody asks for a penalty that suppresses nothing; ticks wrap all the same."""
    rig = Rig().up()
    for _ in range(8):
        rig.guard.tunnel_down(False, rig.now())
        rig.guard.tunnel_up(True, rig.now())
        for _ in range(7):
            rig.ms += 24 * 3_600_000
            rig.guard.handle_timer(rig.now())
    assert not rig.guard.is_damped


def test_silence_takes_the_steps_in_turn():
    rig = Rig().up().run(2000)
    rig.answering = False
    rig.run(130_000)
    times = {}
    for ms, rung, reason in rig.steps:
        times.setdefault(rung, []).append(ms - rig.steps[0][0])
        assert "without an answer" in reason
    assert times == {REBIND: [0], RESTART: [3000], ENGINE: [60_000, 120_000]}


def test_an_answer_ends_the_steps():
    rig = Rig().up().run(2000)
    rig.flap(2500)
    rig.run(200_000)
    assert [rung for _, rung, _ in rig.steps] == [REBIND]


def test_a_session_that_does_not_come_back_takes_the_steps():
    rig = Rig().up().run(2000).down().run(70_000)
    assert [rung for _, rung, _ in rig.steps] == [REBIND, RESTART, ENGINE]
    assert rig.steps[2][2] == "no session"


def test_a_session_that_comes_back_dead_goes_on_with_the_steps():
    rig = Rig().up().run(2000)
    rig.answering = False
    rig.down().run(500)
    rig.up().run(70_000)
    assert [rung for _, rung, _ in rig.steps] == [REBIND, RESTART, ENGINE]


def test_a_hub_that_answers_no_probes_is_not_restarted_for_that():
    rig = Rig(answering=False)
    for _ in range(3):
        rig.up().run(20_000).down().run(500)
    rig.steps = []
    rig.up().run(600_000)
    assert rig.steps == [] and rig.guard.is_usable()


def test_a_session_without_probes_counts_as_working():
    rig = Rig().up().run(2000)
    rig.answering = False
    rig.run(1500)
    assert not rig.guard.is_usable()
    # The next one is with a hub that has no address to probe.
    rig.down().up(probed=False)
    rig.steps = []
    rig.run(600_000)
    assert rig.steps == [] and rig.guard.is_usable() and rig.guard.penalty() == 0
    assert rig.guard.status(rig.now())["health"]["state"] == "unknown"


def test_what_is_forbidden_waits():
    rig = Rig().up().run(2000)
    rig.forbidden = {ENGINE: "another tunnel works"}
    rig.answering = False
    rig.run(100_000)
    assert [rung for _, rung, _ in rig.steps] == [REBIND, RESTART]
    assert rig.guard.status(rig.now())["waits_for"] == "another tunnel works"
    rig.forbidden = {}
    rig.run(6000)
    assert rig.steps[2][1] == ENGINE and rig.guard.status(rig.now())["waits_for"] is None


def test_steps_that_are_not_allowed_at_all():
    rig = Rig(restarts_per_hour=0, engines_per_hour=0).up().run(2000)
    rig.answering = False
    rig.run(60_000)
    assert {rung for _, rung, _ in rig.steps} == {REBIND} and len(rig.steps) <= 13
