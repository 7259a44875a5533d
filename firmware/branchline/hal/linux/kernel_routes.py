"""The kernel's share of routing: the routes that were selected, and the static address."""

from micropython import const

from branchline.hal.linux import rtnetlink as rt
from branchline.hal.linux.ledger import Ledger

# Worse than what an administrator sets by hand, so that this wins; all of ours have the same,
# so that a change replaces the route in one step.
METRIC = const(1024)
# Carries the static address, so that this is the same through every tunnel.
_ADDRESS_LINK = "branchline"


class KernelRoutes:
    """Keeps the kernel's routes equal to what it is told; `undo` removes exactly those.

    All methods raise OSError(errno, text) when the kernel refuses.
    """

    def __init__(self, netlink):
        self._netlink = netlink
        self._ledger = Ledger(netlink)
        self._sources = {}

    def sweep(self):
        """Removes what a crash has left behind; returns the number of routes removed."""
        # Routes first: those with the address as their source would go uncounted with it.
        count = self._ledger.sweep()
        left = self._netlink.link(_ADDRESS_LINK)
        if left:
            self._netlink.delete_link(left.index)
        return count

    def hold_address(self, address):
        """Puts the gateway's static address (4 or 16 octets) on a link that never goes down; it
        becomes the source of what the gateway itself sends by the routes."""
        dev = self._ledger.add_dummy(_ADDRESS_LINK)
        self._netlink.set_link(dev, up=True)
        self._ledger.add_address(dev, address, len(address) * 8)
        self._sources[len(address)] = address

    def add_address(self, device, address, plen):
        """Gives a tunnel's device an address; it goes away with the device."""
        self._netlink.add_address(self._netlink.index(device), address, plen)

    def install(self, prefix, plen, next_hop, device):
        """Adds or replaces the route; next_hop: 4 or 16 octets, by the device of that name."""
        dev = self._netlink.index(device)
        source = self._sources.get(len(prefix))
        self._ledger.set_route(
            rt.make_route(prefix, plen, next_hop, dev, METRIC, source, onlink=True)
        )

    def unreachable(self, prefix, plen):
        """Answers `unreachable` for the prefix instead of following a shorter one."""
        self._ledger.set_route(rt.make_route(prefix, plen, metric=METRIC, kind=rt.UNREACHABLE))

    def remove(self, prefix, plen):
        """Removes the route, if there is one of ours."""
        self._ledger.delete_route(rt.make_route(prefix, plen, metric=METRIC))

    def undo(self):
        """Removes all routes and the address; returns texts of what failed."""
        return self._ledger.undo()
