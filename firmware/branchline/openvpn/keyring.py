"""The data-channel keys of a session: which one seals, which ones open.

A renegotiation adds a key. Both ends know it at slightly different moments, so the old one goes
on sealing until the peer has used the new one, the next negotiation begins, or _SWITCH_S have
passed, and goes on opening for the transition window (the stock server seals with it for another
60 s). So no packet is lost.
"""

from micropython import const

# The stock server accepts the new key once it has our last acknowledgement, and a new
# negotiation makes it drop the key before: with loss or deferred authentication that takes long.
_SWITCH_S = const(30)


def _no_key(slot, n):
    """seal before there is a key: the packet is dropped."""
    return 0


class KeyRing:
    """At most three DataChannels: the old, the current and the next.

    seal(slot, n) -> wire length is the current key's own method, so that the packet path pays
    for no detour; it changes when the key does.
    """

    def __init__(self, transition_s):
        self._transition_s = transition_s
        self._openers = {}
        self._next_opener = None
        self.old = self.current = self.next = None
        self._switch_in = self._old_expires_in = 0
        self._retired = [0, 0, 0, 0]
        self.seal = _no_key

    def add(self, data):
        """Takes a new DataChannel; the session's first one is used at once."""
        if self.current is None:
            self.current = data
            self.seal = data.seal
            self._openers[data.first_octet] = data.open
            return
        self.use_next()
        self.next = data
        self._next_opener = data.open
        self._switch_in = _SWITCH_S
        self._openers[data.first_octet] = self._open_next

    def open(self, slot, n, first_octet):
        """Opens a data packet in place: the payload's octets, 0 if dropped, -1 if no key fits."""
        opener = self._openers.get(first_octet)
        return opener(slot, n) if opener else -1

    def _open_next(self, slot, n):
        """The peer uses the new key: from its first authentic packet on, so do we."""
        payload = self._next_opener(slot, n)
        if payload > 0:
            self._switch()
        return payload

    def use_next(self):
        """Seals with the newest key from now on."""
        if self.next is not None:
            self._switch()

    def _switch(self):
        self._retire()
        self.old, self.current, self.next = self.current, self.next, None
        self._old_expires_in = self._transition_s
        self.seal = self.current.seal
        self._openers[self.current.first_octet] = self.current.open

    def _retire(self):
        old = self.old
        if old is not None:
            self.old = None
            self._count(old)
            # Of seven key ids in turn, three keys never share one.
            del self._openers[old.first_octet]
            old.close()

    def _live(self):
        return [data for data in (self.old, self.current, self.next) if data is not None]

    def _count(self, data):
        self._retired = [a + b for a, b in zip(self._retired, _totals(data))]

    def tick(self, seconds):
        """Some seconds have passed."""
        if self.next is not None:
            self._switch_in -= seconds
            if self._switch_in <= 0:
                self._switch()
        if self.old is not None:
            self._old_expires_in -= seconds
            if self._old_expires_in <= 0:
                self._retire()

    def totals(self):
        """[packets sent, packets received, octets sent, octets received] of payload so far."""
        sums = self._retired
        for data in self._live():
            sums = [a + b for a, b in zip(sums, _totals(data))]
        return sums

    def close(self):
        """Frees all keys; nothing is sealed or opened any more."""
        self.seal = _no_key
        self._openers = {}
        for data in self._live():
            self._count(data)
            data.close()
        self.old = self.current = self.next = None


def _totals(data):
    return data.tx_packets, data.rx_packets, data.tx_octets, data.rx_octets
