"""The bench's network: a stock server on a hub, a branch whose client changes, one link."""

from host_tests.lab import Lab, Link, Pki, Server, UdpRelay

_PREFIX = "192.0.2.0/24"
_RELAY_PORT = 2194


class BenchNetwork:
    """A hub with one server and a branch for the clients, in a lab that the caller owns."""

    def __init__(self, lab: Lab, cipher: str):
        self.hub, self.branch = lab.host("hub"), lab.host("branch")
        self.link: Link = lab.link(self.hub, self.branch, _PREFIX)
        pki = Pki(lab.directory / "pki")
        self.server = Server(self.hub, pki, wrap="tls-crypt", data_ciphers=cipher).start()
        self.profile = self.server.profile("lyon", self.link.address(self.hub))
        self._started = 0

    def delay(self, ms: float) -> None:
        """Have the clients reach the server with a round trip of `ms`."""
        address = self.link.address(self.hub)
        relay = UdpRelay(self.hub, address, _RELAY_PORT, target=(address, 1194))
        relay.up.delay_ms = relay.down.delay_ms = ms / 2
        self.profile = self.server.profile("lyon", relay.remote)

    def start(self, subject):
        """Start a bench.subjects.Subject on the branch; a lab.Client or lab.Gateway."""
        self._started += 1
        return subject.start(self.branch, self.profile, self._started)
