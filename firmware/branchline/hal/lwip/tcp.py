"""TCP streams by MicroPython's sockets: connecting without waiting, partial reads and writes."""

import socket

from micropython import const

from branchline.wire.ip import format_address

_EAGAIN = const(11)
_EINPROGRESS = const(115)
_EALREADY = const(114)
_ENOTCONN = const(107)
_ECONNRESET = const(104)
_EOPNOTSUPP = const(95)
_NOT_YET = (_EAGAIN, _EINPROGRESS, _EALREADY, _ENOTCONN)


class Tcp:
    """One connection; every call raises OSError once it is broken or closed by the peer."""

    prefix = errors = last_errno = 0

    def __init__(self, address, port):
        self._peer = address, port
        self._socket = sock = socket.socket()
        sock.setblocking(False)
        try:
            sock.connect((format_address(address), port))
        except OSError as error:
            if error.args[0] not in _NOT_YET:
                sock.close()
                raise self._failure("connect to " + self.peer_text(), error)

    def fileno(self):
        """What a poller waits for."""
        return self._socket

    def connected(self):
        """Whether the connection stands; False while it is being made. Raises OSError if it
        failed."""
        try:
            self._socket.write(b"")
        except OSError as error:
            if error.args[0] in _NOT_YET:
                return False
            raise self._failure("connect to " + self.peer_text(), error)
        return True

    def readinto(self, view, n, start=0):
        """Reads up to n octets into view[start:]; how many, or None when there are none yet."""
        try:
            got = self._socket.readinto(memoryview(view)[start : start + n])
        except OSError as error:
            raise self._failure("receive", error)
        if got == 0:
            raise OSError(_ECONNRESET, "receive: the peer closed the connection")
        return got

    def write(self, view, n, start=0):
        """Writes up to n octets of view[start:]; how many were taken, or None when none."""
        try:
            return self._socket.write(view, start, n) or None
        except OSError as error:
            raise self._failure("send", error)

    def peer(self):
        """(address octets, port) of the other end."""
        return self._peer

    def peer_text(self):
        """The peer for messages."""
        return "%s port %d" % (format_address(self._peer[0]), self._peer[1])

    def close(self):
        """Ends the connection; closing again does nothing."""
        self._socket.close()

    @staticmethod
    def _failure(what, error):
        return OSError(error.args[0], "%s: error %s" % (what, error.args[0]))


def open_tcp(
    address, port, local=None, lport=0, rcvbuf=0, sndbuf=0, mark=None, bind_dev=None,
):
    """Begins a connection and returns its Tcp at once; `connected()` says when it stands."""
    if local or lport or mark is not None or bind_dev:
        text = "this board's TCP knows no local, lport, mark or bind-dev"
        raise OSError(_EOPNOTSUPP, text)
    return Tcp(bytes(address), port)
