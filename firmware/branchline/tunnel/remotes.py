"""Which remote to try next, and how long to wait before it.

OpenVPN manual, --remote, --remote-random, --connect-retry, --connect-retry-max: the remotes are
tried in turn; a remote that worked is tried again first; after five rounds without success the
wait doubles with every further one.
"""

from micropython import const

_PATIENT_ROUNDS = const(5)
_MAX_ADDRESSES = const(8)


class Remotes:
    """The remotes of a profile in the order to try them; random(n) -> n random octets."""

    def __init__(self, profile, random):
        self._remotes = list(profile.remotes)
        self._first_wait, self._max_wait = profile.connect_retry
        self._max_rounds = profile.connect_retry_max
        self._random = random
        self._index = 0
        self._addresses = []
        self._failures = 0
        if profile.remote_random:
            self._shuffle()

    def _shuffle(self):
        remotes = self._remotes
        for last in range(len(remotes) - 1, 0, -1):
            other = int.from_bytes(self._random(4), "big") % (last + 1)
            remotes[last], remotes[other] = remotes[other], remotes[last]

    def current(self):
        """The openvpn.profile.Remote to try now."""
        return self._remotes[self._index]

    def resolved(self, addresses):
        """The current remote's name has these addresses (octets each), best first."""
        self._addresses = list(addresses[:_MAX_ADDRESSES])

    def address(self):
        """The current remote's address to try now, or None before resolved()."""
        return self._addresses[0] if self._addresses else None

    def succeeded(self):
        """The current remote works: the next attempt begins with it, without delay."""
        self._failures = 0

    def failed(self):
        """The current address does not work: on to the next one, then to the next remote.

        Returns False when connect-retry-max rounds have failed.
        """
        if self._addresses:
            self._addresses.pop(0)
        if not self._addresses:
            self._failures += 1
            self._index = (self._index + 1) % len(self._remotes)
        return not self._max_rounds or self._failures < self._max_rounds * len(self._remotes)

    def again(self):
        """Has the current remote's name resolved anew at the next attempt."""
        self._addresses = []

    def wait_ms(self):
        """How long to wait before the next attempt."""
        doublings = self._failures // len(self._remotes) - _PATIENT_ROUNDS
        if doublings <= 0:
            return self._first_wait * 1000
        return min(self._first_wait << min(doublings, 16), self._max_wait) * 1000
