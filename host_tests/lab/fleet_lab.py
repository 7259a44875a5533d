"""A whole network raised from a fleet's folder: an internet, hubs, branches, clients.

    paris-server -- [ paris ]══╗                ╔══[ lyon ] -- lyon-desk
                        ║      ╠══ internet ══──╣
    dublin-server - [ dublin ]═╝                ╠══[ nice ] -- nice-desk, nice-wlan0
                                                ╚══[ anna ]

What branchctl has made is used as it is: hubs run what their kits' installers put in place,
branches their bundles, clients their profiles. The fleet's own names and addresses lead to them.
"""

import ipaddress
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from branchctl.fleet import FILE, load
from branchctl.model import Fleet
from branchctl.problems import Problems, Refusal
from branchctl.provision import opened
from branchctl.state import State
from host_tests.lab.cuts import Cuts, End
from host_tests.lab.errors import LabError
from host_tests.lab.netns import Internet, Lab
from host_tests.lab.relay import TcpRelay, UdpRelay
from host_tests.lab.sites import (
    GATEWAY,
    STOCK,
    STUB,
    BranchSite,
    ClientSite,
    Ground,
    HubSite,
    Site,
    free_name,
)

_INTERNETS = ("198.18.0.0/15", "100.64.0.0/10", "172.16.0.0/12")  # one that the fleet has not
_THREADS = 8
_TIMEOUT = 60.0
_POLL = 0.1


class FleetLab:
    """The network of a fleet.

        provision(folder / "fleet.toml")
        fleet = FleetLab(lab, folder).start().wait()
        fleet.branches["lyon"].outlook.ping(fleet.hubs["paris"].address)
    """

    def __init__(self, lab: Lab, folder: Path, *, stubs: Iterable[str] = (),
                 stock: Iterable[str] = (), stub_hubs: Iterable[str] | None = None,
                 absent: Iterable[str] = (), idle: Iterable[str] = (),
                 slow: dict[str, float] | None = None):
        """Make the hosts and the links between them; nothing runs yet.

        stubs      branches with stock clients and a static address in place of our gateway
        stock      branches with stock clients and babeld in place of our gateway
        stub_hubs  the hubs that both connect to, by default all
        absent     members that are left out
        idle       members that are there, but not started with the others
        slow       hubs -> ms that are added to each way of branches and clients to it
        """
        fleet, record = _read(folder)
        stubs, stock, absent, slow = set(stubs), set(stock), set(absent), slow or {}
        self.lab, self.folder, self.fleet, self.record = lab, folder, fleet, record
        self._idle = set(idle)
        _check_names(fleet, stubs | stock, absent | self._idle, slow)
        _check_products(folder, fleet, absent)
        self.internet = Internet(lab, _public_prefix(fleet), free_name("internet", fleet.members))
        ground = self._ground = Ground(lab, self.internet, fleet, record, folder)
        self.hubs = {name: HubSite(ground, each) for name, each in fleet.hubs.items()
                     if name not in absent}
        dialled = set(fleet.hubs if stub_hubs is None else stub_hubs) & self.hubs.keys()
        with ThreadPoolExecutor(_THREADS) as pool:
            branches = pool.map(
                lambda each: BranchSite(
                    ground, each,
                    STUB if each.name in stubs else STOCK if each.name in stock else GATEWAY,
                    [hub for hub in fleet.hubs if hub in dialled]),
                _without(fleet.branches, absent))
            clients = pool.map(lambda each: ClientSite(ground, each),
                               _without(fleet.clients, absent))
            self.branches: dict[str, BranchSite] = {site.name: site for site in branches}
            self.clients: dict[str, ClientSite] = {site.name: site for site in clients}
        relays = {name: self._slow_down(self.hubs[name], ms) for name, ms in slow.items()}
        self._name_hosts(relays)
        self.cuts = Cuts(self.internet.router, {
            site.name: self._end(site, relays) for site in self.sites.values()})

    def _end(self, site: Site, relays: dict[str, str]) -> End:
        """What can be cut off of a site; relays: of slow hubs -> their addresses."""
        addresses = site.publics if isinstance(site, HubSite) else [site.public]
        relay = [relays[site.name]] if site.name in relays else []
        return End(site.uplink.device(self.internet.router), [*addresses, *relay])

    @property
    def sites(self) -> dict[str, Site]:
        """All members that take part."""
        return {**self.hubs, **self.branches, **self.clients}

    def host_names(self) -> list[str]:
        """All hosts: each member, what is behind it, and the internet's router."""
        return [name for site in self.sites.values() for name in (site.name, *site.inside)] + [
            self.internet.router.name]

    def start(self, *names: str, tell: Callable[[str], None] = lambda text: None) -> "FleetLab":
        """Start these (by default all), hubs first; branches and clients need not be up yet."""
        with ThreadPoolExecutor(_THREADS) as pool:
            for sites in (self.hubs, {**self.branches, **self.clients}):
                chosen = [site for site in sites.values()
                          if (site.name in names if names else site.name not in self._idle)]
                for site in pool.map(_start, chosen):
                    tell(site.name)
        return self

    def missing(self) -> list[str]:
        """What is not up: processes, tunnels, routes. Only what Babel announces is awaited."""
        running = {name: site for name, site in self.sites.items() if name not in self._idle}
        return list(filter(None, (
            site.missing({name: each for name, each in running.items()
                          if each is not site and each.is_announced})
            for site in running.values())))

    def wait(self, timeout: float = _TIMEOUT,
             tell: Callable[[str], None] = lambda text: None) -> "FleetLab":
        """Wait until all is up; LabError says what is not."""
        deadline = time.monotonic() + timeout
        while missing := self.missing():
            tell(missing[0].partition("\n")[0])
            if time.monotonic() > deadline:
                raise LabError(f"after {timeout:g} s: " + "; ".join(missing))
            time.sleep(_POLL)
        return self

    def _slow_down(self, site: HubSite, ms: float) -> str:
        """Relays for the hub's endpoints on the internet's router; return their address."""
        router = self.internet.router
        address = site.uplink.address(router)
        for endpoint in set(site.member.endpoints):
            kind = UdpRelay if endpoint.proto == "udp" else TcpRelay
            relay = kind(router, address, endpoint.port, (site.public, endpoint.port))
            relay.up.delay_ms = relay.down.delay_ms = ms
            if kind is UdpRelay:
                relay.reports_refusals = True
        return address

    def _name_hosts(self, relays: dict[str, str]) -> None:
        """Let all names lead to where they should, on every host."""
        hosts: dict[str, str] = {}
        for site in self.sites.values():
            hosts.update(site.own_names())
        slower = {endpoint.host: address for name, address in relays.items()
                  for endpoint in self.hubs[name].member.endpoints}
        hubs = {site.host.name for site in self.hubs.values()}
        for host in self.lab.hosts.values():
            own = {} if host.name in hubs else slower
            host.name_addresses({**hosts, **self._ground.names, **own})


def provision(file: Path, tell: Callable[[str], None] = lambda text: None) -> None:
    """Make the keys, kits, bundles and profiles of a fleet that has none, or bring them up to
    date. Raises branchctl's Problems and Refusal."""
    with opened(file, None, None, None, tell) as work:
        work.produce()


def _without(members: dict, absent: set[str]) -> list:
    return [each for name, each in members.items() if name not in absent]


def _start(site: Site) -> Site:
    site.start()
    return site


def _read(folder: Path):
    """The fleet and what was given to its members."""
    try:
        fleet, _ = load(folder / FILE)
        record = State.peek(fleet)
    except (Problems, Refusal) as error:
        raise LabError(str(error)) from None
    if record is None:
        raise LabError(f"{folder} has no keys yet: run branchctl provision there")
    return fleet, record


def _check_names(fleet: Fleet, stubs: set[str], absent: set[str], slow: dict) -> None:
    for names, known in ((stubs, fleet.branches), (absent, fleet.members), (slow, fleet.hubs)):
        for name in names:
            if name not in known:
                raise LabError(f"the fleet has no {name}: known are {', '.join(known)}")


def _check_products(folder: Path, fleet: Fleet, absent: set[str]) -> None:
    for members, product in ((fleet.hubs, "kits/{}/MANIFEST"),
                             (fleet.branches, "bundles/{}/MANIFEST"),
                             (fleet.clients, "clients/{}.ovpn")):
        for name in members.keys() - absent:
            path = folder / product.format(name)
            if not path.exists():
                raise LabError(f"{path} is missing: run branchctl provision there, or leave "
                               f"{name} out")


def _public_prefix(fleet: Fleet) -> str:
    """Public addresses that nothing in the fleet has."""
    taken = [fleet.virtual, fleet.mesh]
    for member in fleet.members.values():
        taken += member.networks()
    for hub in fleet.hubs.values():
        taken.append(hub.tunnels)
        for endpoint in hub.endpoints:
            try:
                taken.append(ipaddress.ip_network(endpoint.host))
            except ValueError:
                continue
    for text in _INTERNETS:
        prefix = ipaddress.ip_network(text)
        if not any(each is not None and each.version == 4 and each.overlaps(prefix)
                   for each in taken):
            return text
    raise LabError(f"the fleet has addresses of all of {', '.join(_INTERNETS)}: the lab needs one "
                   "of these for its internet")
