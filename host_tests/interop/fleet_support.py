"""A fleet from fleet.toml in the lab: hubs as their kits install them, bundles, profiles."""

from pathlib import Path

from host_tests.lab import Client, Lab
from host_tests.lab.gateway import MICROPYTHON
from host_tests.lab.hub_kit import BundleGateway, InstalledHub
from host_tests.tools.fleets import branchctl

_HUB = """
[hubs.{name}]
endpoints = ["udp://{address}:1194", "tcp://{address}:443"]
tunnels = "10.8.{number}.0/24"
prefixes = ["10.{number}.0.0/24"]
babel = "{daemon}"
"""
_FLEET = """
network = "acme"
virtual = "10.100.0.0/24"
mesh = "10.8.0.0/24"

[routing]
hello_ms = 200
{hubs}
[branches]
lyon = {{ lans = {{ lyon-desk = "192.168.11.0/24" }} }}
nice = {{ lans = {{ nice-desk = "192.168.12.0/24" }} }}

[clients]
anna = {{}}
{policy}
"""
_POLICY = """
[[policy]]
from = ["branches", "clients"]
to = "hubs"
allow = "any"

[[policy]]
from = "branches"
to = "clients"
allow = "icmp"

[[policy]]
from = "lyon"
to = "nice"
allow = ["icmp", "tcp/80"]
"""
_BETWEEN_HUBS = """
[[policy]]
from = "paris"
to = "dublin"
allow = "icmp"
"""


class FleetNetwork:
    """Data centres, branches and a laptop on one internet, described by one fleet.toml."""

    def __init__(self, lab: Lab, hubs: dict[str, str],
                 interpreters: dict[str, Path] | None = None):
        """hubs: paris, and dublin if there are two or more; name -> Babel daemon.
        interpreters: hub -> what runs its agent, in place of MicroPython."""
        self.lab = lab
        self.folder: Path = lab.directory / "fleet"
        self.folder.mkdir()
        self.internet = lab.internet()
        text = ""
        self.hosts, self.desks, self.servers, self.addresses = {}, {}, {}, {}
        for number, (name, daemon) in enumerate(hubs.items(), 1):
            address = self.addresses[name] = self._attach(name)
            self.servers[name] = self._behind(name, f"{name}-server", f"10.{number}.0.0/24")
            text += _HUB.format(name=name, address=address, number=number, daemon=daemon)
        for number, name in enumerate(("lyon", "nice"), 11):
            self._attach(name)
            self.desks[name] = self._behind(name, f"{name}-desk", f"192.168.{number}.0/24")
        self._attach("anna")
        policy = _POLICY + (_BETWEEN_HUBS if len(hubs) > 1 else "")
        (self.folder / "fleet.toml").write_text(_FLEET.format(hubs=text, policy=policy))
        self.branchctl("provision")
        self.hubs = {name: InstalledHub(self.hosts[name], self.folder / "kits" / name,
                                        (interpreters or {}).get(name, MICROPYTHON))
                     for name in hubs}

    def start(self) -> "FleetNetwork":
        """Install and start all hubs."""
        for hub in self.hubs.values():
            hub.install().start()
        return self

    def branchctl(self, *arguments: str) -> str:
        """What branchctl prints; it must succeed."""
        run = branchctl(self.folder, *arguments)
        assert run.code == 0, run.err
        return run.out

    def gateway(self, name: str, **options) -> BundleGateway:
        """The gateway of a branch, not started."""
        return BundleGateway(self.hosts[name], self.folder / "bundles" / name, **options)

    def profile(self, hub: str) -> str:
        """The laptop's profile, less all remotes but one hub's, by UDP."""
        text = (self.folder / "clients" / "anna.ovpn").read_text()
        return "\n".join(line for line in text.splitlines() if not line.startswith("remote ")
                         or line == f"remote {self.addresses[hub]} 1194 udp")

    def client(self, profile: str | None = None, **options) -> Client:
        """The laptop with its profile, or another, not started."""
        profile = profile or (self.folder / "clients" / "anna.ovpn").read_text()
        return Client(self.hosts["anna"], profile, **options)

    def _attach(self, name: str) -> str:
        host = self.hosts[name] = self.lab.host(name)
        return self.internet.attach(host).address(host)

    def _behind(self, name: str, inside: str, prefix: str):
        host = self.lab.host(inside)
        link = self.lab.link(self.hosts[name], host, prefix)
        host.route("default", link.address(self.hosts[name]))
        return host
