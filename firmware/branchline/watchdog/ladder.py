"""The ladder: what is restarted when something does not work, in what order, and how often.

Each rung is taken when the trouble has lasted for its time. The last one is taken again after the
same time, at least 5 s. Nothing is taken more often than its limit for an hour allows, nor while
it is forbidden or the ladder is paused: then it waits.
"""

from micropython import const

from branchline.wire.ticks import ticks_add, ticks_diff

_HOUR_MS = const(3_600_000)
# When a rung that had to wait is looked at again; and the least between two steps of the last.
_AGAIN_MS = const(5000)


class Rung:
    """name; after_ms: how long the trouble has to last; per_hour: how often at most, 0: never."""

    def __init__(self, name, after_ms, per_hour):
        self.name = name
        self.after_ms = after_ms
        self.per_hour = per_hour
        self._taken = []

    def is_spent(self, now):
        """Whether the limit of an hour is reached."""
        self._taken = [tick for tick in self._taken if 0 <= ticks_diff(now, tick) < _HOUR_MS]
        return len(self._taken) >= self.per_hour

    def take(self, now):
        """Counts it as taken."""
        self._taken.append(now)


class Ladder:
    """rungs: a list of Rung, by `after_ms`; those with a limit of 0 are left out."""

    def __init__(self, rungs):
        self._rungs = [rung for rung in rungs if rung.per_hour]
        self._since = self._due = None
        self._at = 0
        self._paused = False
        self.waits_for = ""  # why the rung that is due is not taken

    def begin(self, now):
        """There is trouble; nothing happens if it is known."""
        if self._since is None and self._rungs:
            self._since = now
            self._at = 0
            self._arm()

    def end(self):
        """All is well."""
        self._since = self._due = None
        self.waits_for = ""

    @property
    def in_trouble(self):
        """Whether begin() was called after the last end()."""
        return self._since is not None

    def pause(self, paused, now):
        """While paused no rung is taken; after it the trouble counts as fresh."""
        if paused == self._paused:
            return
        self._paused = paused
        if self._since is not None:
            self._since = now
            self._at = 0
            self._arm()

    def _arm(self):
        rung = self._rungs[self._at]
        self._due = None if self._paused else ticks_add(self._since, rung.after_ms)

    def next_timer(self):
        """The tick at which a rung is to be looked at, or None."""
        return self._due

    def take(self, now, forbidden=lambda name: ""):
        """The name of the rung to take now, or None; forbidden(name): why not, or ""."""
        if self._due is None or ticks_diff(now, self._due) < 0:
            return None
        rung = self._rungs[self._at]
        self.waits_for = forbidden(rung.name)
        if not self.waits_for and rung.is_spent(now):
            self.waits_for = "%d times in an hour are enough" % rung.per_hour
        if self.waits_for:
            self._due = ticks_add(now, _AGAIN_MS)
            return None
        rung.take(now)
        if self._at + 1 < len(self._rungs):
            self._at += 1
            self._arm()
        else:
            self._due = ticks_add(now, max(rung.after_ms, _AGAIN_MS))
        return rung.name
