"""The WAN: which device leads to a server, and what happens to links, addresses and default
routes."""

import struct

from micropython import const

from branchline.hal.linux import rtnetlink as rt
from branchline.hal.linux.link_watch import KernelWatch
from branchline.wire.errors import ProtocolError
from branchline.wire.ip import is_link_local

_LINK_IFADDR4_ROUTE4_IFADDR6_ROUTE6 = const(0x551)
_ENOBUFS = const(105)
_IFA_F_TENTATIVE_DADFAILED = const(0x48)
# Enough for any address and any route but a multipath one; of links only the header matters.
_SIZE = const(512)
_HEADER = const(16)
_MAX_ADDRESSES = const(256)
_MAX_QUEUE = const(4096)
_BATCH = const(64)


def device_towards(netlink, address):
    """The index of the device by which packets to `address` (4 or 16 octets) leave now; None where
    no route leads there. Inside a tunnel that is the tunnel's device."""
    route = netlink.lookup(address)
    return route.dev if route and route.kind == rt.UNICAST and route.dev else None


class WanWatch(KernelWatch):
    """A netlink socket of its own, for a poller. It hears of all devices, ours too; `read` tells
    changes only: the renewal of an address is none, and an IPv6 address counts once it may be
    used.

    ("link", index, up)        up: administratively, and there is a carrier
    ("address", index, added)  an IPv4 or IPv6 address came or went, none for the link alone
    ("route", index, added)    a default route of the main table; of IPv4 ones that go because
                               their link goes down the kernel tells nothing
    ("lost", 0, True)          there was more than the kernel could keep: anything may have changed
    """

    def __init__(self, netlink):
        super().__init__(_LINK_IFADDR4_ROUTE4_IFADDR6_ROUTE6, "watch the WAN")
        self._netlink = netlink
        self._buf = bytearray(_SIZE)
        self._up = {}
        self._addresses = set()
        self._load()

    def is_up(self, index):
        """Whether that link is up and has a carrier."""
        return self._up.get(index, False)

    def read(self):
        """The next event, or None when there is no more for the moment."""
        for _ in range(_BATCH):
            self.last_errno = 0
            n = self.readinto(self._buf)
            if n is None:
                if self.last_errno != _ENOBUFS:
                    return None
                self._begin_again()
                return "lost", 0, True
            try:
                event = self._event(n)
            except ProtocolError:
                event = None
            if event:
                return event
        return None

    def _begin_again(self):
        # Until all of the queue is read the kernel adds nothing to it, and does not say so again.
        for _ in range(_MAX_QUEUE):
            self.last_errno = 0
            if self.readinto(self._buf) is None and self.last_errno != _ENOBUFS:
                break
        try:
            self._load()
        except OSError:
            pass  # what is not known is only told once more

    def _load(self):
        """Asks for all there is: whatever is told afterwards are changes of that."""
        self._up = {}
        self._addresses = set()
        dump = self._netlink.dump
        dump("list the links", rt.GETLINK, rt.links_body(), self._take_link)
        dump("list the addresses", rt.GETADDR, rt.addresses_body(), self._take_address)

    def _take_link(self, buf, start, end):
        self._link(rt.NEWLINK, buf, start, end)

    def _take_address(self, buf, start, end):
        self._address(rt.NEWADDR, buf, start, end)

    def _event(self, n):
        buf = self._buf
        if n < _HEADER:
            return None
        size, kind = struct.unpack_from("@IH", buf)
        end = min(size, n)
        if kind in (rt.NEWLINK, rt.DELLINK):
            return self._link(kind, buf, _HEADER, end)
        if kind in (rt.NEWADDR, rt.DELADDR):
            return self._address(kind, buf, _HEADER, end)
        if kind in (rt.NEWROUTE, rt.DELROUTE):
            return self._route(kind, buf, _HEADER, end)
        return None

    def _link(self, kind, buf, start, end):
        index, up = rt.read_link_state(buf, start, end)
        up = up and kind == rt.NEWLINK
        before = self._up.get(index, False)
        if kind == rt.DELLINK:
            self._up.pop(index, None)
        else:
            self._up[index] = up
        return ("link", index, up) if up != before else None

    def _address(self, kind, buf, start, end):
        address = rt.read_address(buf, start, end)
        if is_link_local(address.local):
            return None
        key = (address.dev, address.local)
        known = key in self._addresses
        if kind == rt.DELADDR:
            self._addresses.discard(key)
            # One that is not known never became usable, or there are more than are remembered.
            gone = known or len(self._addresses) == _MAX_ADDRESSES
            return ("address", address.dev, False) if gone else None
        if known or address.flags & _IFA_F_TENTATIVE_DADFAILED:
            return None
        if len(self._addresses) < _MAX_ADDRESSES:
            self._addresses.add(key)
        return "address", address.dev, True

    def _route(self, kind, buf, start, end):
        # Told of every route that Babel installs: first what is cheap to see.
        if start + 12 > end or buf[start + 1]:
            return None
        route = rt.read_route(buf, start, end)
        if route.table != rt.TABLE_MAIN or route.kind != rt.UNICAST:
            return None
        return "route", route.dev, kind == rt.NEWROUTE
