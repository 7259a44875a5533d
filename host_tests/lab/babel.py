"""What the stock Babel daemons of the lab have in common: keys, what they know, how they end."""

import dataclasses
import secrets
from pathlib import Path

from host_tests.lab.errors import LabError
from host_tests.lab.netns import Host
from host_tests.lab.process import Process


@dataclasses.dataclass(frozen=True)
class MacKey:
    """An HMAC-SHA256 key (RFC 8967): 32 printable octets, as BIRD wants a text."""

    name: str = "k1"
    secret: str = dataclasses.field(default_factory=lambda: secrets.token_hex(16), repr=False)

    @property
    def hex(self) -> str:
        """The secret as babeld and our gateway want it."""
        return self.secret.encode().hex()

    def entry(self, **times) -> dict:
        """The key in gateway.json; times: `send` and `accept`, each [from, until]."""
        return {"id": self.name, "algorithm": "hmac-sha256", "secret": self.hex, **times}


@dataclasses.dataclass(frozen=True)
class Neighbour:
    """A neighbour as a daemon sees it."""

    address: str
    device: str
    cost: int
    rtt_ms: float | None = None

    @property
    def usable(self) -> bool:
        """Whether packets go both ways."""
        return self.cost < INFINITY


@dataclasses.dataclass(frozen=True)
class Route:
    """A route as a daemon sees it; `metric` is the daemon's own to the prefix."""

    prefix: str
    via: str
    device: str
    metric: int
    selected: bool


INFINITY = 0xFFFF  # RFC 8966 2.2
HELLO_MS = 200  # of daemons and gateways in tests: what takes three Hellos takes 0.6 s


class Daemon:
    """A stock Babel daemon on a host; start() of a subclass sets `process`.

    It has its `program` and the `protocol` of its routes, as iproute2 names it.
    """

    program: str
    protocol: str
    process: Process | None = None

    def __init__(self, host: Host, links: dict[str, str], *, number: int = 1,
                 announce: tuple[str, ...] = (), keys: tuple[MacKey, ...] = (),
                 hello_ms: int = HELLO_MS, control: Path | None = None):
        """links: device -> "tunnel" or "wired"; number: makes the router-id; announce: prefixes
        beside the host's routes of protocol `static`; keys: sign all packets; control: the socket
        of a daemon that somebody else has started, which is only asked."""
        self.host = host
        self.links = links
        self.number = number
        self.announce = announce
        self.keys = keys
        self.hello_ms = hello_ms
        self._directory = host.directory / self.program
        self._control = control or self._directory / "control"

    def start(self) -> "Daemon":
        """Start it with what its attributes say now."""
        raise NotImplementedError

    def reborn(self) -> "Daemon":
        """Start it after a kill, as on a machine that starts afresh: without the routes that it
        has left behind."""
        for family in ("-4", "-6"):
            self.host.ip(family, "route", "flush", "proto", self.protocol)
        return self.start()

    def stop(self) -> None:
        """SIGTERM: it retracts what it has announced and removes its routes."""
        if code := self.process.stop():
            raise LabError(f"{self.process.name} ended with {code}:\n{self.process.tail()}")

    def kill(self) -> None:
        """SIGKILL: its neighbours are told nothing and its routes stay."""
        self.process.kill()

    def log(self) -> str:
        """What the present process has logged."""
        return self.process.log()
