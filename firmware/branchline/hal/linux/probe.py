"""Probes of a tunnel's far end: ICMP echo by a raw socket bound to the tunnel's device."""

import struct

from micropython import const

from branchline.hal.linux.descriptor import LIBC
from branchline.hal.linux.sockets import Socket, unpack_address
from branchline.wire import icmp
from branchline.wire.counters import Counters
from branchline.wire.ip import format_address

_RAW = const(3)
_IPPROTO_ICMP = const(1)
_IPPROTO_ICMPV6 = const(58)
_SOL_RAW = const(255)
_FILTER = const(1)  # ICMP_FILTER and ICMP6_FILTER alike
_IPPROTO_IP = const(0)
_IP_TOS = const(1)
_IPPROTO_IPV6 = const(41)
_IPV6_TCLASS = const(67)
_CS6 = const(0xC0)  # network control, as routing protocols mark their packets
_BUFFER = const(1 << 16)
_SIZE = const(56)  # octets of a request
_MAX_REPLY = const(128)
_SOCKADDR = const(28)

_recvfrom = LIBC.func("l", "recvfrom", "ipLipp")
_sendto = LIBC.func("l", "sendto", "ipLipI")


class Probe(Socket):
    """Echoes from `target` (4 or 16 octets) by a device; the device may go away at any time, which
    costs probes and raises nothing. identifier: 16 bits that tell our echoes from others'.

    Raises OSError with a text where there is no such device or no right to a raw socket.
    """

    def __init__(self, device, target, identifier):
        size = len(target)
        zone = "%" + device if size == 16 else ""
        super().__init__(_RAW, format_address(target) + zone, 0, _protocol(size))
        self.counters = Counters(("not_ours", "not_sent"))
        self._size = size
        self._identifier = identifier
        self._request = bytearray(_SIZE)
        self._reply = bytearray(_MAX_REPLY)
        self._source = bytearray(_SOCKADDR)
        self._source_size = bytearray(4)
        self._target = target
        self._filter(size)
        self.configure(None, 0, _BUFFER, _BUFFER, None, device)

    def _filter(self, size):
        """Only echo replies are to wake us."""
        if size == 4:
            self.set_option(_SOL_RAW, _FILTER, struct.pack("@I", 0xFFFFFFFF ^ 1))
            self.set_option(_IPPROTO_IP, _IP_TOS, _CS6)
        else:
            # A bit that is set blocks (RFC 3542 3.2); type 129 is bit 1 of the fifth word.
            words = [0xFFFFFFFF] * 8
            words[129 >> 5] ^= 1 << (129 & 31)
            self.set_option(_IPPROTO_ICMPV6, _FILTER, struct.pack("@8I", *words))
            self.set_option(_IPPROTO_IPV6, _IPV6_TCLASS, _CS6)

    def send(self, sequence):
        """Sends a request; whether the kernel took it."""
        icmp.write_request(self._request, _SIZE, self._size, self._identifier, sequence)
        if _sendto(self._fd, self._request, _SIZE, 0, self._peer, len(self._peer)) < 0:
            self._failed()
            self.counters.bump("not_sent")
            return False
        return True

    def receive(self):
        """The sequence of the next reply to us, or None when there is no more."""
        reply = self._reply
        while True:
            struct.pack_into("@I", self._source_size, 0, _SOCKADDR)
            n = _recvfrom(self._fd, reply, _MAX_REPLY, 0, self._source, self._source_size)
            if n < 0:
                return self._failed()
            # Raw IPv4 sockets give the IP header, too.
            start = (reply[0] & 15) * 4 if self._size == 4 else 0
            sequence = icmp.read_reply(reply, start, n, self._size, self._identifier)
            if sequence >= 0 and unpack_address(self._source)[0] == self._target:
                return sequence
            self.counters.bump("not_ours")


def _protocol(size):
    return _IPPROTO_ICMP if size == 4 else _IPPROTO_ICMPV6
