"""The bench's network: a stock server on a hub, a branch whose client changes, one link."""

from host_tests.lab import Lab, Link, Pki, Server

_PREFIX = "192.0.2.0/24"


class BenchNetwork:
    """A hub with one server and a branch for the clients, in a lab that the caller owns."""

    def __init__(self, lab: Lab, cipher: str):
        self.hub, self.branch = lab.host("hub"), lab.host("branch")
        self.link: Link = lab.link(self.hub, self.branch, _PREFIX)
        pki = Pki(lab.directory / "pki")
        self.server = Server(self.hub, pki, wrap="tls-crypt", data_ciphers=cipher).start()
        self.profile = self.server.profile("lyon", self.link.address(self.hub))
        self._started = 0

    def start(self, subject, heap: str | None = None):
        """Start a bench.subjects.Subject on the branch; a lab.Client or lab.Gateway."""
        self._started += 1
        return subject.start(self.branch, self.profile, self._started, heap)
