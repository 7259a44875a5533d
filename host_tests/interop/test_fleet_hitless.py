"""Keys and hubs are changed while two branches talk: not one ping of theirs is lost."""

import contextlib

import pytest

from host_tests.interop.fleet_support import FleetNetwork
from host_tests.interop.openvpn_support import eventually
from host_tests.lab.ping import Pinger

pytestmark = pytest.mark.calm
DESK = "192.168.12.2"
UDP, TCP = "openvpn-server@branchline-udp1194.service", "openvpn-server@branchline-tcp443.service"
MESH = "openvpn-server@branchline-mesh-{}.service"
BABEL = "branchline-babel.service"
_INTERVAL = 0.02


class Operator:
    """What an operator does, one after the other, and the pings between the branches."""

    def __init__(self, network: FleetNetwork):
        self.network = network
        self.hubs = network.hubs
        self.gateways = {name: network.gateway(name) for name in ("lyon", "nice")}
        self.gateways["nice"].engines = {"dublin": "openvpn"}
        for gateway in self.gateways.values():
            # On a machine that is busy a link may seem lost, whereupon pings are.
            gateway.further = {"watchdog": {"probe_ms": 2000}}
            gateway.start()
        self._wait()

    @contextlib.contextmanager
    def no_ping_lost(self):
        """Around everything that is done at once."""
        with Pinger(self.network.desks["lyon"], DESK, interval=_INTERVAL) as pinger:
            yield
            self._wait()
        assert pinger.result.lost == 0, f"{pinger.result.lost} of {pinger.result.sent} were lost"

    def _wait(self) -> None:
        """Both hubs can carry the pings, as whoever takes care waits for before the next step."""
        gateways, hubs = self.gateways.values(), self.hubs.values()
        eventually(lambda: all(self._ways(each) >= {"bl-paris", "bl-dublin"} for each in gateways),
                   "both branches hear both hubs", 60)
        eventually(lambda: all(len(self._branches(each)) == 2 for each in hubs),
                   "both hubs reach both branches", 60)
        lyon = self.network.desks["lyon"]
        eventually(lambda: lyon.ping(DESK, timeout=0.5).received, "lyon reaches nice", 60)

    @staticmethod
    def _ways(gateway) -> set[str]:
        """The devices by which a gateway has a neighbour."""
        routing = gateway.fresh_status()["routing"]
        return {each["device"] for each in routing["neighbours"]
                if each["cost"] + each["penalty"] < 0x4000}

    @staticmethod
    def _branches(hub) -> list[str]:
        """The LANs to which a hub knows a way of its own."""
        routes = hub.host.ip("route").splitlines()
        return [each for each in routes if each.startswith("192.168.") and "bl-mesh" not in each]

    def upgrade(self, hub: str) -> list[str]:
        return self.hubs[hub].upgrade()

    def reload(self, *names: str) -> list[str]:
        return [self.gateways[name].reload() for name in names or self.gateways]

    def wait_up(self, count: int, *tunnels: str) -> None:
        for gateway in self.gateways.values():
            gateway.wait_up(*tunnels, count=count, timeout=60)


@pytest.fixture
def operator(lab):
    network = FleetNetwork(lab, {"paris": "babeld", "dublin": "bird"})
    path = network.folder / "fleet.toml"
    path.write_text(path.read_text().replace("hello_ms = 200", "hello_ms = 500"))
    network.branchctl("provision")
    return Operator(network.start())


def test_certificates_are_renewed_without_a_lost_ping(operator):
    """Of the branches, whose tunnels start anew one after the other, and of the hubs."""
    branchctl, hubs = operator.network.branchctl, tuple(operator.hubs)
    branchctl("renew", "lyon", "nice")
    with operator.no_ping_lost():
        assert operator.reload() == 2 * ["tunnels to start anew: paris, dublin"]
        operator.wait_up(2)
    branchctl("renew", *hubs)
    for hub, other in zip(hubs, reversed(hubs)):
        with operator.no_ping_lost():
            assert operator.upgrade(hub) == [
                f"restart {unit}" for unit in (UDP, TCP, MESH.format(other))]


def test_tls_crypt_keys_are_rotated_without_a_lost_ping(operator):
    """The branches' keys, then what one hub has wrapped all of them with."""
    branchctl = operator.network.branchctl
    branchctl("rotate", "tls-crypt")
    with operator.no_ping_lost():
        assert operator.reload() == 2 * ["tunnels to start anew: paris, dublin"]
        operator.wait_up(2)
    branchctl("rotate", "tls-crypt", "--server", "paris")
    with operator.no_ping_lost():
        assert operator.reload() == 2 * ["tunnels to start anew: paris"]
        assert operator.upgrade("paris") == [f"restart {UDP}", f"restart {TCP}"]
        operator.wait_up(3, "paris")


def test_babel_takes_keys_and_branches_without_a_lost_ping(operator):
    """A key in its three steps; then another branch, which Babel's filters know; then nothing, as
    there are mistakes."""
    branchctl, hubs = operator.network.branchctl, tuple(operator.hubs)
    for step in (("dublin",), ("paris",), ("dublin",)):
        branchctl("rotate", "babel", "--yes")
        with operator.no_ping_lost():
            assert set(operator.reload()) == {"no profile has changed"}
            for hub in hubs:
                assert operator.upgrade(hub) == [f"reload {BABEL}"] * (hub in step)
    path = operator.network.folder / "fleet.toml"
    path.write_text(path.read_text().replace(
        "[branches]", '[branches]\nmetz = { lans = ["192.168.13.0/24"] }'))
    branchctl("provision")
    with operator.no_ping_lost():
        operator.reload()
        assert f"restart {BABEL}" in operator.upgrade("paris")
        assert f"reload {BABEL}" in operator.upgrade("dublin")
    lyon = operator.gateways["lyon"]
    with operator.no_ping_lost():
        (lyon.folder / "paris.ovpn").write_text("remote\n")
        assert lyon.hang_up().startswith("refused, all stays as it was: paris.ovpn:1")
        (lyon.folder / "gateway.json").write_text("{")
        assert lyon.hang_up().startswith("refused, all stays as it was: gateway.json:1")
