"""The stock competitor: a branch with one openvpn client for each hub, and babeld over them."""

import time
from collections.abc import Iterable

from host_tests.lab.babeld import Babeld
from host_tests.lab.errors import LabError
from host_tests.lab.netns import Host
from host_tests.lab.openvpn import Client
from host_tests.lab.topology import Network

_TIMEOUT = 20.0


def branch_babel(host: Host, devices: Iterable[str], static: str, lans: Iterable[str],
                 **options) -> Babeld:
    """babeld over a branch's tunnels that relays nothing, not started; options: of Babeld."""
    own = f"{static}/32"
    lans = tuple(lans)
    babel = Babeld(host, dict.fromkeys(devices, "tunnel"), announce=lans, **options)
    babel.lines = (
        f"redistribute local ip {own} eq 32 allow",
        *(f"out ip {prefix} allow" for prefix in (*lans, own)), "out deny",
    )
    return babel


class StockBranch:
    """What our gateway is compared with, on the same host, with the same profiles and hubs.

        branch = StockBranch(network, "lyon").start()
        branch.wait_up()

    babeld is set up as our gateway is: Hellos as often, all links of one cost, delay counted, the
    branch's own prefixes announced and nothing else.
    """

    def __init__(self, network: Network, name: str):
        branch = network.branches[name]
        self.host = branch.gateway
        self.name = name
        self.clients = {
            hub: Client(self.host, profile, name=f"{name}-{hub}", device=f"tun-{hub}")
            for hub, profile in network.profiles(name).items()
        }
        self._static = f"{branch.static}/32"
        self.babel = branch_babel(
            self.host, [f"tun-{hub}" for hub in self.clients], branch.static,
            (branch.lan, branch.lan6), number=branch.number,
            keys=(network.key,) if network.key else (), hello_ms=network.hello_ms,
        )

    def start(self) -> "StockBranch":
        """Start all; no tunnel is up yet."""
        self.host.ip("address", "replace", self._static, "dev", "lo")
        for client in self.clients.values():
            client.start()
        self.babel.reborn()
        return self

    def wait_up(self, timeout: float = _TIMEOUT) -> float:
        """Wait until all tunnels are up; return the seconds since the start."""
        deadline = time.monotonic() + timeout
        return max(client.wait_up(max(0.0, deadline - time.monotonic()))
                   for client in self.clients.values())

    def stop(self) -> None:
        """SIGTERM for all of them."""
        for client in self.clients.values():
            if code := client.stop():
                raise LabError(f"{client.process.name} ended with {code}:\n"
                               f"{client.process.tail()}")
        self.babel.stop()
        self.host.ip("address", "delete", self._static, "dev", "lo")

    def log(self) -> str:
        """What the clients have logged."""
        return "".join(client.process.log() for client in self.clients.values())
