"""Recognises two clients with one certificate, each of which ends the other's session.

An OpenVPN server without `duplicate-cn` drops a client when another one comes with the same
certificate, and tells it nothing. Where two boards have it, each sees the same: its session falls
silent after a short life, the next attempt succeeds at once, and so on without end. Where it is
the path that comes and goes, an attempt takes until the path is back.
"""

from micropython import const

from branchline.wire.ticks import ticks_diff

_SHORT_MS = const(120_000)  # a session that lived longer was not taken over
_QUICK_MS = const(1_500)  # of a handshake: the path was not gone
_ROUNDS = const(4)
_FIRST_WAIT_MS = const(60_000)
_MAX_WAIT_MS = const(600_000)


class Contention:
    """Hears of one tunnel's sessions; `rounds` is how many in a row looked taken over."""

    def __init__(self):
        self.rounds = 0
        self._up_since = None

    def came_up(self, attempts, took_ms, now):
        """A session begins, after so many attempts, the last of which took so long."""
        if attempts != 1 or took_ms >= _QUICK_MS:
            self.rounds = 0
        self._up_since = now

    def ended(self, silent, now):
        """The session is over; silent: it fell silent or its stream broke, without a word of the
        server's. Returns how long to stay away in ms, 0 where nothing is suspected."""
        short = self._is_short(now)
        self._up_since = None
        if not silent or not short:
            self.rounds = 0
            return 0
        self.rounds += 1
        if self.rounds < _ROUNDS:
            return 0
        return min(_FIRST_WAIT_MS << min(self.rounds - _ROUNDS, 8), _MAX_WAIT_MS)

    def _is_short(self, now):
        """Whether the session is younger than one that was not taken over."""
        return self._up_since is not None and 0 <= ticks_diff(now, self._up_since) < _SHORT_MS

    def is_suspected(self, now):
        """Whether the last sessions looked taken over, and the present one may end so, too."""
        return self.rounds >= _ROUNDS and (self._up_since is None or self._is_short(now))
