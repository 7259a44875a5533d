"""The fleet bench's network: a fleet of any size, of which some branches are measured.

All hubs are as their kits install them. The branches that are not measured run stock openvpn and
babeld, so that all prefixes are announced, and load the machine alike whoever is measured.
"""

import dataclasses
import ipaddress
import re
import statistics
import time
from collections.abc import Iterable
from pathlib import Path

from host_tests.bench.branches import cpu_seconds, process_seconds, resident_kb
from host_tests.bench.fleet_routes import FleetRoutes, Hops, key, keys
from host_tests.lab import Lab, LabError
from host_tests.lab.fleet_lab import FleetLab
from host_tests.lab.sites import BranchSite, HubSite, Site
from host_tests.tools.fleets import EXTRA

_GATEWAY = Path(__file__).with_name("fleet_gateway.py")
_EXTRA_LAN = "eth2"  # of tools.fleets.large
_PAUSE_S = 2.0  # between two LANs
_TIMEOUT = 90.0
_DOWN_S = 20.0  # so long a lost hub stays away: by then everybody has given its sessions up


@dataclasses.dataclass(frozen=True)
class FleetSubject:
    """What runs the measured branches (our gateways, or stock openvpn and babeld), and the hubs'
    Babel router."""

    name: str
    gateways: bool
    hub_babel: str = "babeld"


class FleetNetwork:
    """Nothing runs before cold_start(). Times are seconds."""

    def __init__(self, lab: Lab, folder: Path, subject: FleetSubject, branches: int,
                 measured: int):
        """folder: of a fleet as tools.fleets.large describes it, with keys."""
        names = [f"b{n}" for n in range(1, branches + 1)]
        others = names[measured:] if subject.gateways else names
        self.fleet = FleetLab(lab, folder, stock=others)
        self.measured: list[BranchSite] = [self.fleet.branches[name] for name in names[:measured]]
        self.joining = self.measured[0]
        self.lost: HubSite = next(iter(self.fleet.hubs.values()))
        self._announcing = self.fleet.branches[names[-1]]
        self._announcing.host.ip("address", "flush", "dev", _EXTRA_LAN)
        self._watched = [*self.measured, *self.fleet.hubs.values()]
        self._routes = FleetRoutes(self._watched)
        for site in self.measured:
            if site.gateway:
                site.gateway.compiled, site.gateway.snapshot = True, False
        if self.joining.gateway:
            self.joining.gateway.image_program = _GATEWAY
        self._expected = {
            site.name: keys(each for each in self.fleet.sites.values() if each is not site)
            - set(map(key, EXTRA)) for site in self._watched}

    def close(self) -> None:
        """Follow the routes no longer."""
        self._routes.close()

    # ---- what happens, each with the seconds until the routes are as they should be ----

    def cold_start(self) -> float:
        """Start everything; until each measured branch and each hub has all routes."""
        began = time.monotonic()
        self.fleet.start()
        try:
            return self._until(began, self._watched, self._is_complete)
        except LabError:
            raise LabError("; ".join(self.fleet.missing())) from None

    def join(self) -> tuple[float, float]:
        """Start one branch beside all the others; until it has all routes, and until all measured
        have its."""
        own = keys([self.joining])
        others = [site for site in self.measured if site is not self.joining]
        self.joining.stop()
        self._until(0, others, lambda name, hops: not own & set(hops))
        self._until(0, [self.joining], lambda name, hops: not hops)
        began = time.monotonic()
        self.joining.start()
        joined = self._until(began, [self.joining], self._is_complete)
        return joined, self._until(began, others, lambda name, hops: own <= set(hops))

    def lose_hub(self) -> float:
        """Kill all programs of a hub; until no measured branch routes by it, and each reaches all
        the others."""
        theirs = keys([self.lost])
        hop = self._hop(self.lost)
        began = time.monotonic()
        self.lost.hub.kill()
        return self._until(began, self.measured, lambda name, hops: (
            hop not in hops.values() and self._expected[name] - theirs <= set(hops)))

    def return_hub(self) -> float:
        """Start that hub again; until all measured branches reach it by itself."""
        time.sleep(_DOWN_S)
        theirs = keys([self.lost])
        hop = self._hop(self.lost)
        began = time.monotonic()
        self.lost.hub.restart()
        return self._until(began, self.measured, lambda name, hops: all(
            hops.get(each) == hop for each in theirs))

    def announce(self) -> float:
        """Have a branch that is not measured announce other LANs, one by one; until all measured
        have one: the median."""
        return statistics.median(map(self._announce, EXTRA))

    def _announce(self, prefix: str) -> float:
        time.sleep(_PAUSE_S)
        began = time.monotonic()
        network = ipaddress.ip_network(prefix)
        self._announcing.host.ip("address", "add", f"{network[1]}/{network.prefixlen}",
                                 "dev", _EXTRA_LAN)
        return self._until(began, self.measured, lambda name, hops: key(prefix) in hops)

    def _until(self, began: float, sites: Iterable[Site], is_reached) -> float:
        return self._routes.wait(sites, is_reached, _TIMEOUT) - began

    def _is_complete(self, name: str, hops: Hops) -> bool:
        return self._expected[name] <= set(hops)

    @staticmethod
    def _hop(hub: HubSite) -> bytes:
        """The hub's address in its tunnels."""
        return hub.member.tunnels[1].packed

    # ---- what it takes ----

    def idle(self, seconds: float) -> dict[str, float]:
        """The processor time in a second while nothing happens, of a measured branch, of what a
        hub runs beside OpenVPN, and of its agent alone: the medians."""
        before = self._used()
        time.sleep(seconds)
        after = self._used()
        return {name: statistics.median((b - a) / seconds for a, b in zip(before[name], values))
                for name, values in after.items()}

    def _used(self) -> dict[str, list[float]]:
        return {"branch": [cpu_seconds(site.host) for site in self.measured],
                **self._of_hubs(process_seconds)}

    def resident_kb(self) -> dict[str, float]:
        """The memory of the same."""
        found = {"branch": [sum(resident_kb(process.pid) for process in site.processes())
                            for site in self.measured], **self._of_hubs(resident_kb)}
        return {name: statistics.median(values) for name, values in found.items()}

    def _of_hubs(self, measure) -> dict[str, list[float]]:
        hubs = [site.hub for site in self.fleet.hubs.values()]
        return {"hub": [sum(measure(process.pid) for process in (hub.babel, hub.agent) if process)
                        for hub in hubs],
                "agent": [measure(hub.agent.pid) for hub in hubs]}

    def heap(self) -> int | None:
        """Octets of the heap that live objects take in one gateway, which ends; None without."""
        if not self.joining.gateway:
            return None
        process = self.joining.gateway.process
        self.joining.stop()
        return int(re.search(r"^heap: (\d+)", process.log(), re.MULTILINE)[1])

    def ended(self) -> str:
        """How a program has ended that should run; "" if all run."""
        sites = (*self.fleet.branches.values(),
                 *(site.hub for site in self.fleet.hubs.values()))
        return next((ending for site in sites for process in site.processes()
                     if process and (ending := process.ending())), "")
