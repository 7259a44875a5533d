"""What the operating system offers to every role: clocks, the poller, the kernel's routes.

What only some need, or only later, is imported where it is used: small heaps cannot hold it all
at once.
"""

from branchline.hal.clock import ticks, ticks_ms, ticks_us, unix_time
from branchline.hal.entropy import random_octets
from branchline.hal.poller import Poller
from branchline.wire.overlay import Overlay


class BaseSystem:
    """Linux. `log(level, subject, event, text)` is the process's log."""

    # As many as gateway.json may ask for.
    max_routes = 16384

    def __init__(self, log):
        self.log = log
        self.poller = Poller()
        self.ticks = ticks
        self.ticks_ms = ticks_ms
        self.ticks_us = ticks_us
        self.unix_time = unix_time
        self.random = random_octets
        self._kernel = None

    def prepare(self, config, folder):
        """The system's owner has configured the network."""

    def open_signals(self):
        """A Signals."""
        from branchline.hal.linux.signals import Signals

        return Signals()

    def forwarding_enabled(self, version):
        """Whether packets are forwarded between interfaces; version 4 or 6."""
        from branchline.hal.linux.sysctl import forwarding_enabled

        return forwarding_enabled(version)

    def listen(self, address, port, backlog):
        """A listening socket; see hal.linux.listener."""
        from branchline.hal.linux.listener import listen

        return listen(address, port, backlog)

    def accept(self, listener):
        """The next connection, or None."""
        from branchline.hal.linux.listener import accept

        return accept(listener)

    @property
    def _netlink(self):
        if self._kernel is None:
            from branchline.hal.linux.netlink import Netlink

            self._kernel = Netlink()
        return self._kernel

    def claim(self):
        """A Claim of this network namespace, to be kept; OSError if another gateway has it."""
        from branchline.hal.linux.claim import Claim

        return Claim()

    @property
    def kernel_routes(self):
        """A KernelRoutes for whoever keeps the kernel's routing table."""
        from branchline.hal.linux.kernel_routes import KernelRoutes

        return KernelRoutes(self._netlink)

    def sweep(self):
        """Deletes what a crash has left in the kernel; the number of routes. Such a route to a
        server would lead astray once the uplink changes."""
        with Overlay():
            from branchline.hal.linux.kernel_routes import KernelRoutes
            from branchline.hal.linux.netlink import Netlink

            netlink = Netlink()
            try:
                return KernelRoutes(netlink).sweep()
            finally:
                netlink.close()

    def open_babel(self, device, link_local):
        """A BabelSocket on a device with that address (16 octets)."""
        from branchline.hal.linux.babel_socket import BabelSocket

        return BabelSocket(device, link_local)

    def watch_links(self):
        """A LinkWatch."""
        from branchline.hal.linux.link_watch import LinkWatch

        return LinkWatch()

    def link_index(self, device):
        """The interface index of a device, or None if there is none of that name."""
        try:
            return self._netlink.index(device)
        except OSError:
            return None

    def link_addresses(self, device, prefix=None):
        """(link-local address 16 octets, own IPv4 address towards prefix or None) of a device,
        or None while it has no usable link-local address. Without a prefix the IPv4 address is
        the device's first one."""
        from branchline.hal.linux.link_local import link_local

        local = link_local(device)
        if local is None:
            return None
        if prefix is None:
            return local, self._netlink.first_ipv4(self._netlink.index(device))
        route = self._netlink.lookup(prefix) if len(prefix) == 4 else None
        return local, route.source if route else None
