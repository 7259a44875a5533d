"""What Linux offers to the gateway; app/system.py says which System is the machine's."""

from branchline.app.base_system import BaseSystem
from branchline.app.numeric import FAMILIES, numeric
from branchline.hal.clock import ticks
from branchline.hal.linux.brief_interface import BriefInterface
from branchline.hal.linux.sockets import BUFFER
from branchline.hal.linux.tun import open_tun
from branchline.hal.linux.udp import open_udp
from branchline.wire.ticks import earliest, ticks_diff


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


class System(BaseSystem):
    """A gateway's."""

    # As many as gateway.json may ask for.
    max_routes = 16384
    # Stock clients run beside the gateway, and the kernel filters packets.
    runs_programs = filters = True

    @property
    def providers(self):
        """(name, maker) of the crypto providers, the best first."""
        return PROVIDERS

    def tls_access(self):
        """A hal.linux.mbedtls.Mbedtls, or None."""
        from branchline.hal.linux import mbedtls

        return mbedtls.load()

    def __init__(self, log):
        super().__init__(log)
        self.open_tun = open_tun
        self._resolver = None
        self._children = None

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
        """Time has passed; whether somebody may have got an answer or lost a program."""
        due = self.next_timer()
        if due is None or ticks_diff(now, due) < 0:
            return False
        for part in (self._resolver, self._children):
            if part:
                part.handle_timer(now)
        return True


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
