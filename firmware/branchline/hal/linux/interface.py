"""Gives a tunnel's device its addresses and routes, and takes them away again."""

from branchline.hal.linux import rtnetlink as rt
from branchline.hal.linux.ledger import Ledger
from branchline.hal.linux.sysctl import loosen_rp_filter, no_link_local

_EEXIST = 17


class Interface:
    """One device of ours, by name; `apply` once, `undo` when the tunnel ends, be it another
    Interface's `entries`."""

    def __init__(self, netlink, name, entries=()):
        self._netlink = netlink
        self._ledger = Ledger(netlink)
        self._ledger.restore(entries)
        self._name = name

    def apply(self, plan, txqueuelen):
        """Carries out a plan (mtu, addresses, routes) and brings the device up.

        Returns texts of what could not be done; only a device without its addresses raises
        (OSError).
        """
        notes = self._prepare()
        dev = self._netlink.index(self._name)
        # Looked up first: these routes must not lead into the tunnel.
        outside = [self._outside(route) for route in plan.routes if route.outside]
        self._netlink.set_link(dev, up=True, mtu=plan.mtu, txqueuelen=txqueuelen)
        for local, plen, peer in plan.addresses:
            self._ledger.add_address(dev, local, plen, peer)
        inside = [
            rt.make_route(route.dst, route.plen, route.via, dev, route.metric)
            for route in plan.routes
            if not route.outside
        ]
        for route in [route for route in outside if route] + inside:
            try:
                self._ledger.set_route(route)
            except OSError as error:
                notes.append(_explain(error))
        return notes

    def _prepare(self):
        notes = []
        for setting in (loosen_rp_filter, no_link_local):
            try:
                setting(self._name)
            except OSError as error:
                notes.append(str(error.args[-1]))
        return notes

    def _outside(self, planned):
        """The Route to planned.dst by the way that leads there now, or None if none does."""
        now = self._netlink.lookup(planned.dst)
        if now is None:
            return None
        return rt.make_route(planned.dst, planned.plen, now.via, now.dev, planned.metric)

    def entries(self):
        """What undo() would take out, as plain tuples."""
        return self._ledger.entries()

    def undo(self):
        """Takes out exactly what apply() put in; returns texts of what failed."""
        return self._ledger.undo()


def _explain(error):
    text = str(error.args[-1])
    if error.args[0] == _EEXIST:
        text += " (another program has such a route; it was left alone)"
    return text
