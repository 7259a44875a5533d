"""The kernel's routes to a hub's clients: each to a prefix by the device of an OpenVPN server.

They have a protocol number of their own, by which babeld or BIRD know them. A device that goes
away takes its routes with it; those that are here when the agent starts are kept as long as they
are right, so that its restart moves no traffic.
"""

from micropython import const

from branchline.hal.linux import rtnetlink as rt

# Better than what routing daemons learn (BIRD's 32, Branchline's 1024; babeld takes its own away).
METRIC = const(16)
# EINVAL: the source is not (any more) an address of this machine.
_EINVAL = const(22)
# ESRCH, ENODEV: it went away with its device.
_GONE = (3, 19)


class ClientRoutes:
    """netlink: a Netlink; protocol: the routes' number; source: our own virtual address (octets),
    from which this machine speaks to clients, or None.

    Prefixes are octets with a length. All methods raise OSError(errno, text).
    """

    def __init__(self, netlink, protocol, source):
        self._netlink = netlink
        self._protocol = protocol
        self._source = source
        self._routes = {}  # (prefix, plen) -> Route

    def adopt(self):
        """Takes over what an earlier run has left; a list of (prefix, plen, device index)."""
        found = []
        for family in (2, 10):
            for route in self._netlink.routes(family, self._protocol):
                if route.metric == METRIC and route.via is None:
                    self._routes[route.dst, route.plen] = route
                    found.append((route.dst, route.plen, route.dev))
                else:
                    self._delete(route)
        return found

    def set(self, prefix, plen, device, again=False):
        """Adds the route by the device of that name, or moves it there; again: even where it
        should be there, as the kernel drops those by a device that goes down."""
        dev = self._netlink.index(device)
        there = self._routes.get((prefix, plen))
        if again or not there or there.dev != dev:
            self._replace(prefix, plen, dev)

    def _replace(self, prefix, plen, dev):
        source = self._source
        if source is not None and len(source) != len(prefix):
            source = None
        route = self._route(prefix, plen, dev, source)
        try:
            self._netlink.replace_route(route)
        except OSError as error:
            if error.args[0] != _EINVAL or source is None:
                raise
            route = self._route(prefix, plen, dev, None)
            self._netlink.replace_route(route)
        self._routes[prefix, plen] = route

    def _route(self, prefix, plen, dev, source):
        return rt.make_route(
            prefix, plen, None, dev, METRIC, source, protocol=self._protocol
        )

    def remove(self, prefix, plen):
        """Removes the route, if there is one."""
        route = self._routes.get((prefix, plen))
        if route:
            self._delete(route)
            del self._routes[prefix, plen]

    def _delete(self, route):
        try:
            self._netlink.delete_route(route)
        except OSError as error:
            if error.args[0] not in _GONE:
                raise
