"""UDP transports: one datagram each read and write, by the module in C."""

import datagram
from micropython import const

from branchline.hal.lwip import links
from branchline.wire.ip import format_address, parse_address

_EOPNOTSUPP = const(95)


class Udp:
    """A socket connected to one peer; `readinto(view)` and `write(view, n)` never raise."""

    prefix = errors = last_errno = 0

    def __init__(self, address, port, local, lport, device):
        index = links.index(device) if device else 0
        self._peer = address, port
        self._socket = datagram.Udp(local or bytes(len(address)), lport, index)
        self._socket.connect(address, port)
        self.readinto = self._socket.readinto
        self.write = self._socket.write

    def fileno(self):
        """What a poller waits for."""
        return self._socket

    def local(self):
        """(address octets, port) of this end."""
        return self._socket.local()

    def peer(self):
        """(address octets, port) that packets are sent to."""
        return self._peer

    def peer_text(self):
        """The peer for messages."""
        return "%s port %d" % (format_address(self._peer[0]), self._peer[1])

    def close(self):
        """Gives it back; closing again does nothing."""
        self._socket.close()


class FloatingUdp(Udp):
    """For `float`: datagrams from any source are read, and the caller, once it has authenticated
    one, may have the answers go where it came from."""

    def __init__(self, address, port, local, lport, device):
        super().__init__(address, port, local, lport, device)
        self._socket.close()
        index = links.index(device) if device else 0
        self._socket = datagram.Udp(local or bytes(len(address)), lport, index)
        self.readinto = self._socket.readinto
        self.write = self._send

    def _send(self, view, n):
        return self._socket.sendto(view, n, *self._peer)

    def follow(self):
        """Makes the last datagram's source the peer; whether that is a change."""
        source = self._socket.source()
        changed = source != self._peer
        self._peer = source
        return changed


def open_udp(
    address, port, local=None, lport=0, rcvbuf=0, sndbuf=0, mark=None, bind_dev=None,
    floating=False,
):
    """A UDP socket to `address` (octets or text). Buffers are lwIP's own: rcvbuf and sndbuf say
    nothing here. Raises OSError with a text."""
    if mark is not None:
        raise OSError(_EOPNOTSUPP, "this board has no marks for packets")
    if isinstance(address, str):
        address = parse_address(address)
    if isinstance(local, str):
        local = parse_address(local)
    kind = FloatingUdp if floating else Udp
    try:
        return kind(bytes(address), port, local, lport, bind_dev)
    except OSError as error:
        text = error.args[-1] if len(error.args) > 1 else "lwIP has no socket left (or no way)"
        raise OSError(error.args[0], "open UDP to " + format_address(address) + ": " + text)
