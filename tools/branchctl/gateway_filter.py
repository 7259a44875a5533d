"""The policy as a branch's gateway enforces it: the object `filter` of gateway.json."""

from collections.abc import Iterable

from branchctl.model import Branch, Fleet, Service
from branchctl.policy import merged, networks
from branchctl.reader import Report
from branchctl.record import Record

# What a gateway takes (docs/configuration.md).
MAX_PEERS, MAX_PREFIXES, MAX_RULES, MAX_SERVICES = 32, 512, 64, 256
_MAX_NAME = 32


def gateway_filter(fleet: Fleet, record: Record, branch: Branch) -> dict:
    """What concerns this branch, in either direction."""
    peers: dict[str, list[str]] = {}
    allowed: dict[tuple[str, str], list[Service]] = {}
    for rule in fleet.rules:
        for key, own, others in (("to", rule.sources, rule.targets),
                                 ("from", rule.targets, rule.sources)):
            if branch.name in fleet.together(own):
                name = _name(peers, others, [str(each) for each in networks(
                    fleet, record, fleet.together(others))])
                allowed.setdefault((key, name), []).extend(rule.services)
    return {"peers": peers, "rules": [{key: name, "allow": joined(services)}
                                      for (key, name), services in allowed.items()]}


def check(fleet: Fleet, record: Record, report: Report) -> None:
    """Notes what a branch's gateway does not take, once everybody has an address."""
    if report.problems:
        return
    for branch in fleet.branches.values():
        found = gateway_filter(fleet, record, branch)
        services = sum(len(rule["allow"]) for rule in found["rules"])
        prefixes = sum(map(len, found["peers"].values()))
        for what, count, most in (
                ("groups of members", len(found["peers"]), MAX_PEERS),
                ("prefixes", prefixes, MAX_PREFIXES), ("rules", len(found["rules"]), MAX_RULES),
                ("services", services, MAX_SERVICES)):
            if count > most:
                fix = "give members with the same rights adjoining LANs and addresses" \
                    if what == "prefixes" else "join rules by groups, and ports to ranges"
                report.add(("policy",), f"what concerns {branch.name} takes {count} {what}, and "
                           f"a gateway takes {most}", fix)


def _name(peers: dict[str, list[str]], members: list[str], prefixes: list[str]) -> str:
    """The name under which the members' prefixes stand in peers, where they are put if need be."""
    for name, known in peers.items():
        if known == prefixes:
            return name
    name = "-".join(members)
    number = len(peers)
    while len(name) > _MAX_NAME or name in peers:
        number += 1
        name = f"peers-{number}"
    peers[name] = prefixes
    return name


def joined(services: Iterable[Service]) -> list[str]:
    """The fewest services that say the same; UDP's stay beside `any`, as only named ports tell
    answers over UDP."""
    services = list(services)
    kinds = {service.proto for service in services}
    found = ["any"] if "any" in kinds else ["icmp"] if "icmp" in kinds else []
    for proto in ("udp",) if "any" in kinds else ("tcp", "udp"):
        found += map(str, merged(each for each in services if each.proto == proto))
    return found
