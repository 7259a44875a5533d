"""Three hubs with their agents, joined with each other, and a stock client that roams."""

import time

from host_tests.interop.openvpn_support import eventually
from host_tests.lab import Client, Lab, LabError, Pki, Server, UdpRelay
from host_tests.lab.babel import HELLO_MS
from host_tests.lab.babeld import Babeld
from host_tests.lab.bird import Bird
from host_tests.lab.hub_agent import HubAgent

NAMES = ("paris", "dublin", "ghent")
VIRTUAL = "10.100.0.0/24"
ANNA = "10.100.0.50"
ANNA_LAN = "192.168.50.0/24"
PROTOCOL = "190"
DEVICE = "bl-udp"
_CCD = {
    "anna": (f"ifconfig-push {ANNA} 255.255.255.0", "iroute 192.168.50.0 255.255.255.0"),
    "bob": ("ifconfig-push 10.100.0.51 255.255.255.0",),
    "eve": ("ifconfig-push 10.100.0.66 255.255.255.0", "iroute 10.100.0.1 255.255.255.255",
            "iroute 172.16.0.0 255.255.0.0"),
}


class _Babeld(Babeld):
    def _config(self) -> list[str]:
        return [f"redistribute local ip {VIRTUAL} ge 32 allow",
                f"redistribute ip {VIRTUAL} ge 32 proto {PROTOCOL} allow",
                f"redistribute ip {ANNA_LAN} proto {PROTOCOL} allow", *super()._config()]


class _Bird(Bird):
    def _config(self) -> str:
        return super()._config().replace("krt_source = 4", f"krt_source ~ [4, {PROTOCOL}]")


class Hub:
    """A hub: an OpenVPN server, its agent, and a Babel daemon, if the agent is not one."""

    def __init__(self, lab: Lab, pki: Pki, internet, name: str, number: int):
        self.name, self.number = name, number
        self.address = f"10.100.0.{number}"
        self.host = lab.host(name)
        self.uplink = internet.attach(self.host)
        self.public = self.uplink.address(self.host)
        self.host.ip("address", "add", f"{self.address}/32", "dev", "lo")
        self.server = Server(
            self.host, pki, name=DEVICE, network=f"10.8.{number}.0/24", ccd=_CCD,
            push=("explicit-exit-notify 1",),
            # As branchctl's kits: the server believes in a silent client for 20 s.
            keepalive=(2, 10),
        )
        self.mesh: list[str] = []
        self.babel: Babeld | Bird | None = None
        self.agent: HubAgent | None = None

    def route(self, address: str) -> str:
        """The device by which this hub's packets to a virtual address leave, "" for none."""
        done = self.host.run("ip", "-4", "-o", "route", "get", address, check=False)
        words = done.stdout.split()
        device = words[words.index("dev") + 1] if done.returncode == 0 and "dev" in words else ""
        return "" if device == "internet" else device  # the default route

    def reaches(self, address: str) -> bool:
        """Whether a virtual address answers this hub's."""
        done = self.host.run("ping", "-c", "3", "-i", "0.2", "-W", "1", "-I", self.address,
                             address, check=False)
        return done.returncode == 0

    def own_routes(self) -> set[str]:
        """The prefixes that the agent has put into the kernel."""
        text = self.host.ip("-4", "route", "show", "proto", PROTOCOL)
        return {line.split()[0] for line in text.splitlines()}


class HubNetwork:
    """The whole; `daemons` are "babeld", "bird" or "agent" for paris, dublin and ghent."""

    def __init__(self, lab: Lab, daemons: tuple[str, str, str]):
        self.lab = lab
        pki = Pki(lab.directory / "pki")
        self.internet = lab.internet()
        self.hubs = {name: Hub(lab, pki, self.internet, name, number)
                     for number, name in enumerate(NAMES, 1)}
        self.links = {}
        self._join()
        for hub, daemon in zip(self.hubs.values(), daemons, strict=True):
            self._equip(hub, daemon)
        self.clients = {}
        self._count = 0

    def _join(self) -> None:
        hubs = list(self.hubs.values())
        for number, (a, b) in enumerate(
                ((a, b) for i, a in enumerate(hubs) for b in hubs[i + 1:]), 1):
            link = self.lab.link(a.host, b.host, f"10.9.{number}.0/30")
            self.links[a.name, b.name] = link
            a.mesh.append(link.device(a.host))
            b.mesh.append(link.device(b.host))

    def _equip(self, hub: Hub, daemon: str) -> None:
        config = {
            "address": hub.address,
            "servers": [{"name": "udp", "device": DEVICE,
                         "management": str(hub.server._management)}],
            "clients": {"accept": [VIRTUAL, ANNA_LAN], "revoked": ["thief"]},
            "hubs": [{"name": each.name, "address": each.address}
                     for each in self.hubs.values() if each is not hub],
        }
        if daemon == "agent":
            config["routing"] = {"protocol": "babel", "hello_ms": HELLO_MS,
                                 "interfaces": [DEVICE, *hub.mesh]}
        else:
            kind = {"babeld": _Babeld, "bird": _Bird}[daemon]
            hub.babel = kind(hub.host, dict.fromkeys(hub.mesh, "wired"), number=hub.number,
                             announce=(f"{hub.address}/32",))
            hub.babel.half_life = 0  # as in branchctl's kits
        hub.agent = HubAgent(hub.host, **config)

    def start(self) -> "HubNetwork":
        """Start all, and wait until the hubs reach each other."""
        for hub in self.hubs.values():
            hub.server.start()
            if hub.babel:
                hub.babel.start()
            hub.agent.start()
        for hub in self.hubs.values():
            hub.agent.wait_event("udp", "up")
            for other in self.hubs.values():
                if other is not hub:
                    eventually(lambda hub=hub, other=other: hub.route(other.address),
                               f"{hub.name} routes to {other.name}", 30)
        return self

    def relay(self, name: str) -> UdpRelay:
        """A path to a hub that can be cut."""
        hub, router = self.hubs[name], self.internet.router
        return UdpRelay(router, hub.uplink.address(router), 0,
                        (hub.public, hub.server.options.port))

    def client(self, hub: str, remote: str | None = None, who: str = "anna",
               wait: bool = True) -> Client:
        """A stock client of a hub, through a relay's `remote` or not, that is up."""
        host = self.clients.get(who)
        if host is None:
            host = self.clients[who] = self.lab.host(who)
            self.internet.attach(host)
        self._count += 1
        server = self.hubs[hub].server
        client = Client(host, server.profile(who, remote or self.hubs[hub].public),
                        name=f"{who}-{self._count}", device=f"tun{self._count}").start()
        if wait:
            client.wait_up()
        return client

    def arrival(self, hub: str, count: int = 1) -> float:
        """Wait until a hub's server has let anna in for the count-th time; the moment."""
        self.hubs[hub].server.wait_for(f"MULTI: Learn: {ANNA} -> anna", count=count)
        return time.monotonic()

    def gone(self) -> None:
        """Wait until no hub routes to anna."""
        eventually(lambda: not any(self.ways().values()), "nobody routes to anna", 30)

    def ways(self, address: str = ANNA) -> dict[str, str]:
        """The device by which each hub reaches the address."""
        return {name: hub.route(address) for name, hub in self.hubs.items()}

    def wanted(self, where: str) -> dict[str, str]:
        """The same, as it has to be when the client is at one hub: each by its link with it."""
        return {name: DEVICE if name == where else where for name in self.hubs}

    def settle(self, where: str, since: float | None = None, timeout: float = 20.0) -> float:
        """Wait until all hubs route to anna at a hub; the seconds that took since that moment."""
        since = since or time.monotonic()
        try:
            eventually(lambda: self.ways() == self.wanted(where), f"anna is at {where}", timeout)
        except LabError as error:
            raise LabError(f"{error}; the ways are {self.ways()}") from None
        return time.monotonic() - since
