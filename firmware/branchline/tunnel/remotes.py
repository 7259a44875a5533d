"""Which remote to try next, and how long to wait before it.

OpenVPN manual, --remote, --remote-random, --connect-retry, --connect-retry-max: the remotes are
tried in turn; a remote that worked is tried again first; after five rounds without success the
wait doubles with every further one.
"""

from micropython import const

_PATIENT_ROUNDS = const(5)
_MAX_ADDRESSES = const(8)
# connect-retry's own maximum, 300 s, suits a laptop: a hub that is back is to be found soon, and
# an attempt costs a few packets.
_MAX_WAIT_S = const(30)


class Remotes:
    """remotes: list of openvpn.profile.Remote, in the profile's order; retry: tunnel.engine.Retry;
    random(n) -> n random octets."""

    def __init__(self, remotes, retry, random):
        self._remotes = remotes
        self._order = list(range(len(remotes)))
        self._retry = retry
        self._random = random
        self._at = 0
        self._addresses = []
        self._worked = None  # the address that was in use last
        self._failures = 0
        if retry.random:
            self._shuffle()

    def _shuffle(self):
        order = self._order
        for last in range(len(order) - 1, 0, -1):
            other = int.from_bytes(self._random(4), "big") % (last + 1)
            order[last], order[other] = order[other], order[last]

    @property
    def index(self):
        """The current remote's place in the profile's order."""
        return self._order[self._at]

    def current(self):
        """The openvpn.profile.Remote to try now."""
        return self._remotes[self.index]

    def resolved(self, addresses):
        """The current remote's name has these addresses (octets each), best first; one that
        worked goes before the others."""
        self._addresses = list(addresses[:_MAX_ADDRESSES])
        if self._worked in self._addresses:
            self._addresses.remove(self._worked)
            self._addresses.insert(0, self._worked)

    def address(self):
        """The current remote's address to try now, or None before resolved()."""
        return self._addresses[0] if self._addresses else None

    def has_others(self):
        """Whether there is another address or remote to try."""
        return len(self._addresses) > 1 or len(self._remotes) > 1

    def succeeded(self):
        """The current remote works: the next attempt begins with it, without delay."""
        self._failures = 0
        self._worked = self._addresses[0]

    def failed(self):
        """The current address does not work: on to the next one, then to the next remote.

        Returns False when connect-retry-max rounds have failed.
        """
        if self._addresses:
            self._addresses.pop(0)
        if not self._addresses:
            self._failures += 1
            self._at = (self._at + 1) % len(self._remotes)
        most = self._retry.max_rounds
        return not most or self._failures < most * len(self._remotes)

    def again(self):
        """Has the current remote's name resolved anew at the next attempt."""
        self._addresses = []

    def better(self):
        """The index of a UDP remote that the profile names before the current one, if that is
        reached by TCP; None if there is none."""
        if self.current().is_tcp():
            for index in self._order[: self._at]:
                if not self._remotes[index].is_tcp():
                    return index
        return None

    def host(self, index):
        """(host, address family) of a remote."""
        return self._remotes[index].host, self._remotes[index].family()

    def jump(self, index, address):
        """The next attempt goes to that remote at that address."""
        self._at = self._order.index(index)
        self._addresses = [address]

    def wait_ms(self):
        """How long to wait before the next attempt; up to a quarter more or less, so that the
        clients of a hub that was away do not come all at once."""
        retry = self._retry
        doublings = self._failures // len(self._remotes) - _PATIENT_ROUNDS
        wait = retry.first_s
        if doublings > 0:
            most = _MAX_WAIT_S if retry.max_s is None else retry.max_s
            wait = min(wait << min(doublings, 16), max(most, wait))
        return wait * (768 + 2 * self._random(1)[0]) * 1000 >> 10
