"""Data centres and a branch: the network of the demo, of `make lab`, and of bigger tests.

    LAN host -- [ gateway ] ==tunnels== [ hub paris  ] -- paris-server  10.1.0.2
    192.168.11.2                  ====  [ hub dublin ] -- dublin-server 10.2.0.2
"""

import sys

from host_tests.lab.netns import Internet, Lab
from host_tests.lab.openvpn import Server
from host_tests.lab.pki import Pki

_LAN = "192.168.11.0/24"
_HTTP_PORT = 80


class DataCentre:
    """A hub (a stock OpenVPN server) and, behind it, a host that serves a page."""

    def __init__(self, lab: Lab, internet: Internet, pki: Pki, name: str, number: int, **options):
        """`number` makes the prefixes 10.NUMBER.0.0/24 (hosts) and 10.8.NUMBER.0/24 (tunnel)."""
        self.name = name
        self.hub = lab.host(name)
        self.host = lab.host(f"{name}-server")
        self.public = internet.attach(self.hub).address(self.hub)
        inside = lab.link(self.hub, self.host, f"10.{number}.0.0/24")
        self.host.route("default", inside.address(self.hub))
        self.address = inside.address(self.host)
        # Python's http.server asks for the name of its address, and there is no DNS here.
        self.host.name_address(self.host.name, self.address)
        self.server = Server(
            self.hub, pki, network=f"10.8.{number}.0/24", routes=(_LAN,),
            ccd={"lyon": ("iroute 192.168.11.0 255.255.255.0",)},
            push=(f"route 10.{number}.0.0 255.255.255.0",), **options,
        )

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{self.address}/"

    @property
    def greeting(self) -> str:
        """What the page says."""
        return f"Hello from {self.name}\n"

    def start(self) -> None:
        """Start the OpenVPN server and the web server."""
        self.server.start()
        pages = self.host.directory / "pages"
        pages.mkdir()
        (pages / "index.html").write_text(self.greeting)
        self.host.spawn(
            sys.executable, "-u", "-m", "http.server", str(_HTTP_PORT), "--bind", self.address,
            "--directory", str(pages), name="http",
        ).wait_for("Serving HTTP")


class Branch:
    """The host that is to be the gateway, and a host on its LAN."""

    def __init__(self, lab: Lab, internet: Internet, name: str = "lyon"):
        self.name = name
        self.gateway = lab.host(name)
        self.host = lab.host(f"{name}-desk")
        self.uplink = internet.attach(self.gateway)
        lan = lab.link(self.gateway, self.host, _LAN)
        self.lans = ((lan.device(self.gateway), _LAN),)
        self.address = lan.address(self.host)
        self.host.route("default", lan.address(self.gateway))


class TwoCentres:
    """Two data centres, paris and dublin, and the branch lyon."""

    def __init__(self, lab: Lab, **options):
        """`options` are those of lab.openvpn.Server, for both hubs."""
        pki = Pki(lab.directory / "pki")
        internet = lab.internet()
        self.centres = [DataCentre(lab, internet, pki, name, number, **options)
                        for number, name in enumerate(("paris", "dublin"), start=1)]
        self.branch = Branch(lab, internet)

    def start(self) -> None:
        """Start all servers."""
        for centre in self.centres:
            centre.start()

    def profiles(self) -> dict[str, str]:
        """The branch's profile for each data centre."""
        return {centre.name: centre.server.profile(self.branch.name, centre.public)
                for centre in self.centres}
