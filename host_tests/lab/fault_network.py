"""The network that faults are injected into: two hubs of which one is near, two branches.

    lyon's desk -- [ lyon ] ==== paris (near) ==== [ nice ] -- nice's desk
                       \\\\====== dublin (far)  =====//

Both branches go by the near hub while it is well, so it is known which way a fault has to hit. The
profiles name the hubs, and offer UDP and, after that, TCP, as a careful operator would have it.
"""

import contextlib
import time

from host_tests.lab.babel import MacKey
from host_tests.lab.errors import LabError
from host_tests.lab.fake_clock import FakeClock
from host_tests.lab.gateway import Gateway
from host_tests.lab.netns import Lab
from host_tests.lab.openvpn import Server
from host_tests.lab.pki import Pki
from host_tests.lab.relay import TcpRelay
from host_tests.lab.topology import Branch, DataCentre, Network

NEAR, FAR = "paris", "dublin"
HELLO_MS = 500
_TCP_TUNNELS = 100  # added to a data centre's number for the addresses in its TCP tunnels
_TCP_DEVICE = "server-tcp"
_FAR_MS = 15  # added to each way between the branches and the far hub
_PROFILE = ("persist-tun", "connect-retry 1 4", "server-poll-timeout 4", "resolv-retry infinite")
_POLL = 0.1
_SETTLE = 60.0
_CALM = 1.0  # seconds without a loss that count as settled


class FaultNetwork(Network):
    """Two hubs and two branches, with names, UDP and TCP.

        network = FaultNetwork(lab)
        network.start()
        branches = [network.gateway(name).start() for name in network.branches]
        network.settle()

    The branches may be anything that fills the devices tun-paris and tun-dublin and speaks Babel.
    """

    def __init__(self, lab: Lab, branches: tuple[str, ...] = ("lyon", "nice"),
                 hello_ms: int = HELLO_MS, clocks: bool = False):
        """clocks: the branches' gateways have a clock each that can be set (self.clocks)."""
        # The hubs do not smooth metrics: they choose between their own tunnel and the other hub's,
        # which are never alike, and the way back is sooner there.
        super().__init__(lab, {NEAR: "babeld", FAR: "babeld"}, branches, key=MacKey(),
                         hello_ms=hello_ms, half_life=0, wrap="tls-crypt", keepalive=(1, 5),
                         exit_notify=True)
        self.tcp = {name: self._tcp_server(centre) for name, centre in self.centres.items()}
        self.names = {name: f"{name}.example" for name in self.centres}
        self.clocks = {name: FakeClock(branch.gateway) for name, branch in self.branches.items()
                       if clocks}
        for name, centre in self.centres.items():
            centre.relay.reports_refusals = True
            for branch in self.branches.values():
                branch.gateway.name_address(self.names[name], centre.relay.address)
        for way in (self.far.relay.up, self.far.relay.down):
            way.delay_ms = _FAR_MS

    @property
    def near(self) -> DataCentre:
        """The hub that carries the traffic between the branches."""
        return self.centres[NEAR]

    @property
    def far(self) -> DataCentre:
        """The hub that is left when the near one fails."""
        return self.centres[FAR]

    @property
    def source(self) -> Branch:
        """The branch whose uplink has the faults."""
        return self.branches["lyon"]

    @property
    def target(self) -> Branch:
        """The branch at the other end."""
        return self.branches["nice"]

    def _tcp_server(self, centre: DataCentre) -> Server:
        number = _TCP_TUNNELS + centre.number
        server = Server(
            centre.hub, Pki(self.lab.directory / "pki"), name=_TCP_DEVICE, proto="tcp",
            port=centre.server.options.port, network=f"10.8.{number}.0/24", network6="fe80::/64",
            ccd={branch.name: branch.ccd(number) for branch in self.branches.values()},
            wrap="tls-crypt", keepalive=centre.server.options.keepalive,
        )
        server.wrap_key = centre.server.wrap_key
        centre.babel.links[_TCP_DEVICE] = "tunnel"
        relay = centre.relay
        TcpRelay(relay.host, relay.address, relay.port, (centre.public, server.options.port))
        return server

    def start(self) -> None:
        """Start all hubs."""
        for server in self.tcp.values():
            server.start()
        super().start()

    def forget(self) -> None:
        """Start the hubs' Babel daemons afresh: what they know of earlier gateways keeps them from
        believing the next ones for minutes, where these count their seqno from less."""
        for centre in self.centres.values():
            centre.babel.stop()
            centre.babel.reborn()

    def profiles(self, branch: str, lines: tuple[str, ...] = ()) -> dict[str, str]:
        """The branch's profile for each hub: by name, UDP before TCP."""
        profiles = {}
        for name, centre in self.centres.items():
            remote = f"{self.names[name]} {centre.relay.port}"
            profiles[name] = centre.server.profile(
                branch, f"{remote} udp", f"{remote} tcp-client", lines=(*_PROFILE, *lines))
        return profiles

    def gateway(self, name: str, engine: str = "native", **config) -> Gateway:
        """Our gateway of a branch, not started. It relays nothing between the hubs, which have a
        link of their own."""
        env = self.clocks[name].environment if name in self.clocks else {}
        routing = {"stub": True, **config.pop("routing", {})}
        return super().gateway(name, engine, env=env, routing=routing, **config)

    def path(self, percent: float, centre: DataCentre, branch: Branch | None = None, *,
             up: bool = True, down: bool = True, udp: bool = False) -> None:
        """Lose that share of what goes between a branch (the source) and a hub, each way or
        one."""
        branch = branch or self.source
        uplink = branch.uplink
        for toward, lossy in ((self.internet.router, up), (branch.gateway, down)):
            uplink.loss(percent if lossy else 0, toward, peer=centre.relay.address, udp=udp)

    def address_of(self, name: str, address: str) -> None:
        """Let a hub's name resolve to an address at all branches."""
        for branch in self.branches.values():
            branch.gateway.name_address(self.names[name], address)

    def settle(self, timeout: float = _SETTLE, by: str | None = NEAR) -> None:
        """Wait until all tunnels are up, all Babel neighbours are there, and the branches reach
        each other by that hub (None: any), without a loss for a second."""
        deadline = time.monotonic() + timeout
        while missing := self.missing(by) or self._losses():
            if time.monotonic() > deadline:
                raise LabError(f"not settled after {timeout:g} s: {missing}")
            time.sleep(_POLL)

    def missing(self, by: str | None = NEAR) -> str:
        """What is not there yet of tunnels, neighbours and the way by that hub (None: any); ""
        if nothing."""
        for centre in self.centres.values():
            with contextlib.suppress(OSError):
                known = {n.address for n in centre.babel.neighbours() if n.usable}
                lost = [b.name for b in self.branches.values()
                        if f"fe80::b:{b.number}" not in known]
                if lost:
                    return f"{centre.name} does not hear {', '.join(lost)}"
                if len(known) < len(self.branches) + len(self.centres) - 1:
                    return f"{centre.name} does not hear the other hub"
                continue
            return f"{centre.name} has no Babel daemon"
        for branch, other in ((self.source, self.target), (self.target, self.source)):
            device = branch.gateway.device_to(other.address)
            if device not in ([f"tun-{by}"] if by else [f"tun-{hub}" for hub in self.centres]):
                return f"{branch.name} reaches {other.name} by {device or 'no device'}"
        return ""

    def _losses(self) -> str:
        result = self.source.desk.ping(self.target.address, int(_CALM / 0.02), timeout=0.5)
        return f"{result.lost} of {result.sent} pings were lost" if result.lost else ""
