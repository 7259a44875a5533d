"""Babel's UDP sockets on one interface (RFC 8966 section 4); as hal.linux.babel_socket."""

import datagram
from micropython import const

from branchline.hal.lwip import links

_PORT = const(6696)
_GROUP = b"\xff\x02" + bytes(11) + b"\x01\x00\x06"


class _Half:
    """One of the two sockets, for the packets that are sent to `address`."""

    def __init__(self, index, address):
        self.address = address
        self.socket = datagram.Udp(address, _PORT, index)
        self.socket.mark(1)

    def fileno(self):
        return self.socket

    def receive(self, view):
        """(n, source of 16 octets) of the next packet, read into view, or None."""
        n = self.socket.readinto(view)
        if n is None:
            return None
        address, port = self.socket.source()
        # Not from Babel's port is not Babel: as if from nowhere, and so refused by the agent.
        return n, address if port == _PORT else bytes(16)


class BabelSocket:
    """Sends and receives Babel packets on one device with a link-local address (16 octets).
    Raises OSError where the device is missing."""

    def __init__(self, device, link_local):
        self.index = links.index(device)
        self.halves = ()
        try:
            self._unicast = self._half(link_local)
            self._half(_GROUP).socket.join(_GROUP)
        except OSError as error:
            self.close()
            raise OSError(error.args[0], "lwIP has no room for Babel's sockets") from None

    def _half(self, address):
        half = _Half(self.index, address)
        self.halves += (half,)
        return half

    def send(self, view, n, destination):
        """Sends view[:n] to the group or a neighbour (16 octets); n, or None."""
        return self._unicast.socket.sendto(view, n, destination, _PORT)

    def close(self):
        """Closes both sockets."""
        for half in self.halves:
            half.socket.close()
