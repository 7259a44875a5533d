"""Babel's UDP sockets on one interface (RFC 8966 section 4).

There are two, bound to the group ff02::1:6 and to the own link-local address: the socket that a
packet came on tells the destination, which the MAC covers.
"""

import struct

from micropython import const

from branchline.hal.linux.descriptor import LIBC
from branchline.hal.linux.sockets import DATAGRAM, Socket, pack_address, unpack_address
from branchline.wire.ip import format_address

_PORT = const(6696)
_BUFFER = const(1 << 18)
_SOCKADDR = const(28)
_SCOPE = const(24)
_IPPROTO_IPV6 = const(41)
_IPV6_TCLASS = const(67)
_IPV6_UNICAST_HOPS = const(16)
_IPV6_MULTICAST_HOPS = const(18)
_IPV6_MULTICAST_LOOP = const(19)
_IPV6_JOIN_GROUP = const(20)
# Network control (CS6), as routing protocols mark their packets.
_TCLASS = const(0xC0)

_GROUP = b"\xff\x02" + bytes(11) + b"\x01\x00\x06"

_recvfrom = LIBC.func("l", "recvfrom", "ipLipp")
_sendto = LIBC.func("l", "sendto", "ipLipI")


class _Half(Socket):
    """One of the two sockets, for the packets that are sent to `address`."""

    def __init__(self, device, address):
        super().__init__(DATAGRAM, format_address(address) + "%" + device, _PORT)
        self.address = address
        self._source = bytearray(_SOCKADDR)
        self._source_size = bytearray(4)
        self.configure(
            format_address(address) + "%" + device, _PORT, _BUFFER, _BUFFER, None, device
        )

    def set_option6(self, option, value):
        """Sets an IPv6 option or raises OSError."""
        if not self.set_option(_IPPROTO_IPV6, option, value):
            raise self.closed_by("set up a Babel socket")

    def scope(self):
        """The interface's index, as octets in the machine's order."""
        return self._peer[_SCOPE:]

    def receive(self, view):
        """(n, source of 16 octets) of the next packet, read into view, or None."""
        struct.pack_into("@I", self._source_size, 0, _SOCKADDR)
        n = _recvfrom(self._fd, view, len(view), 0, self._source, self._source_size)
        if n < 0:
            return self._failed()
        address, port = unpack_address(self._source)
        # Not from Babel's port is not Babel: as if from nowhere, and so refused by the agent.
        return n, address if port == _PORT else bytes(16)

    def send(self, view, n, destination):
        """Sends view[:n] to an address (16 octets) on this interface; n, or None."""
        sockaddr = pack_address(destination, _PORT)[:_SCOPE] + self.scope()
        n = _sendto(self._fd, view, n, 0, sockaddr, _SOCKADDR)
        return n if n >= 0 else self._failed()


class BabelSocket:
    """Sends and receives Babel packets on one device with a link-local address (16 octets).

    `halves` are two objects with `fileno()` for a poller; each is read by `receive(half, view)`;
    `index` is the device's interface index. Raises OSError where the device or the address is
    missing.
    """

    def __init__(self, device, link_local):
        self._unicast = unicast = _Half(device, link_local)
        try:
            group = _Half(device, _GROUP)
        except OSError:
            unicast.close()
            raise
        self.halves = (unicast, group)
        self.index = struct.unpack("@I", unicast.scope())[0]
        try:
            group.set_option6(_IPV6_JOIN_GROUP, _GROUP + group.scope())
            unicast.set_option6(_IPV6_MULTICAST_LOOP, 0)
            unicast.set_option6(_IPV6_MULTICAST_HOPS, 1)
            unicast.set_option6(_IPV6_UNICAST_HOPS, 1)
            unicast.set_option6(_IPV6_TCLASS, _TCLASS)
        except OSError:
            self.close()
            raise

    def send(self, view, n, destination):
        """Sends view[:n] to the group or a neighbour (16 octets); n, or None."""
        return self._unicast.send(view, n, destination)

    def close(self):
        """Closes both sockets."""
        for half in self.halves:
            half.close()
