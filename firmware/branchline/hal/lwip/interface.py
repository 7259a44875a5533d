"""Gives a tunnel's device its addresses and routes; they go away with the device."""

import tun

from branchline.hal.lwip import links

_LONGEST_MTU = 1500


class Interface:
    """One device of ours, by name; as hal.linux.interface.Interface."""

    def __init__(self, name):
        self._index = links.index(name)
        self._outside = []

    def apply(self, plan, txqueuelen):
        """Carries out a plan (mtu, addresses, routes); returns texts of what could not be done."""
        notes = []
        # Looked up first: these routes must not lead into the tunnel.
        outside = [self._found(route) for route in plan.routes if route.outside]
        tun.mtu(self._index, min(plan.mtu, _LONGEST_MTU))
        for local, plen, peer in plan.addresses:
            tun.address(self._index, local, plen)
            if peer is not None:
                tun.route(peer, len(peer) * 8, 0, self._index)
        for arguments in [each for each in outside if each]:
            tun.route(*arguments)
            self._outside.append(arguments[:3])
        for route in plan.routes:
            if not route.outside:
                self._add(route, notes)
        return notes

    def _add(self, route, notes):
        try:
            tun.route(route.dst, route.plen, route.metric, self._index)
        except OSError:
            notes.append("there is no room for a route to " + str(route))

    @staticmethod
    def _found(planned):
        """The arguments of a route to planned.dst by the way that leads there now, or None."""
        found = tun.lookup(planned.dst)
        return found and (planned.dst, planned.plen, planned.metric, found[0], found[1])

    def undo(self):
        """Removes the routes that do not go away with the device; returns texts of what failed."""
        for arguments in self._outside:
            tun.unroute(*arguments)
        self._outside = []
        return []
