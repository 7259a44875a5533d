"""Recognises two clients with one certificate, each of which ends the other's session.

An OpenVPN server without `duplicate-cn` drops a client when another one comes with the same
certificate, and tells it nothing. Where two boards have it, each sees the same: its session falls
silent after a short life, the next attempt succeeds at once, and so on without end. Where it is
the path that comes and goes, an attempt takes until the path is back.

A session's life ends with the last that was heard, not when the silence was noticed: that may take
two minutes. A board that notices late leaves the other one as long a life, so a life of up to
twice that time is a short one, too.
"""

from micropython import const

from branchline.wire.ticks import ticks_add, ticks_diff

_SHORT_MS = const(120_000)  # a session that lived longer was not taken over
_LONG_MS = const(3_600_000)  # nor, however late silence is noticed, one that lived so long
# A handshake that took so much longer than the fastest: its first packets were lost, the path was
# gone. OpenVPN sends again after 2 s.
_SLOWER_MS = const(1_500)
_ROUNDS = const(4)
_FIRST_WAIT_MS = const(60_000)
_MAX_WAIT_MS = const(600_000)


class Contention:
    """Hears of one tunnel's sessions; `rounds` is how many in a row looked taken over."""

    def __init__(self):
        self.rounds = 0
        self._up_since = None
        self._heard = 0
        self._fastest_ms = None
        self._short_ms = _SHORT_MS

    def came_up(self, attempts, took_ms, now):
        """A session begins, after so many attempts, the last of which took so long."""
        if self._fastest_ms is None or took_ms < self._fastest_ms:
            self._fastest_ms = took_ms
        if attempts != 1 or took_ms - self._fastest_ms >= _SLOWER_MS:
            self.rounds = 0
        self._up_since = self._heard = now

    def heard(self, now):
        """The server was heard just now; to be told about once a second."""
        self._heard = now
        if self._up_since is not None and self._age(now) >= _LONG_MS:
            # It grows no older, or the ticks would go round.
            self._up_since = ticks_add(now, -_LONG_MS)

    def ended(self, silent, now):
        """The session is over; silent: it fell silent or its stream broke, without a word of the
        server's. Returns how long to stay away in ms, 0 where nothing is suspected."""
        self._short_ms = min(max(_SHORT_MS, 2 * ticks_diff(now, self._heard)), _LONG_MS)
        short = self._is_short(self._heard)
        self._up_since = None
        if not silent or not short:
            self.rounds = 0
            return 0
        self.rounds += 1
        if self.rounds < _ROUNDS:
            return 0
        return min(_FIRST_WAIT_MS << min(self.rounds - _ROUNDS, 8), _MAX_WAIT_MS)

    def _age(self, now):
        return ticks_diff(now, self._up_since)

    def _is_short(self, now):
        """Whether the session is younger than one that was not taken over."""
        return self._up_since is not None and 0 <= self._age(now) < self._short_ms

    def is_suspected(self, now):
        """Whether the last sessions looked taken over, and the present one may end so, too."""
        return self.rounds >= _ROUNDS and (self._up_since is None or self._is_short(now))
