"""The policy as nftables rules for hubs; gateways have it in their own configuration.

What a rule allows is matched in both directions: requests by the service's ports, answers by the
same ports as their source. Connection tracking alone would not do, as the way back may lead
through another hub, which has not seen the request, and flows move between hubs.
"""

import ipaddress
from collections.abc import Iterable

from branchctl.kit_names import DEVICES, instances, mesh_links
from branchctl.model import AGENT_PORT, BABEL_PORT, Fleet, Hub, Rule, Service
from branchctl.policy import merged, networks
from branchctl.reader import Network
from branchctl.record import Record

_TABLE = "inet branchline"
_FAMILIES = ((4, "ipv4_addr", "ip"), (6, "ipv6_addr", "ip6"))
# TCP that does not begin a connection: an answer, or one that went another way before.
_GOING_ON = "tcp flags & (fin | syn | rst | ack) != syn"
_ICMP_ANSWERS = "echo-reply, destination-unreachable, time-exceeded, parameter-problem"
_ICMP6_ANSWERS = ("echo-reply, destination-unreachable, packet-too-big, time-exceeded, "
                  "parameter-problem")
_FRAME = """\
{title}
# Load it with `nft -f`; it replaces only its own table, and in one step.
table {table}
delete table {table}
table {table} {{
{sets}
  chain allowed {{
{rules}
  }}

  chain answers {{
    ct state established,related accept
    icmp type {{ {icmp} }} accept
    icmpv6 type {{ {icmp6} }} accept
  }}

  chain spoofed {{
{spoofed}
  }}

{agents}  chain forward {{
    type filter hook forward priority filter; policy accept;
{to_agents}    iifname != "{devices}*" oifname != "{devices}*" accept
    jump spoofed
    jump answers
    jump allowed
    counter drop
  }}

  chain input {{
    type filter hook input priority filter; policy accept;
{to_agents}    iifname != "{devices}*" accept
    ip6 saddr fe80::/10 udp dport {babel} accept
    ip6 saddr fe80::/10 meta l4proto ipv6-icmp accept
    jump spoofed
    jump answers
    icmp type echo-request accept
    icmpv6 type echo-request accept
    jump allowed
    counter drop
  }}
}}
"""


# The hubs' agents speak with each other over the links between hubs, and nobody else does.
_AGENTS = """\
  chain agents {{
    iifname "{devices}mesh-*" ip saddr @{hubs}_4 ip daddr @{hubs}_4 udp dport {port} accept
    ip daddr @{hubs}_4 udp dport {port} counter drop
  }}

"""
_TO_AGENTS = "    jump agents\n"


class _Sets:
    """The named sets of addresses that the rules refer to."""

    def __init__(self, fleet: Fleet, record: Record):
        self._fleet, self._record = fleet, record
        self._known: dict[tuple, str] = {}
        self.lines: list[str] = []

    def members(self, names: Iterable[str]) -> str:
        """The stem of the sets that hold some members' addresses."""
        names = self._fleet.together(list(names))
        return self.of(", ".join(names), networks(self._fleet, self._record, names))

    def of(self, what: str, found: list[Network]) -> str:
        """The stem of the sets that hold some prefixes."""
        key = tuple(found)
        if key not in self._known:
            stem = self._known[key] = f"s{len(self._known) + 1}"
            self.lines.append(f"  # {stem}: {_short(what)}")
            for version, kind, _ in _FAMILIES:
                elements = ", ".join(str(each) for each in found if each.version == version)
                content = f" elements = {{ {elements} }};" if elements else ""
                self.lines.append(
                    f"  set {stem}_{version} {{ type {kind}; flags interval;{content} }}")
        return self._known[key]


def hub_rules(fleet: Fleet, record: Record, hub: Hub, title: str) -> str:
    """The rules of a hub."""
    sets = _Sets(fleet, record)
    rules = [line for rule in fleet.rules for line in _rule(rule, sets)]
    own = sets.of("what is behind this hub", networks(fleet, record, [hub.name]))
    theirs = networks(fleet, record, [*fleet.branches, *fleet.clients])
    dialled = sets.of("who dials in", [*theirs, *(each.network for each in instances(hub))])
    devices = ", ".join(f'"{each.device}"' for each in instances(hub))
    spoofed = _unless(f"iifname {{ {devices} }}", "saddr", dialled)
    spoofed += _unless(f'iifname != "{DEVICES}*"', "saddr", own)
    links = mesh_links(fleet, record, hub)
    if links and hub.prefixes:
        unique = sets.of("this hub's alone", hub.prefixes)
        names = ", ".join(f'"{each.device}"' for each in links)
        spoofed += [f"iifname {{ {names} }} {family} saddr @{unique}_{version} counter drop"
                    for version, _, family in _FAMILIES]
    return _frame(title, sets, rules, spoofed, _agents(fleet, record, sets))


def _agents(fleet: Fleet, record: Record, sets: _Sets) -> str:
    if len(fleet.hubs) < 2:
        return ""
    addresses = [ipaddress.ip_network(record.addresses[name]) for name in fleet.hubs]
    hubs = sets.of("the hubs themselves", addresses)
    return _AGENTS.format(devices=DEVICES, hubs=hubs, port=AGENT_PORT)


def _frame(title: str, sets: _Sets, rules: list[str], spoofed: list[str], agents: str) -> str:
    return _FRAME.format(
        title=title, table=_TABLE, devices=DEVICES, babel=BABEL_PORT, icmp=_ICMP_ANSWERS,
        icmp6=_ICMP6_ANSWERS, sets="\n".join(sets.lines),
        rules="\n".join("    " + line for line in rules),
        spoofed="\n".join("    " + line for line in spoofed),
        agents=agents, to_agents=_TO_AGENTS if agents else "")


def _unless(match: str, field: str, stem: str) -> list[str]:
    """Drops what matches and has no address of the sets."""
    return [f"{match} {family} {field} != @{stem}_{version} counter drop"
            for version, _, family in _FAMILIES]


def _rule(rule: Rule, sets: _Sets) -> list[str]:
    source = sets.members(rule.sources)
    target = sets.members(rule.targets)
    lines = [f"# rule {rule.number}: {', '.join(rule.sources)} to {', '.join(rule.targets)}"]
    for version, _, family in _FAMILIES:
        there = f"{family} saddr @{source}_{version} {family} daddr @{target}_{version}"
        back = f"{family} saddr @{target}_{version} {family} daddr @{source}_{version}"
        for match, answer in _services(rule.services, version):
            lines.append(f"{there} {match} accept".replace("  ", " "))
            if answer:
                lines.append(f"{back} {answer} accept")
    return lines


def _services(services: list[Service], version: int) -> list[tuple[str, str]]:
    """What requests and answers match, one pair for each protocol."""
    if any(service.proto == "any" for service in services):
        return [("", _GOING_ON)]
    found = []
    if any(service.proto == "icmp" for service in services):
        # Answers of ICMP are accepted wherever they go.
        found.append(("meta l4proto " + ("icmp" if version == 4 else "ipv6-icmp"), ""))
    for proto, extra in (("tcp", " " + _GOING_ON), ("udp", "")):
        own = [service for service in services if service.proto == proto]
        if any(service.all_ports for service in own):
            found.append((f"meta l4proto {proto}", f"meta l4proto {proto}{extra}"))
        elif own:
            ports = ", ".join(str(each).partition("/")[2] for each in merged(own))
            found.append((f"{proto} dport {{ {ports} }}",
                          f"{proto} sport {{ {ports} }}{extra}"))
    return found


def _short(text: str, longest: int = 80) -> str:
    return text if len(text) <= longest else text[:longest] + " ..."
