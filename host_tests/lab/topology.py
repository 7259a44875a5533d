"""Data centres and branches: the network of the Babel tests, without branchctl.

    LAN host -- [ gateway ] ==tunnels== [ hub paris  ] -- paris-server  10.1.0.2
    192.168.11.2                  ====  [ hub dublin ] -- dublin-server 10.2.0.2

The hubs are joined by a link of their own and run a stock Babel daemon.
"""

from collections.abc import Iterable

from host_tests.lab.babel import HELLO_MS, MacKey
from host_tests.lab.babeld import Babeld
from host_tests.lab.bird import Bird
from host_tests.lab.gateway import Gateway
from host_tests.lab.netns import Internet, Lab
from host_tests.lab.openvpn import Server
from host_tests.lab.page import serve_page
from host_tests.lab.pki import Pki
from host_tests.lab.relay import UdpRelay

DAEMONS = {"babeld": Babeld, "bird": Bird}
_RELAY_PORT = 2194
_TUNNEL = "server"  # the hub's device toward all branches


class Branch:
    """The host that is to be the gateway, and a host on its LAN."""

    def __init__(self, lab: Lab, internet: Internet, name: str, number: int):
        """`number` makes the LAN 192.168.NUMBER.0/24 (and fd00:NUMBER::/64), the static address
        10.100.0.NUMBER, and the addresses in the tunnels."""
        self.name = name
        self.number = number
        self.static = f"10.100.0.{number}"
        self.lan = f"192.168.{number}.0/24"
        self.lan6 = f"fd00:{number}::/64"
        self.gateway = lab.host(name)
        self.desk = lab.host(f"{name}-desk")
        self.uplink = internet.attach(self.gateway)
        self.link = lab.link(self.gateway, self.desk, self.lan, self.lan6)
        self.lans = ((self.link.device(self.gateway), self.lan),
                     (self.link.device(self.gateway), self.lan6))
        self.address = self.link.address(self.desk)
        self.address6 = self.link.address(self.desk, 6)
        for version in (4, 6):
            self.desk.route("default", self.link.address(self.gateway, version))

    def ccd(self, centre: int) -> tuple[str, ...]:
        """What the OpenVPN server of a data centre must know of the branch: the addresses of its
        tunnel, of which Babel needs the link-local one, and what may come from it."""
        return (
            f"ifconfig-push 10.8.{centre}.{self.number} 255.255.255.0",
            f"ifconfig-ipv6-push fe80::b:{self.number}/64",
            f"iroute {self.static} 255.255.255.255",
            f"iroute 192.168.{self.number}.0 255.255.255.0",
            f"iroute-ipv6 {self.lan6}",
        )


class DataCentre:
    """A hub (stock OpenVPN server, stock Babel daemon) and, behind it, a host with a page."""

    def __init__(self, lab: Lab, internet: Internet, pki: Pki, name: str, number: int,
                 branches: Iterable[Branch], daemon: str, **options):
        """`number` makes the prefixes 10.NUMBER.0.0/24 (hosts) and 10.8.NUMBER.0/24 (tunnels);
        `options` are those of lab.openvpn.Server."""
        self.name = name
        self.number = number
        self.hub = lab.host(name)
        self.host = lab.host(f"{name}-server")
        self.uplink = internet.attach(self.hub)
        self.public = self.uplink.address(self.hub)
        self.prefix, self.prefix6 = f"10.{number}.0.0/24", f"fd00:0:{number}::/64"
        inside = lab.link(self.hub, self.host, self.prefix, self.prefix6)
        self.address, self.address6 = inside.address(self.host), inside.address(self.host, 6)
        for version in (4, 6):
            self.host.route("default", inside.address(self.hub, version))
        self.server = Server(
            self.hub, pki, name=_TUNNEL, network=f"10.8.{number}.0/24", network6="fe80::/64",
            ccd={branch.name: branch.ccd(number) for branch in branches}, **options,
        )
        self.babel = DAEMONS[daemon](
            self.hub, {_TUNNEL: "tunnel"}, number=number, announce=(self.prefix, self.prefix6),
        )
        self.relay = UdpRelay(internet.router, self.uplink.address(internet.router), _RELAY_PORT,
                              (self.public, self.server.options.port))

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{self.address}/"

    @property
    def greeting(self) -> str:
        """What the page says."""
        return f"Hello from {self.name}\n"

    def start(self) -> None:
        """Start the OpenVPN server and the Babel daemon."""
        self.server.start()
        self.babel.start()

    def kill(self) -> None:
        """SIGKILL for both: as if the machine lost power."""
        self.server.kill()
        self.babel.kill()

    def restart(self) -> None:
        """Start both after a kill."""
        self.server.start()
        self.babel.reborn()

    def serve(self) -> None:
        """Start the web server."""
        serve_page(self.host, self.address, self.greeting)

    def announce(self, *prefixes: str) -> None:
        """Let the Babel daemon announce further prefixes."""
        for prefix in prefixes:
            self._route("add", prefix)

    def withdraw(self, *prefixes: str) -> None:
        """Undo announce()."""
        for prefix in prefixes:
            self._route("del", prefix)

    def _route(self, verb: str, prefix: str) -> None:
        family = "-6" if ":" in prefix else "-4"
        # High, so that a default route does not get in the way of the hub's own.
        self.hub.ip(family, "route", verb, prefix, "dev", "lo", "proto", "static",
                    "metric", "4096")


class Network:
    """Data centres joined with each other, and branches, with Babel wherever it is asked for.

        network = Network(lab, {"paris": "babeld", "dublin": "bird"}, ("lyon", "nice"))
        network.start()
        gateway = network.gateway("lyon").start()
    """

    def __init__(self, lab: Lab, centres: dict[str, str], branches: tuple[str, ...] = ("lyon",), *,
                 key: MacKey | None = None, hello_ms: int = HELLO_MS, half_life: int = 1,
                 mesh: bool = True, **options):
        """centres: name -> Babel daemon, "babeld" or "bird"; key: signs all Babel packets;
        half_life: of the hubs' babeld, in which metrics are smoothed; mesh: join each data centre
        with the one before it; options: of lab.openvpn.Server."""
        self.lab = lab
        self.key = key
        self.hello_ms = hello_ms
        pki = Pki(lab.directory / "pki")
        self.internet = lab.internet()
        self.branches = {name: Branch(lab, self.internet, name, number)
                         for number, name in enumerate(branches, start=11)}
        self.centres = {
            name: DataCentre(lab, self.internet, pki, name, number, self.branches.values(), daemon,
                             **options)
            for number, (name, daemon) in enumerate(centres.items(), start=1)
        }
        for centre in self.centres.values():
            centre.babel.hello_ms = hello_ms
            centre.babel.keys = (key,) if key else ()
            centre.babel.half_life = half_life
        self.mesh = self._join() if mesh else []

    def _join(self) -> list:
        links = []
        hubs = list(self.centres.values())
        for number, (a, b) in enumerate(zip(hubs, hubs[1:]), start=1):
            link = self.lab.link(a.hub, b.hub, f"10.9.{number}.0/30")
            a.babel.links[link.device(a.hub)] = b.babel.links[link.device(b.hub)] = "wired"
            links.append(link)
        return links

    def start(self) -> None:
        """Start all hubs."""
        for centre in self.centres.values():
            centre.start()

    def profiles(self, branch: str, lines: tuple[str, ...] = ()) -> dict[str, str]:
        """The branch's profile for each data centre, through its relay; with further lines."""
        return {centre.name: centre.server.profile(branch, centre.relay.remote, lines=lines)
                for centre in self.centres.values()}

    def gateway(self, name: str, engine: str = "native", **config) -> Gateway:
        """The gateway of a branch, not started; `config` is for lab.gateway.Gateway, and its
        `routing` is merged into what fits the network."""
        branch = self.branches[name]
        routing = {"protocol": "babel", "hello_ms": self.hello_ms,
                   "keys": [self.key.entry()] if self.key else [],
                   **config.pop("routing", {})}
        options = {"address": branch.static, "lans": branch.lans,
                   "tunnels": {tunnel: {"device": f"tun-{tunnel}", "engine": engine}
                               for tunnel in self.centres}}
        return Gateway(branch.gateway, self.profiles(name), name=name, routing=routing,
                       **{**options, **config})

    def own_path(self, gateway: Gateway, centre: str) -> UdpRelay:
        """Lead a gateway that is not started to a data centre by a relay of its own, so that it
        can be cut off alone."""
        hub, router = self.centres[centre], self.internet.router
        relay = UdpRelay(router, hub.uplink.address(router), 0,
                         (hub.public, hub.server.options.port))
        gateway.profiles[centre] = gateway.profiles[centre].replace(hub.relay.remote,
                                                                    relay.remote)
        return relay
