"""UNIX stream sockets: a listener for one peer at a time, and the streams of both sides."""

import struct

from micropython import const

from branchline.hal.linux.descriptor import LIBC, Descriptor, failure, would_block
from branchline.hal.linux.libc import errno

_AF_UNIX = const(1)
_STREAM_NONBLOCK_CLOEXEC = const(0x80801)
_NONBLOCK_CLOEXEC = const(0x80800)
_MSG_NOSIGNAL = const(0x4000)
_MAX_PATH = const(107)
_OWNER_ALONE = const(0o700)
_EEXIST = const(17)
_ENAMETOOLONG = const(36)
_ECONNRESET = const(104)

_socket = LIBC.func("i", "socket", "iii")
_bind = LIBC.func("i", "bind", "ipI")
_listen = LIBC.func("i", "listen", "ii")
_connect = LIBC.func("i", "connect", "ipI")
_accept4 = LIBC.func("i", "accept4", "ippi")
_recv = LIBC.func("l", "recv", "ipLi")
_send = LIBC.func("l", "send", "ipLi")
_mkdir = LIBC.func("i", "mkdir", "sI")
_chmod = LIBC.func("i", "chmod", "sI")
_unlink = LIBC.func("i", "unlink", "s")


class UnixStream(Descriptor):
    """One connection; every call raises OSError once the peer is gone."""

    def readinto(self, view):
        """Reads what is there into view; how many octets, or None when there are none yet."""
        got = _recv(self._fd, view, len(view), 0)
        return got if got > 0 else self._broken("receive", got)

    def write(self, view, n):
        """Writes up to n octets of view; how many were taken, or None when none."""
        sent = _send(self._fd, view, n, _MSG_NOSIGNAL)
        return sent if sent >= 0 else self._broken("send", sent)

    def _broken(self, what, result):
        code = errno() if result < 0 else _ECONNRESET
        if not would_block(code):
            raise failure(what, code)


def _sockaddr(path):
    octets = path.encode()
    if len(octets) > _MAX_PATH:
        text = "the socket's path has more than %d octets: %s" % (_MAX_PATH, path)
        raise OSError(_ENAMETOOLONG, text)
    return struct.pack("@H", _AF_UNIX) + octets + b"\0"


def connect_unix(path):
    """A UnixStream to who listens at `path`; OSError, at once, if nobody does (ENOENT 2,
    ECONNREFUSED 111) or too many wait there (EAGAIN 11)."""
    sockaddr = _sockaddr(path)
    stream = UnixStream(_socket(_AF_UNIX, _STREAM_NONBLOCK_CLOEXEC, 0))
    if stream.fileno() < 0 or _connect(stream.fileno(), sockaddr, len(sockaddr)) < 0:
        error = failure("connect to " + path)
        stream.close()
        raise error
    return stream


class UnixListener(Descriptor):
    """Waits at `path`, in a folder that it makes its owner's alone, until it is closed."""

    def __init__(self, path):
        sockaddr = _sockaddr(path)
        folder = path.rpartition("/")[0]
        # Whoever can connect there commands a process that runs as root.
        if (_mkdir(folder, _OWNER_ALONE) < 0 and errno() != _EEXIST) or (
            _chmod(folder, _OWNER_ALONE) < 0
        ):
            raise failure("make the folder " + folder)
        self._path = path
        _unlink(path)
        super().__init__(_socket(_AF_UNIX, _STREAM_NONBLOCK_CLOEXEC, 0))
        if self._fd < 0 or _bind(self._fd, sockaddr, len(sockaddr)) < 0 or _listen(self._fd, 1):
            error = failure("listen at " + path)
            self.close()
            raise error

    def accept(self):
        """The UnixStream of who has connected, or None."""
        fd = _accept4(self._fd, None, None, _NONBLOCK_CLOEXEC)
        return UnixStream(fd) if fd >= 0 else None

    def close(self):
        """Takes the path away, too."""
        if self._fd >= 0:
            _unlink(self._path)
        super().close()
