"""Listening for TCP connections, and accepting them, as `socket` objects."""

import socket

from branchline.wire.ip import format_address


def listen(address, port, backlog):
    """A socket that listens on an IPv4 address (octets) and port. Raises OSError with a text."""
    text = format_address(address)
    sock = socket.socket()
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((text, port))
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        what = "cannot listen on %s port %d: error %s" % (text, port, error.args[0])
        raise OSError(error.args[0], what) from None
    return sock


def accept(listener):
    """The next connection, a non-blocking socket, or None when there is none."""
    try:
        sock = listener.accept()[0]
    except OSError:
        return None
    sock.setblocking(False)
    return sock
