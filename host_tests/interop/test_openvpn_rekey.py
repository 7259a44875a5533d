"""Renegotiation from either side, under traffic, without losing a packet."""

import random

import pytest

from host_tests.interop.openvpn_support import TUNNEL, connect, eventually, gateway
from host_tests.lab import UdpRelay

_INTERVAL = 0.002
_QUEUE = "5000"  # packets that wait for a program that gets no turn on a busy machine


def _assert_nothing_lost(pair, server, wait, interval=_INTERVAL, least=500) -> None:
    """Pings go both ways while `wait` waits; all come back, once each."""
    client = server.clients()[0]["Virtual Address"]
    for host, device in ((pair.hub, server.name), (pair.branch, "tun0")):
        host.ip("link", "set", device, "txqueuelen", _QUEUE)
    with (pair.branch.pinger(server.address, interval=interval) as up,
          pair.hub.pinger(client, interval=interval) as down):
        wait()
    for result in (up.result, down.result):
        assert (result.lost, result.duplicates) == (0, 0) and result.sent > least


@pytest.mark.parametrize("proto", ["udp", "tcp"])
@pytest.mark.parametrize("tls", ["1.2", "1.3"])
def test_rekeys_of_the_client(pair, proto, tls):
    server = pair.server(proto=proto, tls_min=tls, tls_max=tls, wrap="tls-crypt", reneg_sec=0)
    running = connect(pair, server, "reneg-sec 1")
    _assert_nothing_lost(pair, server, lambda: running.wait_event(TUNNEL, "rekeyed", count=3))
    assert running.tunnel_status(TUNNEL)["counters"] == {}
    running.stop()


@pytest.mark.parametrize("cipher", ["AES-256-GCM", "AES-256-CBC"])
def test_rekeys_of_the_server(pair, cipher):
    server = pair.server(reneg_sec=1, data_ciphers=cipher, auth="SHA256",
                         server_lines=("tran-window 60",))
    running = connect(pair, server, "reneg-sec 0")
    _assert_nothing_lost(pair, server, lambda: running.wait_event(TUNNEL, "rekeyed", count=3))
    assert running.tunnel_status(TUNNEL)["counters"] == {}
    running.stop()


def test_rekeys_of_both_at_once(pair):
    server = pair.server(reneg_sec=1)
    running = connect(pair, server, "reneg-sec 1")
    _assert_nothing_lost(pair, server, lambda: running.wait_event(TUNNEL, "rekeyed", count=4))
    running.stop()


def test_key_ids_wrap_around_past_seven(pair):
    server = pair.server(reneg_sec=0)
    running = connect(pair, server, "reneg-pkts 400", "reneg-sec 0")
    _assert_nothing_lost(pair, server, lambda: running.wait_event(TUNNEL, "rekeyed", count=9))
    ids = [line.rpartition("key_id=")[2] for line in running.log().splitlines()
           if " rekeyed " in line]
    assert ids[:9] == ["1", "2", "3", "4", "5", "6", "7", "1", "2"]
    running.stop()


def test_rekey_after_octets(pair):
    server = pair.server(reneg_sec=0, reneg_bytes=100_000)
    running = connect(pair, server, "reneg-sec 0")
    _assert_nothing_lost(pair, server, lambda: running.wait_event(TUNNEL, "rekeyed"),
                         least=50)
    running.stop()


def test_rekeys_over_a_lossy_path_lose_only_what_the_path_loses(pair):
    server = pair.server(reneg_sec=0, keepalive=(1, 30), server_lines=("tls-timeout 1",))
    relay = UdpRelay(pair.hub, pair.remote(), 2194, target=(pair.remote(), 1194))
    running = gateway(pair, server.profile("lyon", relay.remote, lines=("reneg-sec 4",)))
    running.wait_up()
    relay.up.choose = relay.down.choose = _lose_control(seed=5)
    with pair.branch.pinger(server.address, interval=0.005) as pinger:
        running.wait_event(TUNNEL, "rekeyed", count=2, timeout=60)
    assert pinger.result.lost == 0
    running.stop()


def _lose_control(seed: int):
    """Loses a quarter of the control packets and no data packet."""
    chance = random.Random(seed)

    def choose(packet: bytes) -> list[bytes]:
        control = packet[0] >> 3 not in (6, 9)
        return [] if control and chance.random() < 0.25 else [packet]

    return choose


def test_a_rekey_that_fails_is_tried_again_and_traffic_goes_on(pair):
    server = pair.server(reneg_sec=0)
    relay = UdpRelay(pair.hub, pair.remote(), 2194, target=(pair.remote(), 1194))
    lines = ("reneg-sec 2", "hand-window 2")
    running = gateway(pair, server.profile("lyon", relay.remote, lines=lines))
    running.wait_up()
    relay.up.choose = lambda packet: [packet] if packet[0] >> 3 in (6, 9) else []
    with pair.branch.pinger(server.address, interval=0.005) as pinger:
        running.wait_for(f"{TUNNEL} .*renegotiation failed: no answer within hand-window")
        relay.up.choose = None
        running.wait_event(TUNNEL, "rekeyed", timeout=40)
    assert pinger.result.lost == 0
    eventually(lambda: running.tunnel_status(TUNNEL)["counters"].get("rekey_failed"), "counted")
    running.stop()


def test_the_server_restarts_its_sessions(pair):
    """SIGUSR1: the server forgets its clients; with explicit-exit-notify it tells them."""
    server = pair.server(exit_notify=True)
    running = connect(pair, server)
    server.renegotiate()
    running.wait_up(count=2)
    assert pair.branch.ping(server.address, 3).lost == 0
    running.stop()
