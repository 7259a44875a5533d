"""What the fault lab rests on: losses for some packets only, clocks, gaps and routes as seen."""

import socket
import time

import pytest

from host_tests.interop.openvpn_support import eventually
from host_tests.lab import UdpRelay
from host_tests.lab.fake_clock import FakeClock
from host_tests.lab.gap import Traffic
from host_tests.lab.route_log import NONE, RouteLog

_OTHER = "192.0.2.77"
_PORT = 5353
_CUT = 0.6


def _udp_echoes(pair, address: str) -> bool:
    """Whether a datagram from the branch gets to the hub."""
    with pair.hub.call(socket.socket, socket.AF_INET, socket.SOCK_DGRAM) as hub, \
            pair.branch.call(socket.socket, socket.AF_INET, socket.SOCK_DGRAM) as branch:
        hub.bind((address, _PORT))
        hub.settimeout(0.5)
        branch.sendto(b"x", (address, _PORT))
        try:
            return hub.recv(10) == b"x"
        except TimeoutError:
            return False


def test_one_peer_can_be_lost_while_another_is_reached(pair):
    pair.hub.ip("address", "add", f"{_OTHER}/24", "dev", pair.link.device(pair.hub))
    pair.link.loss(100, peer=_OTHER)
    assert pair.branch.ping(_OTHER, timeout=0.3).received == 0
    assert pair.branch.ping(pair.remote()).received == 1
    pair.link.restore()
    assert pair.branch.ping(_OTHER).received == 1


def test_udp_alone_can_be_lost(pair):
    pair.link.loss(100, peer=pair.remote(), udp=True)
    assert pair.branch.ping(pair.remote()).received == 1
    assert not _udp_echoes(pair, pair.remote())
    pair.link.restore()
    assert _udp_echoes(pair, pair.remote())


@pytest.mark.parametrize("toward, arrives", [("hub", False), ("branch", True)])
def test_one_way_alone_can_be_lost(pair, toward, arrives):
    pair.link.loss(100, getattr(pair, toward), peer=pair.remote())
    assert pair.branch.ping(pair.remote(), timeout=0.3).received == 0
    assert _udp_echoes(pair, pair.remote()) == arrives


def test_a_share_is_lost_of_one_peer(pair):
    pair.link.loss(30, toward=pair.hub, peer=pair.remote())
    result = pair.branch.ping(pair.remote(), 400, interval=0.002, timeout=0.3)
    assert 0.55 < result.received / result.sent < 0.85


def test_a_relay_tells_of_a_closed_port(pair):
    relay = UdpRelay(pair.hub, pair.remote(), _PORT, (pair.remote(), _PORT + 1))
    relay.reports_refusals = True
    with pair.branch.call(socket.socket, socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect((pair.remote(), _PORT))
        client.settimeout(5.0)
        client.send(b"x")
        with pytest.raises(ConnectionRefusedError):
            client.recv(10)


def test_a_nat_forgets_one_client(pair):
    relay = UdpRelay(pair.hub, pair.remote(), _PORT, (pair.remote(), _PORT + 1))
    with pair.hub.call(socket.socket, socket.AF_INET, socket.SOCK_DGRAM) as server, \
            pair.branch.call(socket.socket, socket.AF_INET, socket.SOCK_DGRAM) as client:
        server.bind((pair.remote(), _PORT + 1))
        server.settimeout(5.0)
        ports = []
        for forget in (pair.remote(), pair.link.address(pair.branch), None):
            client.sendto(b"x", (pair.remote(), _PORT))
            ports.append(server.recvfrom(10)[1][1])
            if forget:
                relay.rebind(forget)
    assert ports[0] == ports[1] != ports[2]


def test_a_clock_steps_while_a_program_runs(pair):
    clock = FakeClock(pair.hub)
    started = pair.hub.spawn("sh", "-c", "while :; do date +%s; sleep 0.1; done",
                             env=clock.environment)
    started.wait_for(r"\d+\n")
    clock.step(86400)
    eventually(lambda: int(started.log().split()[-1]) - time.time() > 86000, "a day ahead")
    clock.step(-86400)
    eventually(lambda: int(started.log().split()[-1]) - time.time() < -86000, "a day behind")


def test_a_gap_is_measured_and_the_connection_lives_on(pair):
    with Traffic(pair.branch, pair.hub, pair.remote()) as traffic:
        assert traffic.wait_steady(0.5, 10.0)
        began = time.monotonic()
        pair.link.cut()
        time.sleep(_CUT)
        pair.link.restore()
        assert traffic.wait_steady(0.5, 20.0)
        gap = traffic.between(began, time.monotonic() - 0.2)
        calm = traffic.between(began - 0.3, began)
    assert gap.gap_ms > _CUT * 900 and gap.stall_ms > _CUT * 900
    assert 20 < gap.lost < gap.sent
    assert calm.gap_ms < gap.gap_ms and calm.lost == 0
    assert traffic.download.error == "" and traffic.download.octets > 0


def test_moves_of_a_route_are_counted(pair):
    prefix, device = "10.66.0.0/16", pair.link.device(pair.branch)
    log = RouteLog(pair.branch)
    pair.branch.ip("route", "add", prefix, "via", pair.remote())
    pair.branch.ip("route", "replace", prefix, "via", _OTHER)  # the same way out
    pair.branch.ip("route", "replace", "unreachable", prefix)
    pair.branch.ip("route", "replace", prefix, "dev", "lo")
    eventually(lambda: log.ways(prefix) == [NONE, device, NONE, "lo"], "the ways are noted")
    assert log.moves(prefix) == 3
    log.close()
