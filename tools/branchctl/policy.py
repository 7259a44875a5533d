"""Who may reach whom: the rules of fleet.toml applied to addresses."""

import dataclasses
import ipaddress
from collections.abc import Iterable

from branchctl.model import Fleet, Rule, Service
from branchctl.reader import Network
from branchctl.record import Record


@dataclasses.dataclass(frozen=True)
class Allowed:
    """A service that one member may use of another, and the rule that says so."""

    rule: Rule
    service: Service


def networks(fleet: Fleet, record: Record, names: Iterable[str]) -> list[Network]:
    """The virtual addresses of some members and the prefixes behind them, joined where they
    adjoin."""
    found: dict[int, list] = {4: [], 6: []}
    for name in names:
        member = fleet.members[name]
        own = ipaddress.ip_network(record.addresses[name])
        for network in (own, *member.networks()):
            found[network.version].append(network)
    return [*ipaddress.collapse_addresses(found[4]), *ipaddress.collapse_addresses(found[6])]


def allowed(fleet: Fleet, source: str, target: str) -> list[Allowed]:
    """What `source` may open towards `target`, in the order of the rules."""
    return [Allowed(rule, service) for rule in fleet.rules
            if source in fleet.together(rule.sources) and target in fleet.together(rule.targets)
            for service in rule.services]


def reachable(fleet: Fleet, name: str) -> list[str]:
    """The members that one may open anything towards, or that may open anything towards it."""
    found = []
    for other in fleet.members:
        if other != name and (allowed(fleet, name, other) or allowed(fleet, other, name)):
            found.append(other)
    return found


def merged(services: Iterable[Service]) -> list[Service]:
    """Services of one protocol with ports that neither overlap nor adjoin."""
    result: list[Service] = []
    for service in sorted(services, key=lambda each: (each.low, each.high)):
        if result and service.low <= result[-1].high + 1:
            before = result.pop()
            service = Service(service.proto, before.low, max(before.high, service.high))
        result.append(service)
    return result
