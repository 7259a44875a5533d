"""Babel in the gateway: the agent's links, sockets and clock, and its routes in the kernel."""

import hashlib

from micropython import const

from branchline.app.seqnos import Seqnos
from branchline.babel.agent import Agent
from branchline.babel.filters import Policy, Rule
from branchline.babel.interface import Interface
from branchline.babel.mac import Key, Keyring
from branchline.babel.prefix import address as prefix_address
from branchline.babel.prefix import prefix_key, prefix_text
from branchline.babel.tlv import INFINITY
from branchline.wire.ip import format_address, format_prefix, is_link_local
from branchline.wire.ticks import earliest, ticks_add, ticks_diff

# Packets read from one socket before others have their turn.
_BATCH = const(16)
# Packets, and routes, written before the tunnels' packets have their turn.
_TURN = const(2)
_BUFFER = const(1500)
_CHECK_MS = const(1000)
_RETRY_MS = const(100)
# The penalty of a link that is to be left: worse than any way, but one.
_LEAVE = const(0x4000)
# A device that has come up gets its addresses a moment later.
_SETTLE_MS = const(100)
_LINK_LOCAL = b"\xfe\x80\0\0\0\0\0\0"


class Routing:
    """config: app.config.Config with `routing`; system: app.system.System; servers(): the
    addresses (octets) of all tunnels' servers, which no route may lead away; records:
    app.records.Records or None."""

    def __init__(self, config, system, servers, records=None):
        routing = config.routing
        self._config = config
        self._system = system
        self._servers = servers
        self._kernel = system.kernel_routes
        self._sockets = {}
        self._waiting = {}  # device -> what _open is given, of tunnels whose address is not usable
        self._penalties = {}  # by device
        self._left = None  # the device that is to be left
        self._trusts = {}  # by device: (trusted, lossy)
        self._retry_due = None
        self._watch = None
        self._were_down = set()
        # Of (device, prefix there, whether all neighbours hear each other): who comes and goes
        # with nobody to tell.
        self._links = [(lan.interface, lan.prefix, True) for lan in config.lans if lan.babel]
        self._links += [(device, None, False) for device, _ in routing.interfaces]
        self._unsigned = [device for device, signed in routing.interfaces if not signed]
        self._keyring = Keyring([Key(*key) for key in routing.keys]) if routing.keys else None
        self._check_due = None
        self._more = False
        self._buf = bytearray(_BUFFER)
        own = [(prefix_key(lan.prefix, lan.plen), lan.interface) for lan in config.lans]
        if config.address:
            own.append((prefix_key(config.address, len(config.address) * 8), None))
        self._policy = Policy([Rule(*rule) for rule in routing.accept], own=own)
        self._router_id = _router_id(config)
        self._seqnos = Seqnos(records, system.unix_time())
        self.agent = Agent(
            self._router_id,
            system.random,
            lambda text: self._log("info", "agent", text),
            self._policy,
            routing.stub,
            self._seqnos.first,
            max_neighbours=routing.max_neighbours,
            max_prefixes=routing.max_routes,
            max_routes=4 * routing.max_routes,
            max_sources=2 * routing.max_routes,
        )

    def start(self, now):
        """Takes the static address, and announces what is ours."""
        if self._config.address:
            self._kernel.hold_address(self._config.address)
        for prefix, plen in self._own_prefixes():
            self.agent.announce(prefix, plen, now)
        self._watch = self._system.watch_links()
        self._system.poller.register(self._watch, self._links_changed)
        self._check_due = now
        self._log("info", "start", "router-id " + self._router_id.hex())

    def _own_prefixes(self):
        config = self._config
        own = [(config.address, len(config.address) * 8)] if config.address else []
        announced = config.routing.announce
        if announced is None:
            announced = [(lan.prefix, lan.plen) for lan in config.lans]
        return own + announced

    def announce(self, key, now):
        """Announces a prefix (of babel.prefix) more."""
        if not self.agent.announce(prefix_address(key), key[1], now):
            self._log("warning", "full", prefix_text(key) + ": raise routing.max_routes")
        self._drain()

    def withdraw(self, key, now):
        """Announces a prefix no longer."""
        self.agent.withdraw(prefix_address(key), key[1], now)
        self._drain()

    # ---- links ----

    def tunnel_up(self, device, addresses, mtu, now):
        """A tunnel came up: speak over its device. addresses: (octets, plen, peer) it has."""
        local = [octets for octets, _, _ in addresses if is_link_local(octets)]
        ipv4 = [octets for octets, _, _ in addresses if len(octets) == 4]
        if not local:
            local = [_LINK_LOCAL + self._router_id]
            try:
                self._kernel.add_address(device, local[0], 64)
            except OSError as error:
                # The device may be gone again: a stock process has made it.
                self._log("warning", "link", device + ": " + str(error.args[-1]))
                return
            self._log(
                "warning",
                "link",
                device + ": the hub pushes no ifconfig-ipv6 fe80::.../64, so it may drop what"
                " Babel sends from " + format_address(local[0]),
            )
        link = (device, local[0], ipv4[0] if ipv4 else None, mtu, False)
        if not self._open(*link, now):
            self._waiting[device] = link
            self._retry_due = ticks_add(now, _RETRY_MS)

    def _retry(self, now):
        """An address that the kernel has yet to check cannot be used at once."""
        for device, link in list(self._waiting.items()):
            if self._open(*link, now):
                del self._waiting[device]
        self._retry_due = ticks_add(now, _RETRY_MS) if self._waiting else None

    def _open(self, device, link_local, ipv4, mtu, split_horizon, now):
        routing = self._config.routing
        try:
            socket = self._system.open_babel(device, link_local)
        except OSError as error:
            if device not in self._waiting:
                text = "%s: %s (it is tried again)" % (device, error.args[-1])
                self._log("warning", "link", text)
            return False
        self._sockets[device] = socket
        for half in socket.halves:
            self._system.poller.register(half, self._reader(device, half))
        self.agent.add_interface(
            Interface(
                device,
                link_local,
                ipv4,
                v4_via_v6=ipv4 is None,
                hello_ms=routing.hello_ms,
                split_horizon=split_horizon,
                keyring=None if device in self._unsigned else self._keyring,
                mtu=min(mtu, _BUFFER),
                rtt=routing.rtt,
            )
        )
        self.agent.interface_up(device, now)
        if device in self._trusts:
            trusted, lossy = self._trusts[device]
            self.agent.set_trust(device, trusted, lossy, now)
        self._tell_penalty(device, now)
        return True

    def tunnel_down(self, device, now):
        """A tunnel's device goes away; the network hears of us by the others at once."""
        self._waiting.pop(device, None)
        self._penalties.pop(device, None)
        self._trusts.pop(device, None)
        if device == self._left:
            self._left = None
        if device in self._sockets:
            self._close(device)
            self.agent.remove_interface(device, now)
            self.agent.refresh(now)
            self._drain()

    def set_penalty(self, device, penalty, now):
        """How much worse than it looks the link by a device is (Agent.set_penalty)."""
        self._penalties[device] = penalty
        self._tell_penalty(device, now)

    def leave(self, device, now):
        """Has the network leave a device by which packets still pass, until its tunnel is down;
        None: no device any more."""
        before, self._left = self._left, device
        for each in (before, device):
            if each:
                self._tell_penalty(each, now)

    def _tell_penalty(self, device, now):
        penalty = self._penalties.get(device, 0)
        if device == self._left:
            penalty = max(penalty, _LEAVE)
        if device in self._sockets:
            self.agent.set_penalty(device, penalty, now)
            self._drain()

    def is_used(self, device):
        """Whether a route leads by a device."""
        return any(
            selected and port == device and metric < INFINITY
            for _, _, port, metric, _, _, selected in self.agent.routes()
        )

    def reload(self, routing, now):
        """Takes up the keys and what is accepted from other settings (app.settings.Routing);
        from no keys to some, or back, only a start leads."""
        mine = self._config.routing
        if self._keyring and routing.keys:
            self._keyring.replace([Key(*key) for key in routing.keys])
            self._keyring.set_clock(self._system.unix_time())
            mine.keys = routing.keys
        self._policy.replace_accept([Rule(*rule) for rule in routing.accept])
        mine.accept = routing.accept

    def set_trust(self, device, trusted, lossy, now):
        """Whether probes say that packets get through by a device, and that some get lost
        (Agent.set_trust)."""
        self._trusts[device] = (trusted, lossy)
        if device in self._sockets:
            self.agent.set_trust(device, trusted, lossy, now)
            self._drain()

    def refresh(self, now):
        """A link was lost while others live (Agent.refresh)."""
        self.agent.refresh(now)
        self._drain()

    def _links_changed(self, readable, writable):
        """The kernel has dropped the routes by a link that was down, which Babel may not even
        have noticed."""
        change = self._watch.read()
        while change:
            index, is_up = change
            for device, socket in self._sockets.items():
                if socket.index == index:
                    if not is_up:
                        self._were_down.add(device)
                    elif device in self._were_down:
                        self._were_down.remove(device)
                        self._install_again(device)
            change = self._watch.read()
        if self._links:
            soon = ticks_add(self._system.ticks(), _SETTLE_MS)
            self._check_due = earliest(self._check_due, soon)

    def _install_again(self, device):
        for key, next_hop, port, metric, _, _, selected in self.agent.routes():
            if selected and port == device and metric < INFINITY:
                try:
                    self._kernel.install(prefix_address(key), key[1], next_hop, device)
                except OSError as error:
                    self._log("warning", "kernel", str(error.args[-1]))

    def _close(self, device):
        socket = self._sockets.pop(device)
        self._were_down.discard(device)
        for half in socket.halves:
            self._system.poller.unregister(half)
        socket.close()

    def _reader(self, device, half):
        """The poller's handler of one half of a BabelSocket."""
        system = self._system
        buf = self._buf

        def read(readable, writable):
            now = system.ticks()
            before = self.next_timer()
            for _ in range(_BATCH):
                packet = half.receive(buf)
                if packet is None:
                    break
                n, source = packet
                self.agent.receive_datagram(
                    device, source, half.address, buf, n, now, system.ticks_us()
                )
            self._drain()
            after = self.next_timer()
            return after is None or (before is not None and ticks_diff(after, before) >= 0)

        return read

    # ---- time, packets and routes out ----

    def next_timer(self):
        """The tick of the earliest deadline, or None."""
        if self._more:
            return self._system.ticks()
        return earliest(self._check_due, self._retry_due, self.agent.next_timer())

    def handle_timer(self, now):
        """Time has passed."""
        if self._check_due is not None and ticks_diff(now, self._check_due) >= 0:
            self._check_due = ticks_add(now, _CHECK_MS)
            self._check(now)
        if self._retry_due is not None and ticks_diff(now, self._retry_due) >= 0:
            self._retry(now)
        self.agent.handle_timer(now)
        self._drain()

    def _check(self, now):
        """Keys change with the time of day, servers with names, links come up late; and what the
        next run has to know is kept."""
        self._seqnos.keep(self.agent.seqno)
        if self._keyring:
            self._keyring.set_clock(self._system.unix_time())
        self._policy.protected = self._servers()
        for device, prefix, split_horizon in self._links:
            self._check_link(device, prefix, split_horizon, now)

    def _check_link(self, device, prefix, split_horizon, now):
        socket = self._sockets.get(device)
        if socket and socket.index != self._system.link_index(device):
            # The device is gone, or another one has its name.
            self.tunnel_down(device, now)
            socket = None
        if not socket:
            found = self._system.link_addresses(device, prefix)
            if found:
                self._open(device, found[0], found[1], _BUFFER, split_horizon, now)

    def _drain(self):
        """Sends packets and carries out events, a bounded number; whether there may be more."""
        agent = self.agent
        buf = self._buf
        self._more = True
        for _ in range(_TURN):
            n = agent.next_datagram(buf, self._system.ticks_us())
            if not n:
                break
            socket = self._sockets.get(agent.out_interface)
            if socket:
                socket.send(buf, n, agent.out_destination)
        for _ in range(4 * _TURN):
            event = agent.next_event()
            if event is None:
                # Packets that wait have the agent's timer.
                self._more = False
                break
            try:
                getattr(self, "_" + event[0])(*event[1:])
            except OSError as error:
                self._log("warning", "kernel", str(error.args[-1]))
        return self._more or n

    def _install(self, prefix, plen, next_hop, device, metric):
        self._kernel.install(prefix, plen, next_hop, device)
        where = "%s via %s dev %s metric %d" % (
            format_prefix(prefix, plen),
            format_address(next_hop),
            device,
            metric,
        )
        self._log("info", "route", where)

    def _unreachable(self, prefix, plen):
        self._kernel.unreachable(prefix, plen)
        self._log("info", "route", format_prefix(prefix, plen) + " unreachable")

    def _remove(self, prefix, plen):
        self._kernel.remove(prefix, plen)
        self._log("info", "route", format_prefix(prefix, plen) + " removed")

    def _neighbour_up(self, device, address):
        self._log("info", "neighbour", format_address(address) + " dev " + device + " up")

    def _neighbour_down(self, device, address):
        self._log("info", "neighbour", format_address(address) + " dev " + device + " down")

    def _refused(self, prefix, plen, device, address, reason):
        self._log(
            "warning",
            "refused",
            "%s from %s dev %s: %s"
            % (format_prefix(prefix, plen), format_address(address), device, reason),
        )

    def _conflict(self, prefix, plen, router_id):
        ours = router_id == self._router_id
        who = "another gateway with our router-id" if ours else "router-id " + router_id.hex()
        self._log("warning", "conflict", format_prefix(prefix, plen) + " also comes from " + who)

    # ---- the end ----

    def stop(self, now):
        """Retracts all while the tunnels still stand, then clears the kernel."""
        self.agent.shut_down(now)
        while self._drain():
            pass
        # What was written to a tunnel's device has yet to be sealed and sent.
        self._system.poller.wait(0)
        for device in list(self._sockets):
            self._close(device)
        if self._watch:
            self._system.poller.unregister(self._watch)
            self._watch.close()
        for text in self._kernel.undo():
            self._log("warning", "kernel", text)
        self._seqnos.stop(self.agent.seqno)

    def status(self):
        """A dict of JSON values: neighbours, routes, prefixes not learned, counters."""
        return {
            "router_id": self._router_id.hex(),
            "neighbours": [
                {
                    "address": format_address(neighbour.address),
                    "device": neighbour.interface.name,
                    "txcost": neighbour.txcost,
                    "cost": neighbour.cost,
                    "penalty": neighbour.interface.penalty,
                    "rtt_ms": neighbour.rtt.rtt_us / 1000
                    if neighbour.rtt and neighbour.rtt.rtt_us is not None
                    else None,
                }
                for neighbour in self.agent.neighbours()
            ],
            "routes": [
                {
                    "prefix": prefix_text(key),
                    "via": format_address(next_hop),
                    "device": device,
                    "metric": metric,
                    "router_id": router_id.hex(),
                }
                for key, next_hop, device, metric, router_id, _, selected in self.agent.routes()
                if selected and metric < INFINITY
            ],
            "refused": [
                {"prefix": prefix_text(key), "from": format_address(address), "reason": reason}
                for (key, address), reason in self.agent.refused.items()
            ],
            "counters": self.agent.counters.nonzero(),
        }

    def _log(self, level, event, text):
        self._system.log(level, "babel", event, text)


def _router_id(config):
    """8 octets that are the same after every restart: of the static address, else the name."""
    if config.address:
        return (bytes(7) + b"\x01" + config.address)[-8:]
    return hashlib.sha256(config.name.encode()).digest()[:8]
