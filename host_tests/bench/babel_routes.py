"""Follows the routes through other routers in a host's kernel, as they come and go."""

import select
import socket
import struct
import time

from host_tests.lab import Host, LabError

_NEWROUTE, _DELROUTE = 24, 25
_RTMGRP_IPV4_ROUTE = 0x40
_SO_RCVBUFFORCE = 33
_BUFFER = 1 << 25
_UNICAST = 1
_MAIN = 254
_RTA_DST, _RTA_GATEWAY, _RTA_VIA = 1, 5, 18


class RouteWatch:
    """The IPv4 routes with a next hop in a host's main table, from now on."""

    def __init__(self, host: Host):
        self.hops: dict[bytes, bytes] = {}
        self._name = host.name
        self._socket = host.call(self._open)

    @staticmethod
    def _open() -> socket.socket:
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        sock.bind((0, _RTMGRP_IPV4_ROUTE))
        return sock

    def wait(self, is_reached, timeout: float = 60.0) -> float:
        """Wait until is_reached(number of routes); return time.monotonic() of that moment.

        Raises LabError when time is up.
        """
        deadline = time.monotonic() + timeout
        while not is_reached(len(self.hops)):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._socket], [], [], left)[0]:
                raise LabError(f"{self._name} has {len(self.hops)} routes after {timeout:g} s")
            self._take(self._socket.recv(1 << 16))
        return time.monotonic()

    def close(self) -> None:
        """Watch no longer."""
        self._socket.close()

    def _take(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            size, kind = struct.unpack_from("=IH", data, at)
            if kind in (_NEWROUTE, _DELROUTE):
                self._change(kind == _NEWROUTE, data[at + 16 : at + size])
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
        elif is_new or self.hops.get(prefix) == hop:
            # Replaced by one that leads nowhere, or deleted.
            self.hops.pop(prefix, None)


def _attributes(data: bytes):
    at = 0
    while at + 4 <= len(data):
        size, kind = struct.unpack_from("=HH", data, at)
        yield kind & 0x3FFF, data[at + 4 : at + size]
        at += (size + 3) & ~3
