"""The demo's second part: the hub that carries the traffic is cut off, killed, and comes back."""

import time

from host_tests.lab.demo_steps import Steps
from host_tests.lab.errors import LabError
from host_tests.lab.fault_network import device_to
from host_tests.lab.gap import Traffic
from host_tests.lab.netns import Host
from host_tests.lab.route_log import RouteLog
from host_tests.lab.topology import Network

_BEFORE = 1.0  # seconds of traffic before a cut
_STEADY = 1.0  # seconds of traffic by the other hub before the cut ends
_WATCH = 5.0  # seconds in which no route may move once all is well
_LAST_REPLIES = 0.2  # seconds that the last pings have for their way
_TIMEOUT = 30.0
_POLL = 0.1


class Cuts:
    """Traffic between lyon's LAN and nice's while `hub`, which carries it, fails.

    returns: whether the traffic is to go by that hub again once it is back, as it is the nearer.
    """

    def __init__(self, network: Network, hub: str, returns: bool, steps: Steps):
        self._network, self._steps = network, steps
        self._lyon, self._nice = network.branches.values()
        self._hub = network.centres[hub]
        self._other = next(name for name in network.centres if name != hub)
        self._home = (hub,) if returns else tuple(network.centres)
        self._logs = {branch.name: (RouteLog(branch.gateway), other.lan) for branch, other in
                      ((self._lyon, self._nice), (self._nice, self._lyon))}

    def run(self) -> None:
        """Both cuts; raises LabError or Failure where something is not as it should be."""
        name = self._hub.name
        with Traffic(self._lyon.desk, self._nice.desk, self._nice.address) as traffic:
            self._fail(traffic, f"cut {name}'s link", self._hub.uplink.cut)
            self._return(traffic, f"restore {name}'s link", self._hub.uplink.restore)
            self._fail(traffic, f"kill {name}: SIGKILL for its openvpn and its Babel daemon",
                       self._kill)
            self._return(traffic, f"start {name} again", self._start)
            with self._steps.step(f"watch for {_WATCH:g} s that nothing moves any more"):
                self._watch()
        self._steps.note(f"the TCP download went on over its one connection: "
                         f"{traffic.download.octets / 1e6:.1f} MB, each octet in its place")

    def _fail(self, traffic: Traffic, what: str, cut) -> None:
        time.sleep(_BEFORE)
        began = time.monotonic()
        with self._steps.step(f"{what}, with 100 pings a second and a TCP download under way"):
            cut()
        with self._steps.step(f"wait until the traffic goes through {self._other}"):
            wait_path(self._network, self._other)
            if not traffic.wait_steady(_STEADY, _TIMEOUT):
                raise LabError(f"pings or the download still stand after {_TIMEOUT:g} s")
        gap = traffic.between(began, time.monotonic() - _LAST_REPLIES)
        self._steps.note(f"gap: {gap.gap_ms:.0f} ms without a ping's reply ({gap.lost} lost), "
                         f"{gap.stall_ms:.0f} ms without data over TCP")

    def _return(self, traffic: Traffic, what: str, restore) -> None:
        """The routes may move once, back to the hub; in the log they have then moved twice."""
        before = {name: len(log.ways(prefix)) for name, (log, prefix) in self._logs.items()}
        began = time.monotonic()
        with self._steps.step(f"{what}, and wait until both branches have their tunnels to it"):
            restore()
            for branch in (self._lyon, self._nice):
                _wait_answer(branch.gateway, self._hub.server.address)
        with self._steps.step(f"wait until the traffic goes through {' or '.join(self._home)}"):
            wait_path(self._network, *self._home)
            if not traffic.wait_steady(_STEADY, _TIMEOUT):
                raise LabError(f"pings or the download still stand after {_TIMEOUT:g} s")
            for name, (log, prefix) in self._logs.items():
                ways = log.ways(prefix)[before[name] - 1:]
                if len(ways) > 2:
                    raise LabError(f"{name}'s route to {prefix} flaps: {' > '.join(ways)}")
        gap = traffic.between(began, time.monotonic() - _LAST_REPLIES)
        self._steps.note(f"gap on the way back: {gap.gap_ms:.0f} ms of pings, "
                         f"{gap.stall_ms:.0f} ms of TCP")

    def _watch(self) -> None:
        before = {name: log.ways(prefix) for name, (log, prefix) in self._logs.items()}
        time.sleep(_WATCH)
        for name, (log, prefix) in self._logs.items():
            if log.ways(prefix) != before[name]:
                raise LabError(f"{name}'s route to {prefix} moves: {log.ways(prefix)}")

    def _kill(self) -> None:
        self._hub.server.kill()
        self._hub.babel.kill()

    def _start(self) -> None:
        self._hub.server.start()
        self._hub.babel.reborn()


def wait_path(network: Network, *hubs: str) -> None:
    """Wait until the branches' LANs reach each other, both ways by the same of these hubs."""
    lyon, nice = network.branches.values()
    deadline = time.monotonic() + _TIMEOUT
    while True:
        ways = {device_to(lyon.gateway, nice.address), device_to(nice.gateway, lyon.address)}
        if (ways in [{f"tun-{hub}"} for hub in hubs]
                and lyon.desk.ping(nice.address, timeout=_POLL).received):
            return
        if time.monotonic() > deadline:
            raise LabError(f"after {_TIMEOUT:g} s the ways are {ways}")
        time.sleep(_POLL)


def _wait_answer(host: Host, address: str) -> None:
    deadline = time.monotonic() + _TIMEOUT
    while not host.ping(address, timeout=_POLL).received:
        if time.monotonic() > deadline:
            raise LabError(f"after {_TIMEOUT:g} s {address} does not answer {host.name}")
