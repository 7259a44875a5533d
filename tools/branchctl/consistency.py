"""What the parts of a fleet must have in common: names, addresses and prefixes that differ."""

import dataclasses
from collections.abc import Iterator

from branchctl.model import KINDS, RESERVED_PORTS, Fleet, Hub, Member
from branchctl.positions import Path
from branchctl.problems import meant
from branchctl.reader import Network, Report

# The instances' subnets and one for the hub itself; the smallest holds 13 branches.
_SMALLEST_SUBNET = 28
_MAX_MESH_PORTS = 255


@dataclasses.dataclass(frozen=True)
class Claim:
    """A prefix that something in the fleet occupies."""

    network: Network
    key: Path


def check(fleet: Fleet, report: Report) -> None:
    """Notes every contradiction."""
    if not fleet.hubs:
        report.add(("hubs",), "there is no hub", "add one: [hubs.paris]")
    _check_names(fleet, report)
    _check_addresses(fleet, report)
    _check_prefixes(fleet, report)
    _check_references(fleet, report)
    for hub in fleet.hubs.values():
        _check_hub(hub, report)
    _check_endpoints(fleet, report)
    if len(fleet.hubs) > 1 and fleet.mesh is None:
        report.add(("mesh",), "is missing: the hubs' links with each other need addresses",
                   'add mesh = "10.8.0.0/24"')
    elif fleet.mesh is not None and fleet.mesh.num_addresses < 2 * (_pairs(fleet) + 1):
        report.add(("mesh",), f"{fleet.mesh} is too small for {_pairs(fleet)} links",
                   "each link takes two addresses, and the first two are left out")


def _pairs(fleet: Fleet) -> int:
    return len(fleet.hubs) * (len(fleet.hubs) - 1) // 2


def _check_names(fleet: Fleet, report: Report) -> None:
    seen: dict[str, Path] = {}
    for kind in ("hubs", "branches", "clients", "groups"):
        for name in getattr(fleet, kind):
            key = (kind, name)
            if name in seen:
                report.add(key, f"{report.name(seen[name])} (line {report.line(seen[name])}) has "
                           "this name, too", "names differ within the whole fleet: choose another")
            seen.setdefault(name, key)
            if kind == "groups" and name in KINDS:
                report.add(key, f"{name} stands for all of that kind", "choose another name")


def _check_addresses(fleet: Fleet, report: Report) -> None:
    seen: dict = {}
    virtual = fleet.virtual
    for member in fleet.members.values():
        address = member.address
        if address is None:
            continue
        key = (*member.key, "address")
        if virtual is not None and (
                address not in virtual or
                address in (virtual.network_address, virtual.broadcast_address)):
            report.add(key, f"{address} cannot be a virtual address",
                       f"choose one within virtual = {virtual}, or remove it for an automatic one")
        if address in seen:
            report.add(key, f"{address} is also {seen[address].name}'s "
                       f"(line {report.line((*seen[address].key, 'address'))})",
                       "choose another, or remove it for an automatic one")
        seen.setdefault(address, member)


def _claims(fleet: Fleet) -> Iterator[Claim]:
    for key, network in (("virtual", fleet.virtual), ("mesh", fleet.mesh)):
        if network is not None:
            yield Claim(network, (key,))
    for hub in fleet.hubs.values():
        if hub.tunnels is not None:
            yield Claim(hub.tunnels, (*hub.key, "tunnels"))
        for number, network in enumerate(hub.prefixes):
            yield Claim(network, (*hub.key, "prefixes", number))
    anycast = {}
    for hub in fleet.hubs.values():
        for number, network in enumerate(hub.anycast):
            anycast.setdefault(network, (*hub.key, "anycast", number))
    for network, key in anycast.items():
        yield Claim(network, key)
    for branch in fleet.branches.values():
        for lan in branch.lans:
            yield Claim(lan.network, lan.key)


def _check_prefixes(fleet: Fleet, report: Report) -> None:
    """Neighbours in the order of addresses overlap if any two do."""
    claims = sorted(_claims(fleet), key=lambda claim: (
        claim.network.version, claim.network.network_address, claim.network.prefixlen))
    widest: Claim | None = None
    for claim in claims:
        if widest is not None and widest.network.version == claim.network.version \
                and claim.network.network_address <= widest.network.broadcast_address:
            first, second = sorted((widest, claim), key=lambda each: report.line(each.key))
            fix = "give each its own prefix"
            if first.key[0] == second.key[0] == "hubs" and first.network == second.network:
                fix += "; what several hubs offer stands in `anycast` of each"
            report.add(second.key, f"{second.network} overlaps {report.name(first.key)} = "
                       f"{first.network} (line {report.line(first.key)})", fix)
        if widest is None or widest.network.version != claim.network.version \
                or claim.network.broadcast_address > widest.network.broadcast_address:
            widest = claim


def _check_hub(hub: Hub, report: Report) -> None:
    if not hub.endpoints:
        report.add((*hub.key, "endpoints"), "there is none",
                   'add endpoints = ["udp://paris.example.com:1194"]')
    if hub.tunnels is not None and hub.tunnels.prefixlen > _SMALLEST_SUBNET - 2:
        report.add((*hub.key, "tunnels"), f"{hub.tunnels} is too small",
                   f"use a /24, at least a /{_SMALLEST_SUBNET - 2}")
    if len(hub.instances) > 4:
        report.add((*hub.key, "endpoints"), f"{len(hub.instances)} different ports",
                   "at most 4; one UDP and one TCP port reach most networks")
    mesh = range(hub.mesh_port, hub.mesh_port + _MAX_MESH_PORTS + 1)
    for number, endpoint in enumerate(hub.endpoints):
        if endpoint.proto == "udp" and endpoint.port in mesh:
            report.add((*hub.key, "endpoints", number),
                       f"port {endpoint.port} is among the mesh's {mesh[0]} to {mesh[-1]}",
                       "choose another port, or another mesh_port")
        elif endpoint.proto == "udp" and endpoint.port in RESERVED_PORTS:
            report.add((*hub.key, "endpoints", number),
                       f"port {endpoint.port} is {RESERVED_PORTS[endpoint.port]}",
                       "choose another port")
    for port, use in RESERVED_PORTS.items():
        if port in mesh:
            report.add((*hub.key, "mesh_port"),
                       f"the mesh's ports {mesh[0]} to {mesh[-1]} hold {port}, which is {use}",
                       f"choose one below {port - _MAX_MESH_PORTS} or above {port}")
            break


def _check_endpoints(fleet: Fleet, report: Report) -> None:
    seen: dict = {}
    for hub in fleet.hubs.values():
        for number, endpoint in enumerate(hub.endpoints):
            key = (*hub.key, "endpoints", number)
            if endpoint in seen:
                report.add(key, f"{endpoint} stands in line {report.line(seen[endpoint])}, too",
                           "each endpoint leads to one hub: remove one of them")
            seen.setdefault(endpoint, key)


def _check_references(fleet: Fleet, report: Report) -> None:
    members = set(fleet.members)
    known = members | set(fleet.groups) | set(KINDS)
    for name, group in fleet.groups.items():
        for number, member in enumerate(group):
            if member not in members | (set(KINDS)):
                report.add(("groups", name, number), f"{member} is no hub, branch or client",
                           meant(member, members, "groups hold members, not other groups"))
    for rule in fleet.rules:
        for key, names in (("from", rule.sources), ("to", rule.targets)):
            for number, name in enumerate(names):
                if name not in known:
                    report.add((*rule.key, key, number), f"{name} is not known",
                               meant(name, known, "name hubs, branches, clients or groups"))
    for client in fleet.clients.values():
        _check_client(client, fleet, report)


def _check_client(client: Member, fleet: Fleet, report: Report) -> None:
    for number, name in enumerate(client.hubs):
        if name not in fleet.hubs:
            report.add((*client.key, "hubs", number), f"{name} is no hub",
                       meant(name, fleet.hubs))
    if not client.hubs:
        client.hubs = list(fleet.hubs)
