"""Listening for TCP connections, and accepting them, as `socket` objects."""

import socket

from micropython import const

from branchline.hal.linux.descriptor import LIBC, error_text
from branchline.wire.ip import format_address

_F_SETFD = const(2)
_CLOEXEC = const(1)
_IPPROTO_IPV6 = const(41)
_IPV6_V6ONLY = const(26)

_fcntl = LIBC.func("i", "fcntl", "iii")


def listen(address, port, backlog):
    """A socket that listens on an address (4 or 16 octets) and port; at most `backlog`
    connections wait. Raises OSError with a text where these cannot be had."""
    text = format_address(address)
    family, kind, _, _, sockaddr = socket.getaddrinfo(text, port, 0, socket.SOCK_STREAM)[0]
    sock = socket.socket(family, kind)
    try:
        _prepare(sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if len(address) == 16:
            sock.setsockopt(_IPPROTO_IPV6, _IPV6_V6ONLY, 1)
        sock.bind(sockaddr)
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        code = error.args[0]
        what = "cannot listen on %s port %d: " % (text, port)
        raise OSError(code, what + error_text(code)) from None
    return sock


def accept(listener):
    """The next connection, a non-blocking socket, or None when there is none."""
    try:
        sock = listener.accept()[0]
    except OSError:
        # None waits, or it has gone again, or the process has no descriptor left for it.
        return None
    _prepare(sock)
    return sock


def _prepare(sock):
    """Non-blocking, and not inherited by processes that the gateway starts."""
    sock.setblocking(False)
    _fcntl(sock.fileno(), _F_SETFD, _CLOEXEC)
