"""TCP streams: connecting without waiting, partial reads and writes."""

from micropython import const

from branchline.hal.linux.descriptor import LIBC, failure, would_block
from branchline.hal.linux.libc import addressof, errno
from branchline.hal.linux.sockets import BUFFER, SOL_SOCKET, STREAM, Socket

_EINPROGRESS = const(115)
_ECONNRESET = const(104)
_ENOTCONN = const(107)
_SO_REUSEADDR = const(2)
_IPPROTO_TCP = const(6)
_TCP_NODELAY = const(1)
_MSG_NOSIGNAL = const(0x4000)

_recv = LIBC.func("l", "recv", "ipLi")
_send = LIBC.func("l", "send", "ipLi")
_getpeername = LIBC.func("i", "getpeername", "ipp")


class Tcp(Socket):
    """One connection; every call raises OSError once it is broken or closed by the peer."""

    def connected(self):
        """Whether the connection stands; False while it is being made (a poller reports it
        writable once there is news). Raises OSError if it failed."""
        code = self.pending_error()
        if code:
            raise failure("connect to " + self.peer_text(), code)
        size = bytearray(4)  # room for no octet: only the result matters
        if _getpeername(self._fd, size, size) == 0:
            return True
        if errno() != _ENOTCONN:
            raise failure("connect to " + self.peer_text())
        return False

    def readinto(self, view, n, start=0):
        """Reads up to n octets into view[start:]; how many, or None when there are none yet."""
        where = addressof(view) + start if start else view
        got = _recv(self._fd, where, n, 0)
        if got > 0:
            return got
        return self._broken("receive", got)

    def write(self, view, n, start=0):
        """Writes up to n octets of view[start:]; how many were taken, or None when none."""
        where = addressof(view) + start if start else view
        sent = _send(self._fd, where, n, _MSG_NOSIGNAL)
        return sent if sent >= 0 else self._broken("send", sent)

    def _broken(self, what, result):
        code = errno() if result < 0 else _ECONNRESET
        if not would_block(code):
            raise failure(what, code)


def open_tcp(
    address, port, local=None, lport=0, rcvbuf=BUFFER, sndbuf=BUFFER, mark=None, bind_dev=None,
):
    """Begins a connection to `address` and returns its Tcp at once; parameters as of open_udp.

    `connected()` says when it stands. Nagle's delay is off. Raises OSError where it fails at once.
    """
    tcp = Tcp(STREAM, address, port)
    # The connection before may still be in TIME_WAIT on the same lport.
    tcp.set_option(SOL_SOCKET, _SO_REUSEADDR, 1)
    tcp.configure(local, lport, rcvbuf, sndbuf, mark, bind_dev)
    tcp.set_option(_IPPROTO_TCP, _TCP_NODELAY, 1)
    if tcp.connect() < 0 and errno() != _EINPROGRESS:
        raise tcp.closed_by("connect to " + tcp.peer_text())
    return tcp
