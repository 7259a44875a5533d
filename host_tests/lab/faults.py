"""What goes wrong with hubs, paths and uplinks: the faults that gateways have to survive.

A fault is injected into a running lab.fault_network.FaultNetwork and healed again:

    fault.inject(network)
    ...
    fault.heal(network)

Where it can, it strikes the way that the traffic between the branches takes: the near hub, or the
source branch's path to it.
"""

import ipaddress
import signal
import threading

from host_tests.lab.fault_network import NEAR, FaultNetwork
from host_tests.lab.relay import UdpRelay

DAY = 86400
_NEW_HUB = "198.51.100.1"


class Fault:
    """A fault, and what it needs.

    name     in tables and on the command line
    cause    what happens, in words
    passable whether some way between the branches is left while it lasts
    clocks   whether the network must have been made with clocks
    shared   whether all branches suffer it alike, not the source alone
    hold     seconds that it has to last to show what it does
    """

    passable = True
    clocks = False
    shared = False
    hold = 5.0

    def __init__(self, name: str, cause: str):
        self.name = name
        self.cause = cause

    def __repr__(self) -> str:
        return self.name

    def inject(self, network: FaultNetwork) -> None:
        """Let it happen; returns at once."""
        raise NotImplementedError

    def heal(self, network: FaultNetwork) -> None:
        """Make it as before; what was killed is running again on return."""
        raise NotImplementedError


class Loss(Fault):
    """The path between the source branch and the near hub loses packets, or only one way."""

    def __init__(self, name: str, cause: str, percent: float = 100, **ways: bool):
        super().__init__(name, cause)
        self._percent, self._ways = percent, ways

    def inject(self, network: FaultNetwork) -> None:
        network.path(self._percent, network.near, **self._ways)

    def heal(self, network: FaultNetwork) -> None:
        network.path(0, network.near)


class UplinkLoss(Fault):
    """All that the source branch's uplink carries is concerned."""

    def __init__(self, name: str, cause: str, percent: float = 100, **which):
        super().__init__(name, cause)
        self._percent, self._which = percent, which
        self.passable = which.get("udp", False) or percent < 100

    def inject(self, network: FaultNetwork) -> None:
        network.source.uplink.loss(self._percent, **self._which)

    def heal(self, network: FaultNetwork) -> None:
        network.source.uplink.restore()


class HubUplinkCut(Fault):
    """The near hub is cut off from the branches; its link with the other hub stays."""

    shared = True

    def inject(self, network: FaultNetwork) -> None:
        network.near.uplink.cut()

    def heal(self, network: FaultNetwork) -> None:
        network.near.uplink.restore()


class HubLinkCut(Fault):
    """The hubs lose their own link."""

    shared = True

    def inject(self, network: FaultNetwork) -> None:
        network.mesh[0].cut()

    def heal(self, network: FaultNetwork) -> None:
        network.mesh[0].restore()


class HubEnds(Fault):
    """Programs of the near hub end by a signal; whoever heals starts them again."""

    shared = True

    def __init__(self, name: str, cause: str, number: signal.Signals = signal.SIGKILL, *,
                 openvpn: bool = True, babeld: bool = True):
        super().__init__(name, cause)
        self._number, self._openvpn, self._babeld = number, openvpn, babeld

    def inject(self, network: FaultNetwork) -> None:
        hub = network.near
        if self._babeld:
            hub.babel.process.signal(self._number)
        if self._openvpn:
            for server in (hub.server, network.tcp[NEAR]):
                server.process.signal(self._number)

    def heal(self, network: FaultNetwork) -> None:
        hub = network.near
        if self._openvpn:
            for server in (hub.server, network.tcp[NEAR]):
                server.process.wait()
                server.start()
        if self._babeld:
            hub.babel.process.wait()
        # babeld may not outlive a device that goes away under it.
        if not hub.babel.process.running:
            hub.babel.reborn()


class HubBack(HubEnds):
    """A hub that is away for long: what waits and backs off must come back all the same."""

    def __init__(self, name: str, cause: str, downtime: float):
        super().__init__(name, cause)
        self.hold = downtime


class HubStopped(Fault):
    """The near hub's openvpn hangs: its port is open and says nothing."""

    shared = True

    def inject(self, network: FaultNetwork) -> None:
        for server in (network.near.server, network.tcp[NEAR]):
            server.process.signal(signal.SIGSTOP)

    def heal(self, network: FaultNetwork) -> None:
        for server in (network.near.server, network.tcp[NEAR]):
            server.process.signal(signal.SIGCONT)


class HubMoves(Fault):
    """The near hub gets another address and its name follows; nothing is at the old one."""

    shared = True

    def __init__(self, name: str, cause: str):
        super().__init__(name, cause)
        self._relay: UdpRelay | None = None

    def inject(self, network: FaultNetwork) -> None:
        hub, router = network.near, network.internet.router
        router.ip("address", "replace", f"{_NEW_HUB}/32", "dev", "lo")
        self._relay = UdpRelay(router, _NEW_HUB, hub.relay.port, hub.relay.target)
        self._drop(network, 100)
        network.address_of(NEAR, _NEW_HUB)

    def heal(self, network: FaultNetwork) -> None:
        self._drop(network, 0)
        network.address_of(NEAR, network.near.relay.address)
        self._relay.close()

    @staticmethod
    def _drop(network: FaultNetwork, percent: float) -> None:
        for branch in network.branches.values():
            branch.uplink.loss(percent, peer=network.near.relay.address)


class NatRebinds(Fault):
    """The NAT before the source branch forgets its flows: the hub hears from another port."""

    def inject(self, network: FaultNetwork) -> None:
        address = network.source.uplink.address(network.source.gateway)
        network.near.relay.rebind(address)

    def heal(self, network: FaultNetwork) -> None:
        """The ports stay: nothing is broken any more."""


class UplinkAddressChanges(Fault):
    """The source branch's uplink gets another address and loses the old one, routes stay."""

    def inject(self, network: FaultNetwork) -> None:
        old = network.source.uplink.interface(network.source.gateway)
        self._change(network, old, _next(old))

    def heal(self, network: FaultNetwork) -> None:
        old = network.source.uplink.interface(network.source.gateway)
        self._change(network, _next(old), old)

    @staticmethod
    def _change(network: FaultNetwork, before: ipaddress.IPv4Interface,
                after: ipaddress.IPv4Interface) -> None:
        uplink, host = network.source.uplink, network.source.gateway
        device, router = uplink.device(host), uplink.address(network.internet.router)
        host.ip(batch=[
            f"address add {after} dev {device}",
            f"address delete {before} dev {device}",
            f"route replace default via {router}",
        ])


def _next(interface: ipaddress.IPv4Interface) -> ipaddress.IPv4Interface:
    """The address after it, in the same network."""
    return ipaddress.ip_interface(f"{interface.ip + 1}/{interface.network.prefixlen}")


class Flapping(Fault):
    """The branches' paths to the near hub go and come, over and over."""

    shared = True

    def __init__(self, name: str, cause: str, period: float, duration: float):
        super().__init__(name, cause)
        self.hold = duration
        self._period = period
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def inject(self, network: FaultNetwork) -> None:
        self._ending.clear()
        self._thread = threading.Thread(target=self._flap, args=(network,), daemon=True)
        self._thread.start()

    def heal(self, network: FaultNetwork) -> None:
        self._ending.set()
        self._thread.join()
        self._lose(network, 0)

    def _flap(self, network: FaultNetwork) -> None:
        percent = 100
        while True:
            self._lose(network, percent)
            if self._ending.wait(self._period):
                return
            percent = 100 - percent

    @staticmethod
    def _lose(network: FaultNetwork, percent: float) -> None:
        for branch in network.branches.values():
            network.path(percent, network.near, branch)


class ClockStep(Fault):
    """The source branch's time of day is suddenly another; healed, it jumps back."""

    clocks = True

    def __init__(self, name: str, cause: str, seconds: int):
        super().__init__(name, cause)
        self._seconds = seconds

    def inject(self, network: FaultNetwork) -> None:
        network.clocks[network.source.name].step(self._seconds)

    def heal(self, network: FaultNetwork) -> None:
        network.clocks[network.source.name].step(0)


# Each of these has a cause of its own.
BENCH = (
    Loss("link cut", "the path between a branch and the hub loses everything"),
    Loss("one-way loss, up", "what the branch sends to the hub is lost", down=False),
    Loss("one-way loss, down", "what the hub sends to the branch is lost", up=False),
    Loss("30 % loss", "the path loses 30 % each way", 30),
    HubUplinkCut("hub's uplink cut", "the hub is cut off from all branches"),
    HubLinkCut("hub-hub link cut", "the hubs lose their own link"),
    HubEnds("hub killed", "openvpn and babeld of the hub end at once, saying nothing"),
    HubEnds("openvpn killed", "the hub's openvpn ends, its babeld goes on", babeld=False),
    HubEnds("babeld killed", "the hub's babeld ends, its openvpn goes on", openvpn=False),
    HubEnds("hub terminated", "openvpn and babeld of the hub are stopped in order",
            signal.SIGTERM),
    HubStopped("hub stopped", "the hub's openvpn hangs"),
    HubMoves("DNS answers changed", "the hub gets another address, and its name follows"),
    NatRebinds("NAT rebind", "the branch's flow to the hub goes on from another port"),
    UplinkAddressChanges("WAN address changed", "the branch gets another address, the old one "
                         "goes"),
    Loss("UDP blocked", "the path loses all UDP, TCP passes", udp=True),
)
LONG = (
    HubBack("hub back after 5 min", "a killed hub is there again after 5 minutes", 300.0),
    Flapping("link flapping", "the paths go and come every 3 s for 2 min", 3.0, 120.0),
)
OTHERS = (
    ClockStep("clock a day ahead", "the time of day jumps forward", DAY),
    ClockStep("clock a day behind", "the time of day jumps back", -DAY),
    UplinkLoss("uplink cut", "the branch is cut off from all hubs"),
    UplinkLoss("30 % loss everywhere", "the branch's uplink loses 30 % each way", 30),
    UplinkLoss("UDP blocked everywhere", "the branch's uplink passes TCP only",
               peer="203.0.113.0/24", udp=True),
)
ALL = BENCH + LONG + OTHERS


def by_name(name: str) -> Fault:
    """The fault of that name; KeyError lists all."""
    for fault in ALL:
        if fault.name == name:
            return fault
    raise KeyError(f"no fault {name!r}: there are {', '.join(fault.name for fault in ALL)}")
