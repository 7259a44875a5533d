"""The fleet as fleet.toml describes it."""

import dataclasses
import ipaddress
import re
from pathlib import Path

from branchctl.positions import Path as Key
from branchctl.reader import Network

# What a branch's gateway can be.
BOARDS = ("linux", "qemu_mps2", "w5500_evb_pico2", "rpi_pico2_w", "esp32_poe", "teensy41",
          "nucleo_h743zi")
# What routes on a hub; "branchline" is the hub's agent itself.
BABELD, BIRD, BRANCHLINE = BABEL_DAEMONS = ("babeld", "bird", "branchline")
# UDP ports that hubs use otherwise; the agents' is that of the firmware's hub/arrivals.py.
BABEL_PORT, AGENT_PORT = 6696, 6697
RESERVED_PORTS = {BABEL_PORT: "Babel's", AGENT_PORT: "the hubs' agents'"}
# Names that stand for many in the policy.
ALL, HUBS, BRANCHES, CLIENTS = KINDS = ("all", "hubs", "branches", "clients")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def is_label(name: str) -> bool:
    """Whether a name is a DNS label (RFC 1123 2.1), in small letters."""
    return _LABEL.fullmatch(name) is not None


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """Where a hub's OpenVPN server is reached: proto is "udp" or "tcp"."""

    proto: str
    host: str
    port: int

    @property
    def instance(self) -> str:
        """The name of the server process behind it, such as "udp1194"."""
        return f"{self.proto}{self.port}"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.proto}://{host}:{self.port}"


@dataclasses.dataclass
class Member:
    """What a hub, a branch and a client have in common; `address` None: allocated."""

    name: str
    key: Key
    address: ipaddress.IPv4Address | None = None

    def networks(self) -> list[Network]:
        """The prefixes behind it."""
        return []


@dataclasses.dataclass
class Hub(Member):
    """A data centre with its OpenVPN servers."""

    endpoints: list[Endpoint] = dataclasses.field(default_factory=list)
    tunnels: Network | None = None
    prefixes: list[Network] = dataclasses.field(default_factory=list)
    anycast: list[Network] = dataclasses.field(default_factory=list)
    babel: str = BABELD
    mesh_port: int = 1500

    def networks(self) -> list[Network]:
        return self.prefixes + self.anycast

    @property
    def instances(self) -> list[str]:
        """The server processes, in the order of the endpoints."""
        return list(dict.fromkeys(endpoint.instance for endpoint in self.endpoints))


@dataclasses.dataclass(frozen=True)
class Lan:
    """A prefix on an interface of a branch's gateway."""

    interface: str
    network: Network
    key: Key


@dataclasses.dataclass
class Branch(Member):
    """A branch's gateway and the LANs behind it."""

    board: str = "linux"
    lans: list[Lan] = dataclasses.field(default_factory=list)

    def networks(self) -> list[Network]:
        return [lan.network for lan in self.lans]


@dataclasses.dataclass
class Client(Member):
    """A stock OpenVPN client; `hubs` is where it connects, the preferred one first."""

    hubs: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Service:
    """What a rule allows: proto "any", "icmp", "tcp" or "udp"; ports low to high."""

    proto: str
    low: int = 0
    high: int = 65535

    @property
    def all_ports(self) -> bool:
        return (self.low, self.high) == (0, 65535)

    def __str__(self) -> str:
        if self.all_ports:
            return self.proto
        return f"{self.proto}/{self.low}" + ("" if self.low == self.high else f"-{self.high}")


@dataclasses.dataclass
class Rule:
    """A line of the policy: members of `sources` may open `services` of members of `targets`."""

    number: int  # from 1
    key: Key
    sources: list[str]
    targets: list[str]
    services: list[Service]


@dataclasses.dataclass
class Fleet:
    """Everything that fleet.toml says."""

    file: Path
    network: str = ""
    virtual: ipaddress.IPv4Network | None = None
    mesh: ipaddress.IPv4Network | None = None
    hello_ms: int = 500
    signed: bool = True
    days: int = 730
    ca_days: int = 3650
    hubs: dict[str, Hub] = dataclasses.field(default_factory=dict)
    branches: dict[str, Branch] = dataclasses.field(default_factory=dict)
    clients: dict[str, Client] = dataclasses.field(default_factory=dict)
    groups: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    rules: list[Rule] = dataclasses.field(default_factory=list)

    @property
    def folder(self) -> Path:
        """Where the state folder and all that is made of it lie."""
        return self.file.parent

    @property
    def members(self) -> dict[str, Member]:
        """Hubs, branches and clients by their names."""
        return {**self.hubs, **self.branches, **self.clients}

    def named(self, name: str) -> list[str]:
        """The members that a name of the policy stands for."""
        kinds = {ALL: self.members, HUBS: self.hubs, BRANCHES: self.branches,
                 CLIENTS: self.clients}
        if name in kinds:
            return list(kinds[name])
        if name in self.groups:
            return list(dict.fromkeys(
                member for each in self.groups[name] for member in self.named(each)))
        return [name]

    def together(self, names: list[str]) -> list[str]:
        """The members that some names stand for, each once."""
        return list(dict.fromkeys(member for name in names for member in self.named(name)))
