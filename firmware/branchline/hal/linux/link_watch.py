"""Hears of links that go up and down, as the kernel drops a link's routes when it goes down."""

import struct

from micropython import const

from branchline.hal.linux.descriptor import LIBC, Descriptor, failure

_AF_NETLINK = const(16)
_RAW_NONBLOCK_CLOEXEC = const(0x80803)
_RTMGRP_LINK = const(1)
_NEWLINK = const(16)
_IFF_UP = const(1)
# The headers: what follows in the datagram is cut off.
_SIZE = const(32)

_socket = LIBC.func("i", "socket", "iii")
_bind = LIBC.func("i", "bind", "ipI")


class KernelWatch(Descriptor):
    """A netlink socket of its own, for a poller, that receives what the kernel tells to `groups`
    (RTMGRP_*, a bit each), one message a datagram; `what` is for its errors."""

    def __init__(self, groups, what):
        super().__init__(_socket(_AF_NETLINK, _RAW_NONBLOCK_CLOEXEC, 0))
        sockaddr = struct.pack("@HHII", _AF_NETLINK, 0, 0, groups)
        if self._fd < 0 or _bind(self._fd, sockaddr, len(sockaddr)) < 0:
            error = failure(what)
            self.close()
            raise error


class LinkWatch(KernelWatch):
    """`read` tells one change at a time."""

    def __init__(self):
        super().__init__(_RTMGRP_LINK, "watch the links")
        self._buf = bytearray(_SIZE)

    def read(self):
        """(interface index, whether the link is up now) of a link that changed in some way, or
        None when there is no more."""
        if self.readinto(self._buf) != _SIZE:
            return None
        kind = struct.unpack_from("@H", self._buf, 4)[0]
        index, flags = struct.unpack_from("@iI", self._buf, 20)
        return index, kind == _NEWLINK and flags & _IFF_UP != 0
