"""Names of devices, ports and numbers that the parts of a hub kit must agree on."""

import dataclasses
import ipaddress

from branchctl.allocation import subnets
from branchctl.model import Fleet, Hub
from branchctl.reader import Network
from branchctl.record import Record

# All devices of ours begin like this, and nothing else's may.
DEVICES = "bl-"
_MAX_DEVICE = 15
# The kernel's number for routes to clients that the hub's agent has seen; babeld and BIRD take up
# routes of this protocol.
AGENT_PROTOCOL = 190
# The same for the routes that hub-drain holds.
COPY_PROTOCOL = 192
# What branches have as link-local addresses in tunnels: fe80::b:NUMBER.
LINK_LOCAL = "fe80::b:{:x}"


@dataclasses.dataclass(frozen=True)
class Instance:
    """An OpenVPN server process of a hub."""

    name: str  # such as "udp1194"
    proto: str
    port: int
    network: Network

    @property
    def device(self) -> str:
        return DEVICES + self.name

    @property
    def unit(self) -> str:
        """Its name for systemd's openvpn-server@."""
        return f"branchline-{self.name}"

    @property
    def address(self) -> ipaddress.IPv4Address:
        """The hub's address in it."""
        return self.network[1]


@dataclasses.dataclass(frozen=True)
class MeshLink:
    """A hub's end of its link with another hub."""

    peer: str
    listens: bool
    host: str  # of the peer
    port: int  # at which one of them listens
    own: str
    other: str
    device: str

    @property
    def unit(self) -> str:
        return f"branchline-mesh-{self.peer}"


def instances(hub: Hub) -> list[Instance]:
    """The server processes of a hub."""
    networks = subnets(hub)
    ports = {endpoint.instance: endpoint for endpoint in hub.endpoints}
    return [Instance(name, ports[name].proto, ports[name].port, networks[name])
            for name in hub.instances]


def mesh_links(fleet: Fleet, record: Record, hub: Hub) -> list[MeshLink]:
    """The links of a hub: the one with the lower number listens, at a port for each other."""
    links = []
    for peer in fleet.hubs.values():
        if peer is hub:
            continue
        listener, caller = record.pair(hub.name, peer.name).split()
        number = record.mesh[f"{listener} {caller}"]
        ends = fleet.mesh[2 * number], fleet.mesh[2 * number + 1]
        listens = listener == hub.name
        own, other = ends if listens else reversed(ends)
        port = fleet.hubs[listener].mesh_port + record.hubs[caller]
        links.append(MeshLink(peer.name, listens, peer.endpoints[0].host, port, str(own),
                              str(other), f"{DEVICES}mesh-{record.hubs[peer.name]}"))
    return links


def tunnel_device(fleet: Fleet, record: Record, hub: str) -> str:
    """The name of a branch's device toward a hub."""
    device = DEVICES + hub
    longest = _MAX_DEVICE - len(DEVICES)
    clash = any(other != hub and other[:longest] == hub[:longest] for other in fleet.hubs)
    return device if len(device) <= _MAX_DEVICE and not clash else f"{DEVICES}{record.hubs[hub]}"
