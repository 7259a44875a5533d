"""Decides whether the hardware watchdog may be fed: only while every part makes progress."""

from micropython import const

from branchline.wire.ticks import ticks_add, ticks_diff

FEED_MS = const(1000)
PATIENCE_MS = const(5000)

# After a pause of the whole process every timer is late: each part gets some turns first.
_TURNS = const(3)


class _Part:
    """One registered part; `turns`: checks in a row without progress, the first at `since`."""

    def __init__(self, name):
        self.name = name
        self.turns = 0
        self.since = 0
        self.reason = ""
        self.told = False

    def look(self, now):
        """Whether it is stuck."""
        reason, late_ms = self.fault(now)
        if not reason:
            self.turns = 0
            self.reason = ""
            return False
        if not self.turns:
            self.since = now
        self.turns += 1
        if max(late_ms, ticks_diff(now, self.since)) > PATIENCE_MS and self.turns > _TURNS:
            self.reason = reason
        return self.reason != ""


class _Timers(_Part):
    def __init__(self, name, next_timer):
        super().__init__(name)
        self._next_timer = next_timer

    def fault(self, now):
        due = self._next_timer()
        late_ms = 0 if due is None else ticks_diff(now, due)
        # A core that works may well have a timer that is just due.
        if late_ms < FEED_MS:
            return "", 0
        return "a timer is overdue by %d ms" % late_ms, late_ms


class _Work(_Part):
    def __init__(self, name, waiting, moved):
        super().__init__(name)
        self._waiting = waiting
        self._moved = moved
        self._before = moved()

    def fault(self, now):
        moved = self._moved()
        before = self._before
        self._before = moved
        return "work waits and none is done" if moved == before and self._waiting() else "", 0


class Progress:
    """The registered parts. Every FEED_MS: `if progress.check(now): feed the hardware watchdog`.

    A part that is stuck for more than PATIENCE_MS, seen in several checks in a row, is told once
    by next_event(), and again when it moves.
    """

    def __init__(self, now):
        self._parts = {}
        self._due = now

    def watch_timers(self, name, next_timer):
        """A core: stuck while the tick of next_timer() lies more than PATIENCE_MS in the past."""
        self._parts[name] = _Timers(name, next_timer)

    def watch_work(self, name, waiting, moved):
        """A path for packets, or the turns of a loop: moved() returns a counter of what was done,
        and stands still in a part that is stuck while waiting() is true.

        What may not be moved now is not waiting, such as packets in a device while a TCP transport
        takes no more.
        """
        self._parts[name] = _Work(name, waiting, moved)

    def forget(self, name):
        """The part ends, as when its tunnel does; nothing happens if there is none."""
        self._parts.pop(name, None)

    def next_timer(self):
        """The tick of the next check."""
        return self._due

    def check(self, now):
        """Looks at every part; returns whether all make progress."""
        self._due = ticks_add(now, FEED_MS)
        good = True
        for part in self._parts.values():
            if part.look(now):
                good = False
        return good

    def next_event(self):
        """("stuck", name, reason) or ("moves", name, "") of a part that began to be either, or
        None when there is no more."""
        for part in self._parts.values():
            stuck = part.reason != ""
            if stuck != part.told:
                part.told = stuck
                return "stuck" if stuck else "moves", part.name, part.reason
        return None

    def stuck(self):
        """The names of the parts that are stuck."""
        return [part.name for part in self._parts.values() if part.reason]
