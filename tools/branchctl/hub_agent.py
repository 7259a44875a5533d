"""The configuration of a hub's agent: gateway.json with the role "hub" (docs/configuration.md)."""

import json

from branchctl import babel_conf
from branchctl.kit_names import AGENT_PROTOCOL, instances
from branchctl.model import BRANCHLINE, Fleet, Hub
from branchctl.record import Record


def gateway_json(fleet: Fleet, record: Record, hub: Hub, keys: list[babel_conf.Key]) -> str:
    """gateway.json; @ROOT@ is replaced by the installer."""
    config = {
        "name": hub.name, "role": "hub", "address": record.addresses[hub.name],
        "servers": [{"name": each.name, "device": each.device,
                     "management": f"@ROOT@/run/branchline/{each.name}.sock"}
                    for each in instances(hub)],
        "clients": {
            "accept": [str(fleet.virtual)],
            # Their gateways announce themselves.
            "skip": [name for name in fleet.branches if name not in record.blocked],
            "revoked": _refused(fleet, record),
        },
    }
    others = [name for name in fleet.hubs if name != hub.name]
    if others:
        config["hubs"] = [{"name": name, "address": record.addresses[name]} for name in others]
    if hub.babel == BRANCHLINE:
        config["routing"] = babel_conf.agent(fleet, record, hub, keys)
    else:
        config["routes"] = {"protocol": AGENT_PROTOCOL}
    config["state"] = "@ROOT@/var/lib/branchline/agent"
    return json.dumps(config, indent=1) + "\n"


def _refused(fleet: Fleet, record: Record) -> list[str]:
    """Whose sessions end: new ones are refused anyway, by the CRL or for want of a ccd file."""
    former = set(record.addresses) - set(fleet.members)
    return sorted(former | set(record.blocked))
