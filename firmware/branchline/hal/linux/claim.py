"""One gateway in a network namespace: a second one would take the first one's routes for those
that a crash has left."""

import struct

from micropython import const

from branchline.hal.linux.descriptor import LIBC, Descriptor, failure

_AF_UNIX = const(1)
_DATAGRAM_CLOEXEC = const(0x80002)
_EADDRINUSE = const(98)
# Abstract: no file is left behind, and every network namespace has such names of its own.
_NAME = b"\0branchline"

_socket = LIBC.func("i", "socket", "iii")
_bind = LIBC.func("i", "bind", "ipI")


class Claim(Descriptor):
    """Holds the namespace until `close`, or until the process ends in whatever way.

    Raises OSError where another gateway holds it.
    """

    def __init__(self):
        super().__init__(_socket(_AF_UNIX, _DATAGRAM_CLOEXEC, 0))
        sockaddr = struct.pack("@H", _AF_UNIX) + _NAME
        if self._fd < 0 or _bind(self._fd, sockaddr, len(sockaddr)) < 0:
            error = failure("claim the network namespace")
            self.close()
            if error.args[0] == _EADDRINUSE:
                error = OSError(_EADDRINUSE, "another gateway runs in this network namespace")
            raise error
