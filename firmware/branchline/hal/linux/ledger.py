"""What this process has put into the kernel, so that it can take out exactly that."""

from collections import OrderedDict

from branchline.hal.linux import rtnetlink as rt

_METRIC_IPV6 = 1024  # what the kernel takes where an IPv6 route has none
# ESRCH, ENODEV, EADDRNOTAVAIL: it went away by itself, as routes do with their device.
_GONE = (3, 19, 99)


class Ledger:
    """Adds links, addresses and routes through a Netlink and undoes its own additions.

    What exists already is never taken over: adding it raises OSError (EEXIST).
    """

    def __init__(self, netlink):
        self._netlink = netlink
        # MicroPython's plain dicts keep no order, and its ordered ones are searched item by item:
        # not for routes, which may be many and go in any order.
        self._links = OrderedDict()  # index -> name
        self._addresses = OrderedDict()  # (dev, local, plen, peer) -> None
        self._routes = {}  # (dst, plen, metric, table) -> Route

    def entries(self):
        """The additions as plain tuples, for restore(); links are not among them."""
        return [tuple(route) for route in self._routes.values()], list(self._addresses)

    def restore(self, entries):
        """Takes over the additions of an earlier Ledger; () for none."""
        routes, addresses = entries or ((), ())
        for fields in routes:
            route = rt.Route(*fields)
            self._routes[_key(route)] = route
        for key in addresses:
            self._addresses[key] = None

    def add_dummy(self, name):
        """Makes a dummy link; returns its index."""
        dev = self._netlink.add_dummy(name)
        self._links[dev] = name
        return dev

    def add_address(self, dev, local, plen, peer=None):
        """Gives a link an address; nothing happens if this ledger has done so before."""
        key = (dev, local, plen, peer)
        if key not in self._addresses:
            self._netlink.add_address(*key)
            self._addresses[key] = None

    def delete_address(self, dev, local, plen, peer=None):
        """Takes an address of this ledger's away; nothing happens for others."""
        key = (dev, local, plen, peer)
        if key in self._addresses:
            self._undo_address(key)

    def set_route(self, route):
        """Adds a Route, or replaces this ledger's one to the same prefix with the same metric.

        Raises OSError (EEXIST) where such a route is another program's.
        """
        key = _key(route)
        if key in self._routes:
            self._netlink.replace_route(route)
        else:
            self._netlink.add_route(route)
        self._routes[key] = route

    def delete_route(self, route):
        """Deletes this ledger's route to the same prefix with the same metric, if there is one."""
        key = _key(route)
        if key in self._routes:
            self._undo_route(key)

    def sweep(self):
        """Deletes the routes that a crash has left: all with our protocol number that are not
        this ledger's. Returns how many. Only while no other gateway runs in this namespace."""
        count = 0
        for family in (2, 10):
            for route in self._netlink.routes(family, rt.PROTOCOL):
                if _key(route) not in self._routes:
                    self._unless_gone(self._netlink.delete_route, route)
                    count += 1
        return count

    def undo(self):
        """Takes out routes, then addresses and links, the latest first; returns a list of the
        errors' texts. What is gone already is no error; a second call does nothing."""
        errors = []
        for table, undo_one in (
            (self._routes, self._undo_route),
            (self._addresses, self._undo_address),
            (self._links, self._undo_link),
        ):
            for key in reversed(list(table)):
                try:
                    undo_one(key)
                except OSError as error:
                    errors.append(error.args[1])
        return errors

    def _undo_route(self, key):
        self._unless_gone(self._netlink.delete_route, self._routes.pop(key))

    def _undo_address(self, key):
        del self._addresses[key]
        self._unless_gone(self._netlink.delete_address, *key)

    def _undo_link(self, key):
        del self._links[key]
        self._unless_gone(self._netlink.delete_link, key)

    def _unless_gone(self, operation, *args):
        try:
            operation(*args)
        except OSError as error:
            if error.args[0] not in _GONE:
                raise


def _key(route):
    metric = route.metric
    if not metric and len(route.dst) == 16:
        metric = _METRIC_IPV6
    return route.dst, route.plen, metric, route.table
