"""What the kernel drops when a link goes down, kept so that it can be put back."""

import struct

from micropython import const

from branchline.hal.linux import rtnetlink as rt

_AF_INET = const(2)
_AF_INET6 = const(10)
_EEXIST = const(17)
_E2BIG = const(7)
_IFA_F_PERMANENT = const(0x80)
_RTNH_F_ONLINK = const(4)
_ROUTE_FLAGS = const(8)  # where in the body they are, 32 bits
# Kernel, router advertisements and DHCP bring theirs back; ours are for who installed them.
_OTHERS = (2, 9, 16, rt.PROTOCOL)
_MAX_SAVED = const(256)


class Snapshot:
    """The permanent addresses and the unicast routes of one device (an index), as the kernel told
    them: `addresses` and `routes`, bodies of messages. IPv6 addresses go with an interface that is
    taken down, and all routes do.

    Left to their owners: routes of DHCP, router advertisements and this gateway. Not kept: routes
    over several devices.
    """

    def __init__(self, netlink, dev, addresses=(), routes=()):
        self._netlink = netlink
        self._dev = dev
        self.addresses = list(addresses)
        self.routes = list(routes)

    def take(self):
        """Asks the kernel; raises OSError with a text, also where there are too many."""
        dump = self._netlink.dump
        dump("list the addresses", rt.GETADDR, rt.addresses_body(), self._take_address)
        for family in (_AF_INET, _AF_INET6):
            dump("list the routes", rt.GETROUTE, rt.routes_body(family), self._take_route)
        if len(self.addresses) + len(self.routes) > _MAX_SAVED:
            text = "link #%d has more addresses and routes than can be kept" % self._dev
            raise OSError(_E2BIG, text)
        # A gateway can be named only once the route to itself is there.
        self.routes.sort(key=lambda body: _route(body).via is not None)

    def _take_address(self, buf, start, end):
        address = rt.read_address(buf, start, end)
        if address.dev == self._dev and address.flags & _IFA_F_PERMANENT:
            self._keep(self.addresses, buf, start, end)

    def _take_route(self, buf, start, end):
        route = rt.read_route(buf, start, end)
        if route.dev == self._dev and route.kind == rt.UNICAST and route.protocol not in _OTHERS:
            body = self._keep(self.routes, buf, start, end)
            # What the kernel says of a link without carrier, it does not take back.
            flags = _RTNH_F_ONLINK if route.onlink else 0
            struct.pack_into("@I", body, _ROUTE_FLAGS, flags)

    def _keep(self, kept, buf, start, end):
        body = bytearray(buf[start:end])
        if len(kept) <= _MAX_SAVED:
            kept.append(body)
        return body

    def restore_addresses(self):
        """Puts back those that are gone, and forgets all but those that fail; returns texts of
        why these do."""
        self.addresses, errors = self._restore(self.addresses, rt.NEWADDR, "an address")
        return errors

    def restore_routes(self):
        """The same with routes: after the addresses, as they may stand on these."""
        self.routes, errors = self._restore(self.routes, rt.NEWROUTE, "a route")
        return errors

    def _restore(self, bodies, kind, what):
        left = []
        errors = []
        for body in bodies:
            try:
                self._netlink.create("put back " + what, kind, bytes(body))
            except OSError as error:
                if error.args[0] != _EEXIST:
                    left.append(body)
                    errors.append(error.args[-1])
        return left, errors


def _route(body):
    return rt.read_route(body, 0, len(body))
