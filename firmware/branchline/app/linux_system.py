"""What Linux offers to the gateway; app/system.py says which System is the machine's.

What only some gateways need, or only later, is imported where it is used: small heaps cannot
hold it all at once.
"""

from branchline.app.numeric import FAMILIES, numeric
from branchline.hal.clock import ticks, ticks_ms, ticks_us, unix_time
from branchline.hal.entropy import random_octets
from branchline.hal.linux.brief_interface import BriefInterface
from branchline.hal.linux.sockets import BUFFER
from branchline.hal.linux.tun import open_tun
from branchline.hal.linux.udp import open_udp
from branchline.hal.poller import Poller
from branchline.wire.overlay import Overlay
from branchline.wire.ticks import earliest


def _gnutls():
    from branchline.hal.linux.gnutls import Gnutls

    return Gnutls()


def _libcrypto():
    from branchline.hal.linux.libcrypto import Libcrypto

    return Libcrypto()


def _pure():
    from branchline.crypto.pure import Pure

    return Pure()


# Best first, as measured: one call of libgnutls does what takes libcrypto five. Each is loaded
# only when those before it lack something.
PROVIDERS = (("gnutls", _gnutls), ("libcrypto", _libcrypto), ("pure", _pure))


class System:
    """Linux. `log(level, subject, event, text)` is the gateway's log."""

    def __init__(self, log):
        self.log = log
        self.poller = Poller()
        self.ticks = ticks
        self.ticks_ms = ticks_ms
        self.unix_time = unix_time
        self.random = random_octets
        self.open_tun = open_tun
        self.ticks_us = ticks_us
        self._resolver = None
        self._kernel = None
        self._children = None

    @property
    def _netlink(self):
        if self._kernel is None:
            from branchline.hal.linux.netlink import Netlink

            self._kernel = Netlink()
        return self._kernel

    # As many as gateway.json may ask for.
    max_routes = 16384
    # Stock clients run beside the gateway.
    runs_programs = True

    def prepare(self, config, folder):
        """The system's owner has configured the network."""

    @property
    def providers(self):
        """(name, maker) of the crypto providers, the best first."""
        return PROVIDERS

    def tls_access(self):
        """A hal.linux.mbedtls.Mbedtls, or None."""
        from branchline.hal.linux import mbedtls

        return mbedtls.load()

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

    def resolve(self, host, family, now):
        """A query for the addresses of host; family 4, 6 or 0 for both."""
        answer = numeric(host, family)
        if answer:
            return answer
        if self._resolver is None:
            from branchline.hal.resolver import Resolver

            self._resolver = Resolver(self.poller, open_udp)
        return self._resolver.resolve(host, FAMILIES[family], now)

    def make_interface(self, device):
        """Gives a device that was just made its addresses and routes, and takes them away."""
        return BriefInterface(device)

    def open_babel(self, device, link_local):
        """A BabelSocket on a device with that address (16 octets)."""
        from branchline.hal.linux.babel_socket import BabelSocket

        return BabelSocket(device, link_local)

    def watch_wan(self):
        """A WanWatch."""
        from branchline.hal.linux.wan import WanWatch

        return WanWatch(self._netlink)

    def device_towards(self, address):
        """The index of the device by which packets to an address (octets) leave now, or None."""
        from branchline.hal.linux.wan import device_towards

        try:
            return device_towards(self._netlink, address)
        except OSError:
            return None

    def bounce(self, device):
        """A Bounce of a device."""
        from branchline.hal.linux.bounce import Bounce

        return Bounce(self._netlink, device)

    def reboot(self):
        """Restarts the machine; returns only by OSError with a text."""
        from branchline.hal.linux.reboot import reboot

        reboot()

    def open_watchdog(self, path, timeout_s):
        """A HardwareWatchdog, armed."""
        from branchline.hal.linux.hardware_watchdog import HardwareWatchdog

        return HardwareWatchdog(path, timeout_s)

    def open_probe(self, device, target, identifier):
        """A Probe of an address (4 or 16 octets) by a device; OSError with a text."""
        from branchline.hal.linux.probe import Probe

        return Probe(device, target, identifier)

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

    def link_addresses(self, device, prefix):
        """(link-local address 16 octets, own IPv4 address towards prefix or None) of a device,
        or None while it has no usable link-local address."""
        from branchline.hal.linux.link_local import link_local

        local = link_local(device)
        if local is None:
            return None
        route = self._netlink.lookup(prefix) if len(prefix) == 4 else None
        return local, route.source if route else None

    def open_udp(self, address, port, profile):
        """A UDP transport as the profile wants it."""
        return open_udp(address, port, *_socket_options(profile), floating=profile.float)

    def open_tcp(self, address, port, profile):
        """The beginning of a TCP connection as the profile wants it."""
        from branchline.hal.linux.tcp import open_tcp

        return open_tcp(address, port, *_socket_options(profile))

    def loosen_rp_filter(self, device):
        """Lets packets come in by a device whose way back is another."""
        from branchline.hal.linux.sysctl import loosen_rp_filter

        loosen_rp_filter(device)

    def spawn(self, argv, standard_input, on_end):
        """Starts a program; see hal.linux.child.Children.spawn."""
        if self._children is None:
            from branchline.hal.linux.child import Children

            self._children = Children(self.poller, ticks)
        return self._children.spawn(argv, standard_input, on_end)

    def settle(self, timeout_ms):
        """Waits until all programs that were started have ended."""
        if self._children:
            self._children.settle(timeout_ms)

    def find_strays(self, option, value):
        """The ids of processes that have `option value` among their arguments."""
        from branchline.hal.linux.strays import find_strays

        return find_strays(option, value)

    def end_stray(self, pid, force):
        """Ends a process that is no child: politely, or (force) at once."""
        from branchline.hal.linux.strays import end_stray

        end_stray(pid, force)

    def listen_unix(self, path):
        """A UnixListener."""
        from branchline.hal.linux.unix_stream import UnixListener

        return UnixListener(path)

    def next_timer(self):
        """The tick of the earliest deadline of names and children, or None."""
        parts = [part for part in (self._resolver, self._children) if part]
        return earliest(*[part.next_timer() for part in parts])

    def handle_timer(self, now):
        """Time has passed."""
        for part in (self._resolver, self._children):
            if part:
                part.handle_timer(now)


def _socket_options(profile):
    lport = 0 if profile.nobind or profile.lport is None else profile.lport
    return (
        profile.local,
        lport,
        profile.rcvbuf or BUFFER,
        profile.sndbuf or BUFFER,
        profile.mark,
        profile.bind_dev,
    )
