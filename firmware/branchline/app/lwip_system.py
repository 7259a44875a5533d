"""What a board with lwIP offers to the gateway: as app/linux_system.py, where it can.

There are no other programs, no devices that come and go, and one gateway only.
"""

from micropython import const

from branchline import BUILD_TIME
from branchline.app.numeric import FAMILIES, numeric
from branchline.hal.clock import ticks, ticks_ms, ticks_us, unix_time
from branchline.hal.entropy import random_octets
from branchline.hal.lwip import links
from branchline.hal.lwip.interface import Interface
from branchline.hal.lwip.time_keeper import TimeKeeper, set_clock
from branchline.hal.lwip.tun import open_tun
from branchline.hal.lwip.udp import open_udp
from branchline.hal.poller import Poller
from branchline.wire.overlay import Overlay
from branchline.wire.ticks import earliest, ticks_add, ticks_diff

_EOPNOTSUPP = const(95)
# How long the start waits for an address, and then for the time; it goes on without them.
_ADDRESS_MS = const(15_000)
_TIME_MS = const(4000)
_STEP_MS = const(50)


def _mbedtls():
    from branchline.hal.lwip.mbedtls_aead import MbedtlsAead

    return MbedtlsAead()


def _pure():
    from branchline.crypto.pure import Pure

    return Pure()


class _Claim:
    """There is nobody else."""

    @staticmethod
    def close():
        pass


class System:
    """A board. `log(level, subject, event, text)` is the gateway's log."""

    # Prefixes. lwIP's table has room for twice as many routes (boards/c_modules/routes.c): some
    # are the tunnels' own.
    max_routes = 64
    # The engine `openvpn` is for systems that can start one; nobody calls filter.judge yet.
    runs_programs = filters = False
    providers = (("mbedtls", _mbedtls), ("pure", _pure))

    def __init__(self, log):
        self.log = log
        self.poller = Poller()
        self.ticks = ticks
        self.ticks_ms = ticks_ms
        self.ticks_us = ticks_us
        self.unix_time = unix_time
        self.random = random_octets
        self.open_tun = open_tun
        self.open_socket = open_udp
        self._resolver = self._time = None
        if unix_time() < BUILD_TIME:
            set_clock(BUILD_TIME)

    def prepare(self, config, folder):
        """Brings the board's wires up, gets an address and the time. Raises ConfigError."""
        with Overlay():
            from branchline.app.board_config import read_board

            board = read_board(folder, config.lans)
        from branchline.hal.lwip import uplink

        wire = uplink.Uplink()
        wire.start(board.static)
        if not self._wait(wire.is_ready, _ADDRESS_MS):
            self.log("warning", "gateway", "wan", "DHCP has given no address yet")
        else:
            self.log("info", "gateway", "wan", "eth0 has " + wire.address())
        for name, address, plen in board.lans:
            uplink.start_lan(name, address, plen)
        self._time = TimeKeeper(board.time_servers, self, BUILD_TIME)
        if not self._wait(lambda: self._time.is_right, _TIME_MS):
            self.log("warning", "gateway", "clock", "no time server answers yet")

    def _wait(self, is_done, ms):
        """Runs nothing but names and time until is_done(), at most so long; what that says."""
        until = ticks_add(ticks(), ms)
        while not is_done() and ticks_diff(until, ticks()) > 0:
            self.handle_timer(ticks())
            self.poller.wait(_STEP_MS)
        return is_done()

    # ---- names ----

    def resolve(self, host, family, now):
        """A query for the addresses of host; family 4, 6 or 0 for both."""
        answer = numeric(host, family)
        if answer:
            return answer
        if self._resolver is None:
            from branchline.hal.lwip.uplink import name_servers
            from branchline.hal.resolver import Resolver

            self._resolver = Resolver(
                self.poller, open_udp, "/hosts", "/resolv.conf", servers=name_servers
            )
        return self._resolver.resolve(host, FAMILIES[family], now)

    # ---- tunnels ----

    def open_udp(self, address, port, profile):
        """A UDP transport as the profile wants it."""
        lport = 0 if profile.nobind or profile.lport is None else profile.lport
        return open_udp(
            address, port, profile.local, lport, mark=profile.mark, bind_dev=profile.bind_dev,
            floating=profile.float,
        )

    def open_tcp(self, address, port, profile):
        """The beginning of a TCP connection as the profile wants it."""
        from branchline.hal.lwip.tcp import open_tcp

        lport = 0 if profile.nobind or profile.lport is None else profile.lport
        return open_tcp(
            address, port, profile.local, lport, mark=profile.mark, bind_dev=profile.bind_dev
        )

    def make_interface(self, device):
        """Gives a device that was just made its addresses and routes, and takes them away."""
        return Interface(device)

    def tls_access(self):
        """TLS is had by the module `tls` alone."""
        return None

    def open_probe(self, device, target, identifier):
        """A Probe of an address (4 or 16 octets) by a device; OSError with a text."""
        from branchline.hal.lwip.probe import Probe

        return Probe(device, target, identifier)

    # ---- routing ----

    @property
    def kernel_routes(self):
        """The Routes of lwIP."""
        from branchline.hal.lwip.routes import Routes

        return Routes()

    def sweep(self):
        """Nothing outlives a board's restart."""
        return 0

    def open_babel(self, device, link_local):
        """A BabelSocket on a device with that address (16 octets)."""
        from branchline.hal.lwip.babel_socket import BabelSocket

        return BabelSocket(device, link_local)

    def watch_links(self):
        """lwIP keeps the routes of links that are down."""
        return None

    def link_index(self, device):
        """The interface index of a device, or None if there is none of that name."""
        return links.find(device)

    def link_addresses(self, device, prefix):
        """Babel does not run on a board's LANs."""
        return None

    def forwarding_enabled(self, version):
        """Whether packets are forwarded between interfaces: the build says so."""
        return True

    # ---- the machine ----

    def claim(self):
        """There is one gateway on a board."""
        return _Claim

    def open_signals(self):
        """Ctrl-C on the console is an exception."""
        return None

    def watch_wan(self):
        """Raises OSError: the wire is not watched."""
        raise OSError(_EOPNOTSUPP, "this board does not watch its wire")

    def device_towards(self, address):
        """The index of the device by which packets to an address (octets) leave now, or None."""
        import tun

        found = tun.lookup(address)
        return found and found[0]

    def bounce(self, device):
        """Raises OSError."""
        raise OSError(_EOPNOTSUPP, "this board cannot take its wire down")

    def reboot(self):
        """Restarts the board."""
        import machine

        machine.reset()

    def open_watchdog(self, path, timeout_s):
        """A MachineWatchdog, armed."""
        import machine

        from branchline.hal.machine_watchdog import MachineWatchdog

        if not hasattr(machine, "WDT"):
            raise OSError(_EOPNOTSUPP, "this board has no hardware watchdog")
        return MachineWatchdog(machine.WDT, timeout_s)

    # ---- the API ----

    def listen(self, address, port, backlog):
        """A listening socket; see hal.lwip.listener."""
        from branchline.hal.lwip.listener import listen

        return listen(address, port, backlog)

    def accept(self, listener):
        """The next connection, or None."""
        from branchline.hal.lwip.listener import accept

        return accept(listener)

    # ---- time ----

    def settle(self, timeout_ms):
        """No program was started."""

    def next_timer(self):
        """The tick of the earliest deadline of names and clock, or None."""
        parts = [part for part in (self._resolver, self._time) if part]
        return earliest(*[part.next_timer() for part in parts])

    def handle_timer(self, now):
        """Time has passed; whether somebody may have got an answer."""
        due = self.next_timer()
        if due is None or ticks_diff(now, due) < 0:
            return False
        for part in (self._resolver, self._time):
            if part:
                part.handle_timer(now)
        return True
