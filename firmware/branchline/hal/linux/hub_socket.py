"""The socket by which hubs' agents tell each other of arrivals."""

import struct

from micropython import const

from branchline.hal.linux.descriptor import LIBC
from branchline.hal.linux.sockets import DATAGRAM, Socket, pack_address, unpack_address

_SOCKADDR = const(28)
_BUFFER = const(1 << 18)
# Network control (CS6), as routing protocols mark their packets.
_TCLASS = const(0xC0)
_OPTIONS = {4: (0, 1), 16: (41, 67)}  # IP_TOS, IPV6_TCLASS

_recvfrom = LIBC.func("l", "recvfrom", "ipLipp")
_sendto = LIBC.func("l", "sendto", "ipLipI")


class HubSocket(Socket):
    """UDP at our own address (octets) and `port`, from and to the same port of others.

    Raises OSError (EADDRNOTAVAIL 99) while the machine does not have the address.
    """

    def __init__(self, address, port):
        super().__init__(DATAGRAM, bytes(len(address)), port)
        self._port = port
        self._source = bytearray(_SOCKADDR)
        self._source_size = bytearray(4)
        self.configure(address, port, _BUFFER, _BUFFER, None, None)
        level, option = _OPTIONS[len(address)]
        self.set_option(level, option, _TCLASS)

    def receive(self, view):
        """(n, source's octets) of the next datagram, read into view, or None."""
        struct.pack_into("@I", self._source_size, 0, _SOCKADDR)
        n = _recvfrom(self._fd, view, len(view), 0, self._source, self._source_size)
        if n < 0:
            return self._failed()
        address, port = unpack_address(self._source)
        # What comes from another port is no agent's: as if from nowhere.
        return n, address if port == self._port else bytes(len(address))

    def send(self, view, n, address):
        """Sends view[:n] to an address (octets); n, or None."""
        sockaddr = pack_address(address, self._port)
        n = _sendto(self._fd, view, n, 0, sockaddr, len(sockaddr))
        return n if n >= 0 else self._failed()
