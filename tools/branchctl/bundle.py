"""A branch's bundle: the folder that its gateway runs from."""

import ipaddress
import json
from collections.abc import Iterable

from branchctl.gateway_filter import gateway_filter
from branchctl.kit_names import tunnel_device
from branchctl.model import Branch, Fleet
from branchctl.reader import Network
from branchctl.record import Record

_MAX_ACCEPT = 60  # entries; a gateway takes 64


def gateway_json(fleet: Fleet, record: Record, branch: Branch, keys: list[dict]) -> str:
    """The gateway's configuration (docs/configuration.md)."""
    tunnels = []
    for hub in fleet.hubs:
        # By these names the filter knows tunnels.
        tunnels.append({"name": hub, "profile": f"{hub}.ovpn",
                        "device": tunnel_device(fleet, record, hub)})
    others = [network for member in fleet.members.values() if member is not branch
              for network in member.networks()]
    # The hubs are joined with each other, so no branch has to stand in between.
    routing = {"protocol": "babel", "hello_ms": fleet.hello_ms, "stub": len(fleet.hubs) > 1,
               "accept": [str(each) for each in cover([fleet.virtual, *others], _MAX_ACCEPT)]}
    if keys:
        routing["keys"] = keys
    config = {"name": branch.name, "address": record.addresses[branch.name]}
    if branch.lans:
        config["lans"] = [{"interface": lan.interface, "prefix": str(lan.network)}
                          for lan in branch.lans]
    return json.dumps({**config, "tunnels": tunnels, "routing": routing,
                       "filter": gateway_filter(fleet, record, branch)}, indent=2) + "\n"


def cover(networks: Iterable[Network], limit: int) -> list[Network]:
    """At most `limit` prefixes that hold the given ones, and as little else as that allows."""
    result = _joined(networks)
    while len(result) > limit:
        longest = max(result, key=lambda each: (each.prefixlen / each.max_prefixlen,
                                                -int(each.network_address)))
        result = _joined([*result, longest.supernet()])
    return result


def _joined(networks: Iterable[Network]) -> list[Network]:
    networks = list(networks)
    return [each for version in (4, 6)
            for each in ipaddress.collapse_addresses(n for n in networks if n.version == version)]
