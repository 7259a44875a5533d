"""A safe start, after several that crashed: it lasts for a while, then a full one is tried."""

from micropython import const

from branchline.wire.ticks import ticks_add, ticks_diff

_LASTS_MS = const(600_000)


class SafeMode:
    """leave() is called once the time is over."""

    def __init__(self, leave, now):
        self._leave = leave
        self._until = ticks_add(now, _LASTS_MS)

    def next_timer(self):
        """The tick of its end."""
        return self._until

    def handle_timer(self, now):
        """Time has passed."""
        if ticks_diff(now, self._until) >= 0:
            self._leave()
