"""The demo's second part: the hub that carries the traffic is cut off, killed, and comes back."""

import time

from host_tests.lab.babel import INFINITY
from host_tests.lab.demo_steps import Steps
from host_tests.lab.errors import LabError
from host_tests.lab.fleet_lab import FleetLab
from host_tests.lab.gap import Traffic
from host_tests.lab.gateway import Gateway
from host_tests.lab.route_log import RouteLog
from host_tests.lab.sites import HubSite

_BEFORE = 1.0  # seconds of traffic before a cut
_STEADY = 1.0  # seconds of traffic by the other hub before the cut ends
_WATCH = 5.0  # seconds in which no route may move once all is well
_LAST_REPLIES = 0.2  # seconds that the last pings have for their way
_TIMEOUT = 30.0
_POLL = 0.1


class Cuts:
    """Traffic between lyon's LAN and nice's while the hub that carries it fails.

    home: the hubs by which the traffic goes while all are well: the nearest, or any.
    """

    def __init__(self, fleet: FleetLab, home: tuple[str, ...], steps: Steps):
        self._fleet, self._home, self._steps = fleet, home, steps
        self._lyon, self._nice = fleet.branches.values()
        self._logs = {branch.name: (RouteLog(branch.host), str(other.member.lans[0].network))
                      for branch, other in ((self._lyon, self._nice), (self._nice, self._lyon))}

    def run(self) -> None:
        """Both cuts; raises LabError or Failure where something is not as it should be."""
        cuts = self._fleet.cuts
        with Traffic(self._lyon.outlook, self._nice.outlook, self._nice.address) as traffic:
            hub = self._carrier()
            self._fail(traffic, hub, f"cut {hub.name} off the internet",
                       lambda: cuts.cut(hub.name))
            self._return(traffic, hub, f"heal {hub.name}'s link", lambda: cuts.heal(hub.name))
            hub = self._carrier()
            self._fail(traffic, hub, f"kill {hub.name}'s openvpn and Babel daemon", hub.hub.kill)
            self._return(traffic, hub, f"start {hub.name} again", hub.hub.restart)
            with self._steps.step(f"watch for {_WATCH:g} s that nothing moves any more"):
                self._watch()
        self._steps.note(f"the TCP download went on over its one connection: "
                         f"{traffic.download.octets / 1e6:.1f} MB, each octet in its place")

    def _carrier(self) -> HubSite:
        return self._fleet.hubs[self._lyon.way_to(self._nice.address)]

    def _fail(self, traffic: Traffic, hub: HubSite, what: str, cut) -> None:
        other = next(name for name in self._fleet.hubs if name != hub.name)
        time.sleep(_BEFORE)
        began = time.monotonic()
        with self._steps.step(f"{what}, with 100 pings a second and a TCP download under way"):
            cut()
        with self._steps.step(f"wait until the traffic goes through {other}"):
            wait_path(self._fleet, other)
            if not traffic.wait_steady(_STEADY, _TIMEOUT):
                raise LabError(f"pings or the download still stand after {_TIMEOUT:g} s")
        gap = traffic.between(began, time.monotonic() - _LAST_REPLIES)
        self._steps.note(f"gap: {gap.gap_ms:.0f} ms without a ping's reply ({gap.lost} lost), "
                         f"{gap.stall_ms:.0f} ms without data over TCP")

    def _return(self, traffic: Traffic, hub: HubSite, what: str, restore) -> None:
        """The routes may move once, back to the hub."""
        before = {name: len(log.ways(prefix)) for name, (log, prefix) in self._logs.items()}
        began = time.monotonic()
        with self._steps.step(f"{what}, and wait until it is of use to both branches"):
            restore()
            self._wait_use(hub)
        with self._steps.step(f"wait until the traffic goes through {' or '.join(self._home)}"):
            wait_path(self._fleet, *self._home)
            if not traffic.wait_steady(_STEADY, _TIMEOUT):
                raise LabError(f"pings or the download still stand after {_TIMEOUT:g} s")
            for name, (log, prefix) in self._logs.items():
                ways = log.ways(prefix)[before[name] - 1:]
                if len(ways) > 2:
                    raise LabError(f"{name}'s route to {prefix} flaps: {' > '.join(ways)}")
        gap = traffic.between(began, time.monotonic() - _LAST_REPLIES)
        self._steps.note(f"gap on the way back: {gap.gap_ms:.0f} ms of pings, "
                         f"{gap.stall_ms:.0f} ms of TCP")

    def _wait_use(self, hub: HubSite) -> None:
        """Wait until the hub has chosen its own tunnels as the ways to both LANs, and the
        gateways' Babel has it as a neighbour."""
        deadline = time.monotonic() + _TIMEOUT
        lans = {prefix for _, prefix in self._logs.values()}
        while not (lans <= self._served(hub) and all(
                _has_neighbour(branch.gateway, branch.device(hub.name))
                for branch in (self._lyon, self._nice))):
            if time.monotonic() > deadline:
                raise LabError(f"after {_TIMEOUT:g} s {hub.name} has {hub.hub.routing.routes()}")
            time.sleep(_POLL)

    def _served(self, hub: HubSite) -> set[str]:
        """The prefixes that a hub reaches by its own tunnels to branches."""
        try:
            routes = hub.hub.routing.routes()
        except (OSError, LabError):  # it is just starting
            return set()
        return {route.prefix for route in routes
                if route.selected and route.device in hub.devices_in}

    def _watch(self) -> None:
        before = {name: log.ways(prefix) for name, (log, prefix) in self._logs.items()}
        time.sleep(_WATCH)
        for name, (log, prefix) in self._logs.items():
            if log.ways(prefix) != before[name]:
                raise LabError(f"{name}'s route to {prefix} moves: {log.ways(prefix)}")


def wait_path(fleet: FleetLab, *hubs: str) -> None:
    """Wait until the branches' LANs reach each other, both ways by the same of these hubs."""
    lyon, nice = fleet.branches.values()
    deadline = time.monotonic() + _TIMEOUT
    while True:
        ways = {lyon.way_to(nice.address), nice.way_to(lyon.address)}
        if (ways in [{hub} for hub in hubs]
                and lyon.outlook.ping(nice.address, timeout=_POLL).received):
            return
        if time.monotonic() > deadline:
            raise LabError(f"after {_TIMEOUT:g} s the ways are {ways}")
        time.sleep(_POLL)


def _has_neighbour(gateway: Gateway, device: str) -> bool:
    return any(neighbour["device"] == device and neighbour["cost"] < INFINITY
               for neighbour in gateway.fresh_status()["routing"]["neighbours"])
