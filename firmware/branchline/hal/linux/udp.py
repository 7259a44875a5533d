"""UDP transports: one datagram each read and write.

A port that answers with ICMP errors shows as `errors` growing and `last_errno` (111 for
ECONNREFUSED); reads and writes never raise.
"""

import struct

from micropython import const

from branchline.hal.linux.descriptor import LIBC
from branchline.hal.linux.sockets import BUFFER, DATAGRAM, Socket, unpack_address

_SOCKADDR = const(28)

_recvfrom = LIBC.func("l", "recvfrom", "ipLipp")
_sendto = LIBC.func("l", "sendto", "ipLipI")


class FloatingUdp(Socket):
    """An unconnected socket for `float`: datagrams from any source are read, and the caller,
    once it has authenticated one, may have the answers go where it came from."""

    def __init__(self, address, port):
        super().__init__(DATAGRAM, address, port)
        self._source = bytearray(_SOCKADDR)
        self._source_size = bytearray(4)

    def readinto(self, view):
        """Reads one datagram of any source into view; its length, or None when there is none."""
        struct.pack_into("@I", self._source_size, 0, _SOCKADDR)
        n = _recvfrom(self._fd, view, len(view), 0, self._source, self._source_size)
        return n if n >= 0 else self._failed()

    def write(self, view, n):
        """Sends view[:n] to the peer; returns n, or None when it was not taken."""
        n = _sendto(self._fd, view, n, 0, self._peer, len(self._peer))
        return n if n >= 0 else self._failed()

    def source(self):
        """(address octets, port) of the datagram that was read last."""
        return unpack_address(self._source)

    def follow(self):
        """Makes the last datagram's source the peer; whether that is a change. Only after the
        datagram has been authenticated."""
        source = self._source[: len(self._peer)]
        changed = source != self._peer
        self._peer[:] = source
        return changed


def open_udp(
    address, port, local=None, lport=0, rcvbuf=BUFFER, sndbuf=BUFFER, mark=None, bind_dev=None,
    floating=False,
):
    """A non-blocking UDP socket to `address` (octets, or text with an optional IPv6 zone).

    It is connected, so that only the peer's datagrams are read; where `floating`, it is a
    FloatingUdp instead. local, lport: the own address and port (default: the kernel's choice);
    rcvbuf, sndbuf: octets of socket buffer wished for; mark: SO_MARK; bind_dev: the only
    interface to use. Raises OSError with a text of what failed.
    """
    udp = FloatingUdp(address, port) if floating else Socket(DATAGRAM, address, port)
    udp.configure(local, lport, rcvbuf, sndbuf, mark, bind_dev)
    if not floating and udp.connect() < 0:
        raise udp.closed_by("connect to " + udp.peer_text())
    return udp
