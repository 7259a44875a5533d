"""What is decided about one tunnel: how much it may carry, and what of it is to be restarted.

It joins the tunnel's health, its damping and its ladder; the owner moves probes, tells routing the
penalty, and carries out the steps.
"""

from micropython import const

from branchline.watchdog import health as h
from branchline.watchdog.damping import Damping
from branchline.watchdog.health import Health
from branchline.watchdog.ladder import Ladder, Rung
from branchline.wire.ticks import earliest

# RFC 8966 2.2. Babel's own constant would load its code where nobody routes.
INFINITY = const(0xFFFF)
# More than what delay can make of a cost (96 + 96), so that a good tunnel is always better.
_DEGRADED = const(256)

# Events: (kind, detail).
CHANGED = const(1)  # what penalty() says, or may say; detail: (event, reason), or None: no news
STEP = const(2)  # detail: (rung, reason)

# Steps.
REBIND = "rebind"
RESTART = "restart"
ENGINE = "engine"
_ENGINE_MS = const(60_000)


class Guard:
    """settings: app.settings.Watchdog; random(n): n octets; restart_ms: how long an established
    session may be dead before it is made anew."""

    def __init__(self, name, settings, random, restart_ms):
        self.name = name
        self.health = Health(settings, random)
        self.damping = Damping(settings)
        self.ladder = Ladder(
            [
                Rung(REBIND, 0, 720),
                Rung(RESTART, restart_ms, settings.restarts_per_hour),
                Rung(ENGINE, _ENGINE_MS, settings.engines_per_hour),
            ]
        )
        self.is_up = False
        self._suppressed = False
        self._events = []

    # ---- what happens to the tunnel ----

    def tunnel_up(self, probed, now, quiet_ms=None, phase=None):
        """Its session begins; probed: whether there is a way to probe it; quiet_ms: as of
        tunnel.engine.Link; phase: of Health."""
        self.is_up = True
        if probed:
            self.health.start(now, quiet_ms, phase)
        if not probed or not self.health.ever_answered:
            # The session is all there is to know.
            self.ladder.end()
        self._events.append((CHANGED, None))

    def tunnel_down(self, wanted, now):
        """Its session ended; wanted: as it should, which is no flap."""
        was_usable = self.is_usable()
        self.is_up = False
        self.health.stop(now)
        self.ladder.begin(now)
        if was_usable and not wanted:
            self._penalise(now)
        self._events.append((CHANGED, None))

    def is_usable(self):
        """Whether packets get through, as far as is known."""
        return self.is_up and self.health.state != h.DOWN

    @property
    def is_damped(self):
        """Whether it has flapped too often to carry anything for a while."""
        return self._suppressed

    def penalty(self):
        """What routing adds to the cost; INFINITY: nothing goes this way. Damping is the
        owner's to weigh against the state of the other tunnels."""
        if not self.is_usable():
            return INFINITY
        return _DEGRADED if self.health.state == h.DEGRADED else 0

    # ---- time and events ----

    def handle_timer(self, now, forbidden=lambda name: ""):
        """Time has passed; forbidden(rung): why a step may not be taken, or ""."""
        self.health.handle_timer(now)
        self.drain(now)
        # Asked at any rate: what is not looked at for days decays no more (wire.ticks).
        suppressed = self.damping.is_suppressed(now)
        if self._suppressed and not suppressed:
            self._suppressed = False
            self._tell(CHANGED, "reused", "it has been quiet for long enough")
        rung = self.ladder.take(now, forbidden)
        if rung:
            self._tell(STEP, rung, self.health.reason if self.is_up else "no session")

    def next_timer(self):
        """The tick of the earliest deadline, or None."""
        return earliest(
            self.health.next_timer(),
            self.damping.next_timer() if self._suppressed else None,
            self.ladder.next_timer(),
        )

    def drain(self, now):
        """Takes the news of the health; to be called after received()."""
        while event := self.health.next_event():
            state, reason = event
            if state == h.DOWN:
                self._penalise(now)
                self.ladder.begin(now)
            else:
                self.ladder.end()
            self._tell(CHANGED, "health", h.STATE_NAMES[state] + ": " + reason)

    def _penalise(self, now):
        if self.damping.penalise(now) and not self._suppressed:
            self._suppressed = True
            self._tell(CHANGED, "suppressed", "it flaps: it carries nothing until it is quiet")

    def _tell(self, kind, event, reason):
        self._events.append((kind, (event, reason)))

    def next_event(self):
        """The next (kind, detail), or None."""
        return self._events.pop(0) if self._events else None

    def status(self, now):
        """A dict of JSON values: `health` and `damping`."""
        return {
            "health": self.health.status(now),
            "damping": self.damping.status(now),
            "waits_for": self.ladder.waits_for or None,
        }
