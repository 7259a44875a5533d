"""From fleet.toml's policy to a verdict: what a gateway lets through is what the rules say, as a
model judges them that knows members and services alone; and any octets are judged."""

import dataclasses
import ipaddress
import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from test_filter import ip, table, tcp, udp

from branchctl.gateway_filter import gateway_filter
from branchctl.model import Branch, Client, Fleet, Hub, Lan, Rule, Service
from branchctl.record import Record
from branchline.app.config import load_config
from branchline.filter.judge import HERE, INTO, OUT, SENT, THROUGH, Judge

_NETWORKS = {
    "paris": ["10.1.0.0/16", "fd00:1::/48"], "lyon": ["192.168.11.0/24", "fd00:11::/64"],
    "nice": ["192.168.12.0/24", "192.168.13.0/25"], "brest": ["192.168.10.0/24"], "anna": [],
}
_ADDRESSES = {name: f"10.100.0.{number}" for number, name in enumerate(_NETWORKS, 1)}
_HOSTS = [*_ADDRESSES.values(), "10.1.2.3", "10.2.0.1", "192.168.11.7", "192.168.12.255",
          "192.168.13.127", "192.168.13.128", "192.168.10.1", "10.100.0.9", "8.8.8.8"]
_HOSTS6 = ["fd00:1::1", "fd00:11::7", "fd00:12::1"]
_PORTS = [1, 79, 80, 81, 443, 5000, 65535]
_SYN, _ACK = 2, 16


@dataclasses.dataclass(frozen=True)
class Packet:
    """One of TCP or UDP."""

    source: str
    target: str
    proto: str
    sport: int
    dport: int
    begins: bool

    def octets(self) -> bytes:
        ports = self.sport, self.dport
        if self.proto == "udp":
            return ip(self.source, self.target, 17, udp(*ports))
        return ip(self.source, self.target, 6, tcp(*ports, _SYN if self.begins else _ACK))


_names = st.lists(st.sampled_from([*_NETWORKS, "all", "hubs", "branches", "clients"]),
                  min_size=1, max_size=2)
_services = st.one_of(
    st.sampled_from([Service("any"), Service("icmp"), Service("tcp"), Service("udp")]),
    st.builds(lambda proto, ports: Service(proto, min(ports), max(ports)),
              st.sampled_from(["tcp", "udp"]), st.tuples(*[st.sampled_from(_PORTS)] * 2)))
_rules = st.lists(st.tuples(_names, _names, st.lists(_services, min_size=1, max_size=3)),
                  max_size=4)
_packets = st.one_of(*[
    st.builds(Packet, *[st.sampled_from(hosts)] * 2, st.sampled_from(["tcp", "udp"]),
              st.sampled_from(_PORTS), st.sampled_from(_PORTS), st.booleans())
    for hosts in (_HOSTS, _HOSTS6)])


def fleet_of(rules) -> tuple[Fleet, Record]:
    fleet = Fleet(Path("fleet.toml"))
    networks = {name: [ipaddress.ip_network(each) for each in found]
                for name, found in _NETWORKS.items()}
    fleet.hubs["paris"] = Hub("paris", (), prefixes=networks["paris"])
    for name in ("lyon", "nice", "brest"):
        lans = [Lan("eth1", each, ()) for each in networks[name]]
        fleet.branches[name] = Branch(name, (), lans=lans)
    fleet.clients["anna"] = Client("anna", ())
    fleet.rules = [Rule(number, (), *rule) for number, rule in enumerate(rules, 1)]
    return fleet, Record(addresses=dict(_ADDRESSES))


def judge_of(fleet: Fleet, record: Record, name: str) -> Judge:
    lans = [{"interface": "eth1", "prefix": each} for each in _NETWORKS[name]]
    text = json.dumps({"name": name, "address": _ADDRESSES[name], "lans": lans,
                       "tunnels": [{"name": "paris", "profile": "p.ovpn"}],
                       "filter": gateway_filter(fleet, record, fleet.branches[name])})
    return Judge(load_config(lambda file: text.encode()).filter)


def member_at(address: str) -> str | None:
    for name, networks in _NETWORKS.items():
        if address == _ADDRESSES[name] or any(
                ipaddress.ip_address(address) in ipaddress.ip_network(each) for each in networks):
            return name
    return None


def may_open(fleet: Fleet, source: str, target: str, proto: str, port: int) -> bool:
    return any(service.proto == "any" or service.proto == proto and
               service.low <= port <= service.high
               for rule in fleet.rules
               if source in fleet.together(rule.sources) and target in fleet.together(rule.targets)
               for service in rule.services)


def model(fleet: Fleet, name: str, packet: Packet, way: int) -> bool:
    """A packet that nothing has gone before."""
    source, target = member_at(packet.source), member_at(packet.target)
    if way == THROUGH or (source == name) != (way == OUT):
        return False
    if source is None or target is None or name not in (source, target):
        return False
    if may_open(fleet, source, target, packet.proto, packet.dport):
        return True
    if packet.proto == "tcp":
        return not packet.begins and may_open(fleet, target, source, "tcp", packet.sport)
    # Of `any` alone, answers over UDP are told by what went before.
    return any(service.proto == "udp" and service.low <= packet.sport <= service.high
               for rule in fleet.rules
               if target in fleet.together(rule.sources) and source in fleet.together(rule.targets)
               for service in rule.services)


@given(_rules, st.sampled_from(["lyon", "nice", "brest"]), _packets,
       st.sampled_from([OUT, INTO, HERE, THROUGH]))
def test_a_packet_passes_where_the_rules_of_the_fleet_allow_it(rules, name, packet, way):
    fleet, record = fleet_of(rules)
    octets = bytearray(packet.octets())
    judge = judge_of(fleet, record, name)
    assert judge.allows(octets, 0, len(octets), way, 0) == model(fleet, name, packet, way)


@given(st.binary(max_size=120) | st.builds(
    lambda head, rest: head + rest, st.sampled_from([b"\x45\0\0", b"\x60\0\0\0\0"]),
    st.binary(max_size=120)), st.sampled_from([OUT, INTO, HERE, SENT, THROUGH]))
def test_any_octets(octets, way):
    buf = bytearray(b"\xff" * 7 + octets)
    assert Judge(table()).allows(buf, 7, len(octets), way, 0) in (True, False)


@given(_packets, st.integers(0, 59), st.binary(min_size=1, max_size=4))
def test_a_damaged_packet_is_judged(packet, at, octets):
    buf = bytearray(packet.octets())
    buf[at : at + len(octets)] = octets
    for n in range(len(buf) + 1):
        Judge(table()).allows(buf, 0, n, INTO, 0)
