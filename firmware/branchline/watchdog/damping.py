"""Flap damping of one tunnel, as RFC 2439 has it for a route.

Each flap adds to a penalty that decays by half in a half-life. Above `suppress` the tunnel is
suppressed, until the penalty has fallen to `reuse`. The penalty has a ceiling from which it takes
`max_suppress_s` to fall to `reuse` (RFC 2439 4.2), so no tunnel is suppressed for longer after its
last flap.
"""

from micropython import const

from branchline.wire.ticks import ticks_add, ticks_diff

_FLAP = const(1000)
# Behind this many half-lives no penalty is left.
_MAX_HALVES = const(40)
# So many double a `reuse` beyond every `suppress`.
_MAX_GROWN = const(20)


class Damping:
    """settings: half_life_s, suppress (0: never), reuse, max_suppress_s. `ceiling`: the greatest
    penalty there is."""

    def __init__(self, settings):
        self._half_life_ms = settings.half_life_s * 1000
        self._suppress = settings.suppress
        self._reuse = settings.reuse
        self.ceiling = self._grown(settings.reuse, settings.max_suppress_s * 1000)
        self._penalty = 0
        self._stamp = 0
        self._suppressed = False

    def penalise(self, now):
        """Counts a flap; whether the tunnel is suppressed."""
        self._penalty = min(self._decay(now) + _FLAP, self.ceiling)
        self._stamp = now
        if self._suppress and self._penalty > self._suppress:
            self._suppressed = True
        return self._suppressed

    def is_suppressed(self, now):
        """Whether it is still suppressed."""
        self._decay(now)
        return self._suppressed

    def next_timer(self):
        """The tick at which the tunnel is to be used again, or None while it is not suppressed."""
        if not self._suppressed:
            return None
        return ticks_add(self._stamp, self._time_to_reuse())

    def status(self, now):
        """A dict of JSON values."""
        penalty = self._decay(now)
        left = None
        if self._suppressed:
            left = (max(0, ticks_diff(self.next_timer(), now)) + 999) // 1000
        return {"penalty": penalty, "suppressed": self._suppressed, "reuse_in_s": left}

    def _decay(self, now):
        """Brings the penalty up to now, and tells its present value.

        Only whole halvings move the stamp: the value in between is always reckoned from there, so
        that it is the same however often somebody looks.
        """
        half_life = self._half_life_ms
        elapsed = max(0, ticks_diff(now, self._stamp)) if self._penalty else 0
        halves = elapsed // half_life
        if halves:
            self._penalty >>= min(halves, _MAX_HALVES)
            self._stamp = ticks_add(self._stamp, halves * half_life)
            elapsed -= halves * half_life
        # Between two halvings a straight line is near enough.
        penalty = self._penalty - self._penalty * elapsed // (2 * half_life)
        if penalty <= self._reuse:
            self._suppressed = False
        return penalty

    def _time_to_reuse(self):
        """The ms from the stamp until the penalty is `reuse`."""
        penalty = self._penalty
        time = 0
        while penalty >> 1 > self._reuse:
            penalty >>= 1
            time += self._half_life_ms
        if penalty > self._reuse:
            over = (penalty - self._reuse) * 2 * self._half_life_ms
            time += min(self._half_life_ms, (over + penalty - 1) // penalty)
        return time

    def _grown(self, value, ms):
        """The greatest penalty that takes at most so long to fall to `value`."""
        half_life = self._half_life_ms
        halves = min(ms // half_life, _MAX_GROWN)
        return (value * 2 * half_life // (2 * half_life - ms % half_life)) << halves
