"""lwIP's share of routing: the routes that were selected, and the static address."""

import tun
from micropython import const

from branchline.hal.lwip import links
from branchline.wire.ip import format_prefix

# Worse than what a tunnel's profile brings, as on Linux.
METRIC = const(1024)
_ENOSPC = const(28)


class Routes:
    """As hal.linux.kernel_routes.KernelRoutes; a board's start finds nothing of an earlier run."""

    def __init__(self):
        self._installed = set()
        self._holder = None

    def hold_address(self, address):
        """Puts the gateway's static address (4 or 16 octets) on an interface of its own."""
        if self._holder is None:
            self._holder = tun.Tun(True)
        tun.address(self._holder.index(), address, len(address) * 8)

    def add_address(self, device, address, plen):
        """Gives a tunnel's device an address; it goes away with the device."""
        tun.address(links.index(device), address, plen)

    def install(self, prefix, plen, next_hop, device):
        """Adds or replaces the route; next_hop: 4 or 16 octets, by the device of that name."""
        gateway = next_hop if len(next_hop) == len(prefix) == 4 else None
        self._set(prefix, plen, links.index(device), gateway)

    def unreachable(self, prefix, plen):
        """Answers `unreachable` for the prefix instead of following a shorter one."""
        self._set(prefix, plen, 0, None)

    def _set(self, prefix, plen, index, gateway):
        try:
            tun.route(prefix, plen, METRIC, index, gateway)
        except OSError as error:
            if error.args[0] != _ENOSPC:
                raise
            text = "there is no room for a route to " + format_prefix(prefix, plen)
            raise OSError(_ENOSPC, text) from None
        self._installed.add((bytes(prefix), plen))

    def remove(self, prefix, plen):
        """Removes the route, if there is one of ours."""
        tun.unroute(prefix, plen, METRIC)
        self._installed.discard((bytes(prefix), plen))

    def undo(self):
        """Removes all routes and the address; returns texts of what failed."""
        for prefix, plen in self._installed:
            tun.unroute(prefix, plen, METRIC)
        self._installed = set()
        if self._holder:
            self._holder.close()
            self._holder = None
        return []
