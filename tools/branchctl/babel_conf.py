"""A hub's Babel daemon: what it runs over, what it announces, and from whom it learns what."""

import dataclasses
import ipaddress

from branchctl.kit_names import (
    AGENT_PROTOCOL,
    COPY_PROTOCOL,
    DEVICES,
    LINK_LOCAL,
    instances,
    mesh_links,
)
from branchctl.model import Fleet, Hub
from branchctl.reader import Network
from branchctl.record import Record

_UPDATE_HELLOS = 4
_BOOT = 3  # the kernel's number for routes that nobody claims
# Always the same, as babeld takes another key in place under the former one's name.
_BABELD_KEY = "fleet"
_BIRD = """\
{title}
log syslog all;
router id {address};
protocol device {{ scan time 2; }}
protocol direct {{ ipv4; ipv6; }}

filter learned {{
{learned}  reject;
}}

filter announced {{
  if source = RTS_BABEL then accept;
{announced}  reject;
}}

# The hub's own routes go before what is learned; what hub-drain holds, only before "unreachable".
filter own {{
  if krt_source = {copies} then preference = 2;
  accept;
}}
protocol kernel kernel4 {{
  learn; scan time 2;
  ipv4 {{ preference 200; import filter own; export where source = RTS_BABEL; }};
}}
protocol kernel kernel6 {{
  learn; scan time 2;
  ipv6 {{ preference 200; import filter own; export where source = RTS_BABEL; }};
}}
protocol babel babel1 {{
  # After a crash its seqno is lost: under its former router-id the hub would not be believed for
  # three minutes.
  randomize router id yes;
  ipv4 {{ import filter learned; export filter announced; }};
  ipv6 {{ import filter learned; export filter announced; }};
{interfaces}}}
"""


@dataclasses.dataclass(frozen=True)
class Key:
    """A key of Babel's; the secret is printable, as BIRD wants a text."""

    id: str
    secret: str = dataclasses.field(repr=False)

    @property
    def hex(self) -> str:
        """The secret as babeld and our gateways want it."""
        return self.secret.encode().hex()


def babeld(fleet: Fleet, record: Record, hub: Hub, key: Key | None, title: str) -> str:
    """babeld.conf, without what babeld_keys() holds."""
    hello = fleet.hello_ms / 1000
    timing = f"hello-interval {hello:g} update-interval {_UPDATE_HELLOS * hello:g}"
    lines = [title, "# After a crash its seqno is lost: under its former router-id the hub would",
             "# not be believed for three minutes.", "random-id true",
             "# By its default of 4 s the nearest hub is preferred only half a minute late.",
             "smoothing-half-life 0"]
    signed = ""
    if key:
        signed = f" key {_BABELD_KEY}"
    for each in instances(hub):
        # All clients are on one device and do not hear each other there.
        lines.append(f"interface {each.device} type tunnel split-horizon false {timing}{signed}")
    # TLS with the peer's name says already who speaks on a mesh link.
    lines += [f"interface {link.device} type tunnel {timing}"
              for link in mesh_links(fleet, record, hub)]
    for branch in fleet.branches.values():
        neighbour = LINK_LOCAL.format(record.numbers[branch.name])
        lines += [f"in neigh {neighbour} {_exact(each)} allow"
                  for each in _own(record, branch.name, branch.networks())]
    for link in mesh_links(fleet, record, hub):
        lines += [f"in if {link.device} {each} allow" for each in _from_hubs(fleet, hub)]
    lines.append("in deny")
    lines.append(f"redistribute local {_exact(_address(record, hub))} allow")
    for network in hub.networks():
        lines += [f"redistribute {_exact(network)} allow",
                  f"redistribute {_exact(network)} proto {_BOOT} allow"]
    lines += [f"redistribute ip {fleet.virtual} ge 32 proto {AGENT_PROTOCOL} allow",
              "redistribute local deny", "redistribute deny"]
    return "\n".join(lines) + "\n"


def babeld_keys(key: Key | None, title: str) -> str:
    """babeld-keys.conf: the one key with which babeld signs and which it accepts."""
    if key is None:
        return f"{title}\n"
    return f"{title}\n# {key.id}\nkey id {_BABELD_KEY} type hmac-sha256 value {key.hex}\n"


def bird(fleet: Fleet, record: Record, hub: Hub, keys: list[Key], title: str) -> str:
    """bird.conf, for BIRD 2.0 and newer. BIRD signs with all its keys and accepts each."""
    learned = ""
    for branch in fleet.branches.values():
        neighbour = LINK_LOCAL.format(record.numbers[branch.name])
        nets = _own(record, branch.name, branch.networks())
        learned += _bird_rules(f"from = {neighbour} && ", nets)
    for link in mesh_links(fleet, record, hub):
        nets = [fleet.virtual, *_behind_others(fleet, hub)]
        learned += _bird_rules(f'ifname = "{link.device}" && ', nets, fleet.virtual)
    own = [_address(record, hub), *hub.networks()]
    announced = _bird_rules("", own)
    announced += (f"  if net.type = NET_IP4 && krt_source = {AGENT_PROTOCOL} then\n"
                  f"    if net ~ [ {fleet.virtual}{{32,32}} ] then accept;\n")
    secrets = "".join(f' password "{key.secret}" {{ id {number}; algorithm hmac sha256; }};'
                      for number, key in enumerate(keys, 1))
    authentication = f" authentication mac;{secrets}" if keys else ""
    timing = f"hello interval {fleet.hello_ms} ms; update interval " \
             f"{_UPDATE_HELLOS * fleet.hello_ms} ms;"
    interfaces = "".join(
        f'  interface "{each.device}" {{ type wired; {timing}{authentication} }};\n'
        for each in instances(hub))
    if mesh_links(fleet, record, hub):
        interfaces += f'  interface "{DEVICES}mesh-*" {{ type wired; {timing} }};\n'
    return _BIRD.format(title=title, address=record.addresses[hub.name], learned=learned,
                        announced=announced, interfaces=interfaces, copies=COPY_PROTOCOL)


def agent(fleet: Fleet, record: Record, hub: Hub, keys: list[Key]) -> dict:
    """The same for the hub's agent: `routing` of its gateway.json."""
    servers = [each.device for each in instances(hub)]
    links = [link.device for link in mesh_links(fleet, record, hub)]
    accept = [{"neighbour": LINK_LOCAL.format(record.numbers[branch.name]),
               "exactly": [*map(str, _own(record, branch.name, branch.networks()))]}
              for branch in fleet.branches.values()]
    behind = [*map(str, _behind_others(fleet, hub))]
    for link in links:
        accept += [{"device": link, "prefix": str(fleet.virtual), "shortest": 32},
                   {"device": link, "exactly": behind}]
    return {
        "protocol": "babel", "hello_ms": fleet.hello_ms,
        "max_neighbours": max(128, 2 * len(fleet.branches) + len(links)),
        "max_routes": max(1024, 2 * (len(fleet.members) + len(behind))),
        "interfaces": [*servers, *({"device": link, "signed": False} for link in links)],
        "keys": [{"id": key.id, "algorithm": "hmac-sha256", "secret": key.hex} for key in keys],
        "announce": [*map(str, hub.networks())], "accept": accept,
    }


def _bird_rules(condition: str, nets: list[Network], wide: Network | None = None) -> str:
    """`accept` for exactly these prefixes, or, of the one in `wide`, for all single addresses."""
    text = ""
    for version in (4, 6):
        chosen = [f"{net}{{32,32}}" if net is wide else str(net)
                  for net in nets if net.version == version]
        if chosen:
            text += f"  if net.type = NET_IP{version} then\n" \
                    f"    if {condition}net ~ [ {', '.join(chosen)} ] then accept;\n"
    return text


def _address(record: Record, hub: Hub) -> Network:
    return _own(record, hub.name, [])[0]


def _own(record: Record, name: str, networks: list[Network]) -> list[Network]:
    return [ipaddress.ip_network(record.addresses[name]), *networks]


def _behind_others(fleet: Fleet, hub: Hub) -> list[Network]:
    """What may be learned from other hubs."""
    found = [network for member in fleet.members.values() if member is not hub
             for network in member.networks()]
    return [each for each in dict.fromkeys(found) if each not in hub.prefixes]


def _from_hubs(fleet: Fleet, hub: Hub) -> list[str]:
    """The same as babeld's selectors, with all virtual addresses."""
    return [f"ip {fleet.virtual} ge 32", *map(_exact, _behind_others(fleet, hub))]


def _exact(network: Network) -> str:
    """babeld's selector of one prefix."""
    return f"ip {network} eq {network.prefixlen}"
