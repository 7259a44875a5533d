"""The members of a fleet in the lab: a hub with its data centre, a branch with its LANs, a stock
client."""

import dataclasses
import ipaddress
import json
from collections.abc import Iterable
from pathlib import Path

from branchctl.kit_names import instances, tunnel_device
from branchctl.model import Branch, Client, Fleet, Hub, Member
from branchctl.reader import Network
from branchctl.record import Record
from host_tests.lab import openvpn
from host_tests.lab.babel import MacKey
from host_tests.lab.babeld import Babeld
from host_tests.lab.errors import LabError
from host_tests.lab.gateway import image_is_fresh
from host_tests.lab.hub_kit import BundleGateway, InstalledHub
from host_tests.lab.netns import Host, Internet, Lab
from host_tests.lab.page import serve_page
from host_tests.lab.process import Process
from host_tests.lab.stock_branch import branch_babel

GATEWAY, STOCK, STUB = "gateway", "stock", "stub"
_SERVERS = "servers"  # the hub's device toward its data centre
_OUTSIDE = "eth0"  # of a host behind a hub or a branch


@dataclasses.dataclass
class Ground:
    """What all sites stand on; `names` are the endpoints' and lead to their hubs."""

    lab: Lab
    internet: Internet
    fleet: Fleet
    record: Record
    folder: Path
    names: dict[str, str] = dataclasses.field(default_factory=dict)

    def free(self, name: str) -> str:
        """A host's name that no member and no other host has."""
        return free_name(name, {*self.fleet.members, *self.lab.hosts})


def free_name(name: str, taken: Iterable[str]) -> str:
    """The name, or one like it that is not taken."""
    while name in taken:
        name += "-x"
    return name


class Site:
    """A member of the fleet on the lab's internet."""

    def __init__(self, ground: Ground, member: Member):
        self.ground = ground
        self.name = member.name
        self.member = member
        self.host = ground.lab.host(member.name)
        self.uplink = ground.internet.attach(self.host)
        self.public = self.uplink.address(self.host)
        self.virtual = ground.record.addresses[member.name]
        self.inside: dict[str, str] = {}  # hosts behind it -> their first address

    @property
    def outlook(self) -> Host:
        """Where somebody of the site sits: a host behind it, or the member itself."""
        return self.ground.lab.hosts[next(iter(self.inside), self.name)]

    @property
    def address(self) -> str:
        """The address of `outlook` that others in the fleet know."""
        return next(iter(self.inside.values()), self.virtual)

    def networks(self) -> list[Network]:
        """What others route to it: its virtual address, and what is behind it."""
        return [ipaddress.ip_network(self.virtual), *self.member.networks()]

    @property
    def is_announced(self) -> bool:
        """Whether others learn of it by Babel: from itself, or from a hub's agent."""
        return True

    def start(self) -> None:
        """Start whatever runs there."""

    def missing(self, present: dict[str, "Site"]) -> str:
        """What is not up yet, "" if nothing; `present` are the other sites that run."""
        raise NotImplementedError

    def own_names(self) -> dict[str, str]:
        """What its hosts' names lead to."""
        return {**self.inside, self.name: self.virtual}

    def devices(self) -> dict[str, str]:
        """Prefixes of the kernel's routes, each with its device; none where it is blocked."""
        found = {}
        for family in ("-4", "-6"):
            for line in self.host.ip(family, "route", "show").splitlines():
                words = line.split()
                if "dev" in words and words[0] not in ("unreachable", "blackhole", "prohibit"):
                    found[words[0]] = words[words.index("dev") + 1]
        return found

    def routed(self, others: dict[str, "Site"]) -> str:
        """The first of the others' prefixes that has no route; "" if all have one."""
        routes = self.devices()
        for other in others.values():
            for network in other.networks():
                if _shown(network) not in routes and str(network) not in routes:
                    return f"{self.name} has no route to {network} of {other.name}"
        return ""

    def _behind(self, name: str, device: str, networks: list[Network]) -> Host:
        """A host behind the member, with an address of each network."""
        host = self.ground.lab.host(self.ground.free(name))
        self.ground.lab.link(self.host, host, devices=(device, _OUTSIDE))
        near, far = [], []
        for network in sorted(networks, key=lambda each: (each.num_addresses == 1, each.version)):
            family = network.version
            way = f"default via {self.public} dev {_OUTSIDE} onlink" if family == 4 else ""
            if network.num_addresses == 1:  # the host alone; whoever is near it has no address
                far.append(f"addr add {network} dev {_OUTSIDE}")
                near.append(f"route add {network} dev {device}")
            else:
                first, second = (network[1], network[2]) if network.num_addresses > 2 else network
                near.append(f"addr add {first}/{network.prefixlen} dev {device}")
                far.append(f"addr add {second}/{network.prefixlen} dev {_OUTSIDE}")
                way = f"default via {first}"
                self.inside.setdefault(host.name, str(second))
            self.inside.setdefault(host.name, str(network[0]))
            if way:
                far.append(f"route replace {way}")
        self.host.ip(batch=near)
        host.ip(batch=far)
        return host


class HubSite(Site):
    """A hub as its kit installs it, and a host in its data centre."""

    member: Hub

    def __init__(self, ground: Ground, member: Hub):
        super().__init__(ground, member)
        self.hub = InstalledHub(self.host, ground.folder / "kits" / member.name)
        if member.networks():
            self._behind(f"{self.name}-server", _SERVERS, member.networks())
        self._take_endpoints()

    def _take_endpoints(self) -> None:
        """Have the endpoints' addresses, and let their names lead here."""
        for host in dict.fromkeys(endpoint.host for endpoint in self.member.endpoints):
            try:
                address = ipaddress.ip_address(host)
            except ValueError:
                if self.ground.names.get(host, self.public) != self.public:
                    raise LabError(f"{host} is an endpoint of two hubs; in the lab a name leads "
                                   "to one") from None
                self.ground.names[host] = self.public
                continue
            if host != self.public:
                router = self.ground.internet.router
                self.host.ip("address", "add", f"{host}/{address.max_prefixlen}", "dev", "lo")
                router.route(f"{host}/{address.max_prefixlen}",
                             self.uplink.address(self.host, address.version))

    @property
    def publics(self) -> list[str]:
        """All its addresses on the internet."""
        hosts = (endpoint.host for endpoint in self.member.endpoints)
        return list(dict.fromkeys([self.public, *(h for h in hosts if _is_address(h))]))

    @property
    def greeting(self) -> str:
        """What the page at http://ADDRESS/ of its data centre says."""
        return f"Hello from {self.name}\n"

    @property
    def devices_in(self) -> set[str]:
        """Its devices toward those who dial in."""
        return {each.device for each in instances(self.member)}

    def start(self) -> None:
        self.hub.install().start()
        if self.inside:
            serve_page(self.outlook, self.address, self.greeting)

    def missing(self, present: dict[str, Site]) -> str:
        absent = self.ground.fleet.hubs.keys() - present.keys() - {self.name}
        return self.hub.missing(absent) or self.routed(present)


class BranchSite(Site):
    """A branch with hosts on its LANs: our gateway from its bundle, stock clients and babeld in
    its place, or a stub (stock clients that speak no Babel)."""

    member: Branch

    def __init__(self, ground: Ground, member: Branch, kind: str = GATEWAY,
                 hubs: list[str] | None = None):
        """hubs: to which stock clients connect."""
        super().__init__(ground, member)
        self.kind = kind
        self.bundle = ground.folder / "bundles" / member.name
        lans: dict[str, list[Network]] = {}
        for lan in member.lans:
            lans.setdefault(lan.interface, []).append(lan.network)
        for interface, networks in lans.items():
            last = interface if self.inside else "desk"
            self._behind(f"{self.name}-{last}", interface, networks)
        self.gateway: BundleGateway | None = None
        self.stubs: list[openvpn.Client] = []
        self.babel: Babeld | None = None
        if kind == GATEWAY:
            self.gateway = BundleGateway(self.host, self.bundle, compiled=image_is_fresh())
        else:
            # babeld 1.12 aborts when it is to sign a packet while its device goes.
            lines = "\npersist-tun\n" if kind == STOCK else ""
            self.stubs = [openvpn.Client(
                self.host, (self.bundle / f"{hub}.ovpn").read_text() + lines, name=f"to-{hub}",
                device=tunnel_device(ground.fleet, ground.record, hub)) for hub in hubs or []]
        if kind == STOCK:
            self.babel = self._stock_babel()

    def _stock_babel(self) -> Babeld:
        """babeld as the bundle has our gateway speak."""
        routing = json.loads((self.bundle / "gateway.json").read_text())["routing"]
        return branch_babel(
            self.host, [client.device for client in self.stubs], self.virtual,
            [str(lan.network) for lan in self.member.lans],
            number=int(ipaddress.ip_address(self.virtual)) & 0xFF, hello_ms=routing["hello_ms"],
            keys=tuple(MacKey(key["id"], bytes.fromhex(key["secret"]).decode())
                       for key in routing.get("keys", ())))

    @property
    def is_announced(self) -> bool:
        return self.kind != STUB

    def start(self) -> None:
        if self.gateway:
            self.gateway.start()
            return
        self.host.ip("address", "replace", f"{self.virtual}/32", "dev", "lo")
        for client in self.stubs:
            client.start()
        if self.babel:
            self.babel.reborn()

    def stop(self) -> None:
        """Have what runs there leave in order."""
        if self.gateway:
            self.gateway.stop()
        if self.babel:
            self.babel.stop()
        for client in self.stubs:
            client.stop()

    def processes(self) -> list[Process]:
        """What start() has started last."""
        started = [self.gateway, *self.stubs, self.babel]
        return [each.process for each in started if each]

    def missing(self, present: dict[str, Site]) -> str:
        if self.gateway is None:
            return self._missing_clients() or (self.routed(present) if self.babel else "")
        if ending := self.gateway.process.ending():
            return ending
        devices = self.host.devices()
        for hub, site in present.items():
            if isinstance(site, HubSite) and self.device(hub) not in devices:
                return f"{self.name} has no tunnel to {hub}"
        return self.routed(present)

    def _missing_clients(self) -> str:
        return next((client.process.ending() or f"{client.process.name} is not up"
                     for client in self.stubs if not client.is_up()), "")

    def device(self, hub: str) -> str:
        """The branch's device toward a hub."""
        return tunnel_device(self.ground.fleet, self.ground.record, hub)

    def way_to(self, address: str) -> str | None:
        """The hub by which the gateway reaches an address."""
        device = self.host.device_to(address)
        return next((hub for hub in self.ground.fleet.hubs if self.device(hub) == device), None)


class ClientSite(Site):
    """A stock client with its profile."""

    member: Client

    def __init__(self, ground: Ground, member: Client):
        super().__init__(ground, member)
        self.profile = ground.folder / "clients" / f"{member.name}.ovpn"
        self.client = openvpn.Client(self.host, self.profile.read_text(), name=member.name)

    def start(self) -> None:
        self.client.start()

    def missing(self, present: dict[str, Site]) -> str:
        return self.client.process.ending() or (
            "" if self.client.is_up() else f"{self.name} has no tunnel")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _shown(network: Network) -> str:
    """As `ip route` shows it: a single address has no length."""
    single = network.prefixlen == network.max_prefixlen
    return str(network.network_address) if single else str(network)
