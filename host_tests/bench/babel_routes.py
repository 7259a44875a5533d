"""Follows the routes through other routers in a host's kernel, as they come and go."""

import select
import socket
import struct
import time

from host_tests.lab import Host, LabError

_NEWLINK, _DELLINK, _NEWROUTE, _DELROUTE = 16, 17, 24, 25
_RTMGRP_LINK, _RTMGRP_IPV4_ROUTE = 1, 0x40
_IFF_UP = 1
_SO_RCVBUFFORCE = 33
_BUFFER = 1 << 25
_UNICAST = 1
_MAIN = 254
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_VIA = 1, 4, 5, 18


class RouteWatch:
    """The IPv4 routes with a next hop in a host's main table, from now on."""

    def __init__(self, host: Host):
        self.hops: dict[bytes, bytes] = {}
        self._devices: dict[bytes, int] = {}  # by which each of them leaves
        self.name = host.name
        self._socket = host.call(self._open)

    @staticmethod
    def _open() -> socket.socket:
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        sock.bind((0, _RTMGRP_IPV4_ROUTE | _RTMGRP_LINK))
        return sock

    def wait(self, is_reached, timeout: float = 60.0) -> float:
        """Wait until is_reached(number of routes); return time.monotonic() of that moment.

        Raises LabError when time is up.
        """
        deadline = time.monotonic() + timeout
        while not is_reached(len(self.hops)):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self], [], [], left)[0]:
                raise LabError(f"{self.name} has {len(self.hops)} routes after {timeout:g} s")
            self.read()
        return time.monotonic()

    def fileno(self) -> int:
        """For select."""
        return self._socket.fileno()

    def read(self) -> None:
        """Takes what the kernel tells next."""
        self._take(self._socket.recv(1 << 16))

    def close(self) -> None:
        """Watch no longer."""
        self._socket.close()

    def _take(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            size, kind = struct.unpack_from("=IH", data, at)
            if kind in (_NEWROUTE, _DELROUTE):
                self._change(kind == _NEWROUTE, data[at + 16 : at + size])
            elif kind in (_NEWLINK, _DELLINK):
                index, flags = struct.unpack_from("=iI", data, at + 20)
                if kind == _DELLINK or not flags & _IFF_UP:
                    self._lose(index)
            at += (size + 3) & ~3

    def _change(self, is_new: bool, body: bytes) -> None:
        table, kind = body[4], body[7]
        found = dict(_attributes(body[12:]))
        prefix = bytes((body[1],)) + found.get(_RTA_DST, b"")
        hop = found.get(_RTA_GATEWAY) or found.get(_RTA_VIA)
        if table != _MAIN:
            return
        if is_new and kind == _UNICAST and hop:
            self.hops[prefix] = hop
            self._devices[prefix] = struct.unpack("=i", found[_RTA_OIF])[0]
        elif is_new or self.hops.get(prefix) == hop:
            # Replaced by one that leads nowhere, or deleted.
            self.hops.pop(prefix, None)

    def _lose(self, index: int) -> None:
        """The routes by a device go with it, without a word."""
        for prefix in [each for each in self.hops if self._devices[each] == index]:
            del self.hops[prefix]


def _attributes(data: bytes):
    at = 0
    while at + 4 <= len(data):
        size, kind = struct.unpack_from("=HH", data, at)
        yield kind & 0x3FFF, data[at + 4 : at + size]
        at += (size + 3) & ~3
