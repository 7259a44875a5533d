"""Paths that lose, reorder, duplicate, move and shrink packets."""

import pytest

from host_tests.interop.openvpn_support import (
    TUNNEL,
    assert_carries,
    assert_echoes,
    client_address,
    connect,
    eventually,
    gateway,
)
from host_tests.lab import TcpRelay, UdpRelay


def _relay(pair, kind=UdpRelay, **options):
    return kind(pair.hub, pair.remote(), 2194, target=(pair.remote(), 1194), **options)


@pytest.mark.parametrize("seed", range(1, 5))
@pytest.mark.parametrize("wrap", ["none", "tls-crypt-v2"])
def test_connects_through_a_quarter_of_loss_each_way(pair, wrap, seed):
    cookie = "force-cookie" if wrap == "tls-crypt-v2" else None
    server = pair.server(wrap=wrap, cookie=cookie, keepalive=(1, 60),
                         server_lines=("tls-timeout 1",))
    relay = _relay(pair, seed=seed)
    relay.up.loss = relay.down.loss = 0.25
    running = gateway(pair, server.profile("lyon", relay.remote))
    running.wait_up(timeout=60)
    assert running.log().count(f"{TUNNEL} connect ") == 1  # in the first attempt
    relay.restore()
    assert_carries(pair, server)
    running.stop()


def test_connects_through_reordering_duplicates_and_delay(pair):
    server = pair.server(wrap="tls-crypt", key="RSA-2048")
    relay = _relay(pair)
    for faults in (relay.up, relay.down):
        faults.reorder = faults.duplicate = 0.3
        faults.delay_ms, faults.jitter_ms = 5, 20
    running = gateway(pair, server.profile("lyon", relay.remote))
    running.wait_up(timeout=60)
    # The last packet waits for a next one to overtake it: a keepalive, seconds later.
    result = pair.branch.ping(server.address, 100, interval=0.01, timeout=8)
    assert (result.lost, result.duplicates) == (0, 0)
    assert running.tunnel_status(TUNNEL)["counters"]["data_replay"] > 0
    running.stop()


@pytest.mark.parametrize("segment", [1, 7, 1400])
def test_tcp_in_pieces(pair, segment):
    server = pair.server(proto="tcp", wrap="tls-auth")
    relay = _relay(pair, TcpRelay, segment=segment)
    running = gateway(pair, server.profile("lyon", relay.remote))
    running.wait_up()
    assert_carries(pair, server)
    assert_echoes(pair, server, [1, 500, 1472])
    running.stop()


def test_a_reset_tcp_connection_is_made_anew(pair):
    server = pair.server(proto="tcp")
    relay = _relay(pair, TcpRelay)
    running = gateway(pair, server.profile("lyon", relay.remote))
    running.wait_up()
    relay.reset()
    running.wait_up(count=2)
    assert_carries(pair, server)
    running.stop()


def test_a_stalled_tcp_connection_recovers_without_a_restart(pair):
    server = pair.server(proto="tcp", keepalive=(1, 30))
    relay = _relay(pair, TcpRelay)
    running = gateway(pair, server.profile("lyon", relay.remote))
    running.wait_up()
    relay.up.delay_ms = relay.down.delay_ms = 100
    assert pair.branch.ping(server.address, 50, interval=0.005).lost == 0
    relay.restore()
    running.stop()
    assert running.log().count(" up ") == 1


def test_a_nat_that_forgets_the_flow(pair):
    """The client comes from another port: the server knows it by its peer-id."""
    server = pair.server()
    relay = _relay(pair)
    running = gateway(pair, server.profile("lyon", relay.remote))
    running.wait_up()
    assert pair.branch.ping(server.address, 3).lost == 0
    before = server.clients()[0]["Real Address"]
    relay.rebind()
    assert pair.branch.ping(server.address, 20).lost == 0
    assert server.clients()[0]["Real Address"] != before
    assert running.log().count(f"{TUNNEL} up ") == 1
    running.stop()


def _fetched(pair, host, address: str) -> bool:
    """A page of 200 KB over HTTP comes in one piece."""
    page = bytes(range(256)) * 800
    (pair.hub.directory / "www").mkdir()
    (pair.hub.directory / "www" / "page").write_bytes(page)
    web = pair.hub.spawn("python3", "-m", "http.server", "--bind", address, "--directory",
                         str(pair.hub.directory / "www"), "8000", name="web",
                         env={"PYTHONUNBUFFERED": "1"})
    web.wait_for("Serving HTTP")
    return host.fetch(f"http://{address}:8000/page", timeout=10) == page


@pytest.mark.parametrize("cipher, proto", [
    ("AES-256-GCM", "udp"), ("AES-256-CBC", "udp"), ("AES-256-GCM", "udp6")])
def test_mssfix_keeps_tcp_within_a_narrow_path(pair, cipher, proto):
    """Datagrams over 1400 octets are lost, as by a router that sends no ICMP."""
    server = pair.server(proto=proto, data_ciphers=cipher, auth="SHA256",
                         server_lines=("mssfix 0",))
    remote = pair.remote(6 if proto.endswith("6") else 4)
    relay = UdpRelay(pair.hub, remote, 2194, target=(remote, 1194))
    headers = 48 if proto.endswith("6") else 28
    narrow = lambda packet: [packet] if len(packet) + headers <= 1400 else []  # noqa: E731
    relay.up.choose = relay.down.choose = narrow
    profile = server.profile("lyon", relay.remote, lines=("mssfix 1400 mtu",))
    running = gateway(pair, profile)
    running.wait_up()
    assert _fetched(pair, pair.branch, server.address)
    largest = max(len(packet) for packet in relay.captured["down"])
    assert 1300 < largest + headers <= 1400
    running.stop()


def test_large_pings_are_fragmented(pair):
    server = pair.server()
    running = connect(pair, server)
    assert pair.branch.ping(server.address, 3, size=8000).lost == 0
    assert pair.hub.ping(client_address(server), 3, size=8000).lost == 0
    running.stop()


def test_a_link_of_1400_octets(pair):
    for host in (pair.hub, pair.branch):
        host.ip("link", "set", "dev", pair.link.device(host), "mtu", "1400")
    server = pair.server()
    running = connect(pair, server)
    assert_echoes(pair, server, [1, 1300, 1400, 1472])
    assert _fetched(pair, pair.branch, server.address)
    running.stop()


def test_a_cut_path_is_noticed_and_the_tunnel_comes_back(pair):
    server = pair.server(keepalive=(1, 3))
    running = connect(pair, server)
    pair.link.cut()
    running.wait_for(f"{TUNNEL} down ping-restart")
    pair.link.restore()
    running.wait_up(count=2)
    assert_carries(pair, server)
    eventually(lambda: len(server.clients()) == 1, "the server has one client")
    running.stop()
