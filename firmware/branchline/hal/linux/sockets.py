"""Non-blocking IPv4 and IPv6 sockets by descriptor: addresses, options and buffers."""

import struct

from micropython import const

from branchline.hal.linux.descriptor import LIBC, Descriptor, failure
from branchline.wire import ip

STREAM = const(1)
DATAGRAM = const(2)
BUFFER = const(2 << 20)  # 208 KB, the kernel's default, loses packets at a few hundred Mbit/s

_AF_INET = const(2)
_AF_INET6 = const(10)
_NONBLOCK_CLOEXEC = const(0x80800)
SOL_SOCKET = const(1)
_SO_ERROR = const(4)
_SO_SNDBUF = const(7)
_SO_RCVBUF = const(8)
_SO_BINDTODEVICE = const(25)
_SO_SNDBUFFORCE = const(32)
_SO_RCVBUFFORCE = const(33)
_SO_MARK = const(36)
_ENODEV = const(19)

_socket = LIBC.func("i", "socket", "iii")
_bind = LIBC.func("i", "bind", "ipI")
_connect = LIBC.func("i", "connect", "ipI")
_setsockopt = LIBC.func("i", "setsockopt", "iiipI")
_getsockopt = LIBC.func("i", "getsockopt", "iiipp")
_getsockname = LIBC.func("i", "getsockname", "ipp")
_if_nametoindex = LIBC.func("I", "if_nametoindex", "s")


def pack_address(address, port):
    """The sockaddr_in or sockaddr_in6 of an address (4 or 16 octets, or text; IPv6 text may end
    in a zone such as "%eth0"). Raises ValueError for bad text, OSError for an unknown zone."""
    scope = 0
    if isinstance(address, str):
        address, percent, zone = address.partition("%")
        if percent:
            scope = _if_nametoindex(zone)
            if not scope:
                raise failure("find the interface " + zone, _ENODEV)
        address = ip.parse_address(address)
    head = struct.pack(">H", port)
    if len(address) == 4:
        return struct.pack("@H", _AF_INET) + head + bytes(address) + bytes(8)
    return (
        struct.pack("@H", _AF_INET6) + head + bytes(4) + bytes(address) + struct.pack("@I", scope)
    )


def unpack_address(sockaddr):
    """(address octets, port) of a sockaddr_in or sockaddr_in6."""
    port = sockaddr[2] << 8 | sockaddr[3]
    if struct.unpack_from("@H", sockaddr)[0] == _AF_INET:
        return bytes(sockaddr[4:8]), port
    return bytes(sockaddr[8:24]), port


def endpoint_text(sockaddr):
    """Text such as "192.0.2.1 port 1194" for messages."""
    address, port = unpack_address(sockaddr)
    return "%s port %d" % (ip.format_address(address), port)


def _uint(value):
    return bytearray(struct.pack("@I", value))


class Socket(Descriptor):
    """A non-blocking socket for one peer; `configure` comes before anything else.

    `rcvbuf`, `sndbuf`: the buffers in octets that the kernel granted, of those asked for.
    """

    def __init__(self, kind, address, port, protocol=0):
        self._peer = bytearray(pack_address(address, port))
        family = struct.unpack_from("@H", self._peer)[0]
        super().__init__(_socket(family, kind | _NONBLOCK_CLOEXEC, protocol))
        if self._fd < 0:
            raise failure("make a socket")

    def set_option(self, level, option, value):
        """Sets a socket option to an integer or octets; whether the kernel took it."""
        if isinstance(value, int):
            value = struct.pack("@i", value)
        return _setsockopt(self._fd, level, option, value, len(value)) == 0

    def _option(self, option):
        value = bytearray(4)
        _getsockopt(self._fd, SOL_SOCKET, option, value, _uint(4))
        return struct.unpack("@i", value)[0]

    def pending_error(self):
        """The error number that waits on the socket, 0 for none; reading clears it."""
        return self._option(_SO_ERROR)

    def _buffer(self, size, force, option):
        # Only CAP_NET_ADMIN may pass the limit net.core.[rw]mem_max.
        if not self.set_option(SOL_SOCKET, force, size):
            self.set_option(SOL_SOCKET, option, size)
        return self._option(option) // 2  # the kernel doubles it for its own overhead

    def configure(self, local, lport, rcvbuf, sndbuf, mark, bind_dev):
        """Applies buffers, mark, device and local address; closes the socket where one fails."""
        self.rcvbuf = self._buffer(rcvbuf, _SO_RCVBUFFORCE, _SO_RCVBUF)
        self.sndbuf = self._buffer(sndbuf, _SO_SNDBUFFORCE, _SO_SNDBUF)
        if mark is not None and not self.set_option(SOL_SOCKET, _SO_MARK, mark):
            raise self.closed_by("set mark %d on a socket" % mark)
        if bind_dev and not self.set_option(SOL_SOCKET, _SO_BINDTODEVICE, bind_dev.encode()):
            raise self.closed_by("bind a socket to the device " + bind_dev)
        if local is not None or lport:
            self._bind(local, lport)

    def _bind(self, local, lport):
        if local is None:
            local = bytes(len(self.peer()[0]))
        sockaddr = pack_address(local, lport)
        if _bind(self._fd, sockaddr, len(sockaddr)) < 0:
            raise self.closed_by("bind to " + endpoint_text(sockaddr))

    def connect(self):
        """The result of connect(2) to the peer: negative with errno set where it failed."""
        return _connect(self._fd, self._peer, len(self._peer))

    def closed_by(self, what):
        """Closes the socket and returns the OSError of the call that failed."""
        error = failure(what)
        self.close()
        return error

    def local(self):
        """(address octets, port) that the kernel chose or was told."""
        sockaddr = bytearray(28)
        _getsockname(self._fd, sockaddr, _uint(28))
        return unpack_address(sockaddr)

    def peer(self):
        """(address octets, port) that packets are sent to."""
        return unpack_address(self._peer)

    def peer_text(self):
        """The peer for messages, such as "192.0.2.1 port 1194"."""
        return endpoint_text(self._peer)
