"""A fleet from fleet.toml in the lab: hubs as their kits install them, bundles, profiles."""

from pathlib import Path

from host_tests.lab import Client, Lab
from host_tests.lab.fleet_lab import FleetLab
from host_tests.lab.hub_kit import BundleGateway
from host_tests.tools.fleets import branchctl, write

_HUB = """
[hubs.{name}]
endpoints = ["udp://{name}.example:1194", "tcp://{name}.example:443"]
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
lyon = {{ lans = "192.168.11.0/24" }}
nice = {{ lans = "192.168.12.0/24" }}

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
        self.folder: Path = lab.directory / "fleet"
        text = "".join(_HUB.format(name=name, number=number, daemon=daemon)
                       for number, (name, daemon) in enumerate(hubs.items(), 1))
        policy = _POLICY + (_BETWEEN_HUBS if len(hubs) > 1 else "")
        write(self.folder, _FLEET.format(hubs=text, policy=policy))
        self.branchctl("provision")
        self.lab = FleetLab(lab, self.folder)
        self.hosts = {name: site.host for name, site in self.lab.sites.items()}
        self.hubs = {name: site.hub for name, site in self.lab.hubs.items()}
        for name, interpreter in (interpreters or {}).items():
            self.hubs[name].interpreter = interpreter
        self.servers = {name: site.outlook for name, site in self.lab.hubs.items()}
        self.desks = {name: site.outlook for name, site in self.lab.branches.items()}

    def start(self) -> "FleetNetwork":
        """Install and start all hubs."""
        self.lab.start(*self.hubs)
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
                         or line == f"remote {hub}.example 1194 udp")

    def client(self, profile: str | None = None, **options) -> Client:
        """The laptop with its profile, or another, not started."""
        profile = profile or (self.folder / "clients" / "anna.ovpn").read_text()
        return Client(self.hosts["anna"], profile, **options)
