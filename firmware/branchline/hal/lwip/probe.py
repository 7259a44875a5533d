"""Probes of a tunnel's far end: ICMP echo by the tunnel's interface; as hal.linux.probe."""

import datagram
from micropython import const

from branchline.hal.lwip import links
from branchline.wire import icmp
from branchline.wire.counters import Counters

_SIZE = const(56)  # octets of a request
_MAX_REPLY = const(128)
_IPV6_HEADER = const(40)


class Probe:
    """Echoes from `target` (4 or 16 octets) by a device. identifier: 16 bits that tell our echoes
    from others'. Raises OSError with a text where there is no such device."""

    def __init__(self, device, target, identifier):
        self._socket = datagram.Echo(target, links.index(device))
        self.counters = Counters(("not_ours", "not_sent"))
        self._size = len(target)
        self._target = target
        self._identifier = identifier
        self._request = bytearray(_SIZE)
        self._reply = bytearray(_MAX_REPLY)

    def fileno(self):
        """What a poller waits for."""
        return self._socket

    def send(self, sequence):
        """Sends a request; whether lwIP took it."""
        icmp.write_request(self._request, _SIZE, self._size, self._identifier, sequence)
        if self._socket.write(self._request, _SIZE) is None:
            self.counters.bump("not_sent")
            return False
        return True

    def receive(self):
        """The sequence of the next reply to us, or None when there is no more."""
        reply = self._reply
        while True:
            n = self._socket.readinto(reply)
            if n is None:
                return None
            start = (reply[0] & 15) * 4 if self._size == 4 else _IPV6_HEADER
            sequence = icmp.read_reply(reply, start, n, self._size, self._identifier)
            if sequence >= 0 and self._socket.source()[0] == self._target:
                return sequence
            self.counters.bump("not_ours")

    def close(self):
        """Gives the socket back."""
        self._socket.close()
