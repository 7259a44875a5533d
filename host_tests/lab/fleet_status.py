"""What is to be told of a fleet that is up: tunnels, routes, and who reaches whom."""

import ipaddress
import re
from concurrent.futures import ThreadPoolExecutor

from branchctl.kit_names import mesh_links, tunnel_device
from branchctl.policy import allowed
from host_tests.lab.errors import LabError
from host_tests.lab.fleet_lab import FleetLab
from host_tests.lab.reach import answering
from host_tests.lab.sites import BranchSite, ClientSite, HubSite, Site

_THREADS = 16
_CLIENT_DEVICE = "tun0"
_PEER = re.compile(r"Peer Connection Initiated with \[AF_INET6?\]([^\s:]+(?::[^\s:]+)*):(\d+)$",
                   re.MULTILINE)


def status(fleet: FleetLab) -> dict:
    """All of it, as JSON values. Who is not announced, as stubs are not, reaches nobody."""
    known = [site for site in fleet.sites.values() if site.is_announced]
    with ThreadPoolExecutor(_THREADS) as pool:
        reached = pool.map(lambda site: _reach(fleet, site, known), known)
        routes = dict(zip(fleet.sites, pool.map(lambda site: site.devices(),
                                                fleet.sites.values())))
        return {
            "network": fleet.fleet.network,
            "hubs": [_hub(site) for site in fleet.hubs.values()],
            "branches": [_branch(fleet, site) for site in fleet.branches.values()],
            "clients": [_client(fleet, site) for site in fleet.clients.values()],
            "cuts": [list(pair) for pair in sorted(fleet.cuts.pairs)],
            "missing": fleet.missing(),
            "routes": {name: [{"prefix": prefix, "device": device} for prefix, device in
                              found.items()] for name, found in routes.items()},
            "reach": [{**each, "way": _way(fleet, each, routes)}
                      for found in reached for each in found],
        }


def by_policy(fleet: FleetLab, source: str, target: str) -> bool:
    """Whether one member may ping another."""
    return any(each.service.proto in ("any", "icmp")
               for each in allowed(fleet.fleet, source, target))


def _reach(fleet: FleetLab, site: Site, known: list[Site]) -> list[dict]:
    others = [other for other in known if other is not site]
    answers = answering(site.outlook, [other.address for other in others])
    return [{"from": site.name, "to": other.name, "address": other.address,
             "allowed": by_policy(fleet, site.name, other.name),
             "answers": other.address in answers} for other in others]


def _hub(site: HubSite) -> dict:
    return {**_common(site), "processes": {process.name.partition(" on ")[0]: process.running
                                           for process in site.hub.processes()}}


def _common(site: Site) -> dict:
    return {"name": site.name, "public": site.public, "address": site.virtual,
            "behind": site.inside}


def _branch(fleet: FleetLab, site: BranchSite) -> dict:
    tunnels = []
    if site.gateway is None:
        tunnels = [{"name": client.name.removeprefix("to-"),
                    "state": "up" if client.is_up() else "down"} for client in site.stubs]
    elif site.gateway.process and site.gateway.process.running:
        try:
            tunnels = [{"name": each["name"], "state": each["state"], "remote": each["remote"],
                        "rtt_ms": (each.get("health") or {}).get("rtt_ms")}
                       for each in site.gateway.fresh_status()["tunnels"]]
        except LabError:  # it has just ended
            tunnels = []
    return {**_common(site), "kind": site.kind, "tunnels": tunnels}


def _client(fleet: FleetLab, site: ClientSite) -> dict:
    """The client, and the hub that serves it."""
    hub = None
    if site.client.process and _CLIENT_DEVICE in site.host.devices():
        ends = {address: name for name, end in fleet.cuts.ends.items() if name in fleet.hubs
                for address in end.addresses}
        found = _PEER.findall(site.client.process.log())
        hub = ends.get(found[-1][0]) if found else None
    return {**_common(site), "hub": hub}


def _way(fleet: FleetLab, pair: dict, routes: dict[str, dict[str, str]]) -> str | None:
    """The next member on the way by which one member reaches another."""
    site = fleet.sites[pair["from"]]
    if isinstance(site, ClientSite):
        return _client(fleet, site)["hub"]
    device = _device(routes[site.name], pair["address"])
    if isinstance(site, HubSite):
        record = fleet.record
        links = {link.device: link.peer for link in mesh_links(fleet.fleet, record, site.member)}
        return links.get(device) or (pair["to"] if device in site.devices_in else None)
    devices = {tunnel_device(fleet.fleet, fleet.record, hub): hub for hub in fleet.hubs}
    return devices.get(device)


def _device(routes: dict[str, str], address: str) -> str | None:
    """The device of the longest prefix that holds an IPv4 address; None for the default route."""
    wanted, best = ipaddress.ip_address(address), -1
    device = None
    for prefix, each in routes.items():
        if prefix != "default" and ":" not in prefix:
            network = ipaddress.ip_network(prefix, strict=False)
            if wanted in network and network.prefixlen > best:
                best, device = network.prefixlen, each
    return device
