"""Servers that restart, move, die and come back; several remotes; notices and time limits."""

import signal
import time

import pytest

from host_tests.interop.openvpn_support import (
    TUNNEL,
    assert_carries,
    connect,
    eventually,
    gateway,
)
from host_tests.lab import UdpRelay

_LATER = 30.0  # seconds; a loaded machine takes its time
_NO_PROBES = {"probe_ms": 0}  # or they would notice first
_NO_PINGS = {"lyon": ("push-remove ping",)}  # ping and ping-restart: the client's own count


@pytest.mark.parametrize("proto", ["udp", "tcp"])
def test_a_server_that_dies_and_comes_back(pair, proto):
    server = pair.server(proto=proto)
    running = connect(pair, server)
    server.restart()
    running.wait_up(count=2, timeout=_LATER)
    assert_carries(pair, server)
    running.stop()
    assert len(_lines(running, "gateway start")) == 1


@pytest.mark.parametrize("proto", ["udp", "tcp"])
def test_a_server_that_says_goodbye(pair, proto):
    server = pair.server(proto=proto, exit_notify=proto == "udp", keepalive=(10, 120))
    running = connect(pair, server)
    server.stop()
    running.wait_for(f"{TUNNEL} down " + ("server-restart" if proto == "udp" else "transport"))
    server.start()
    running.wait_up(count=2, timeout=_LATER)
    assert_carries(pair, server)
    running.stop()


def test_the_servers_wish_for_another_remote(pair):
    """explicit-exit-notify 2 on the server: RESTART,[N], so the next remote is tried."""
    first = pair.server(server_lines=("explicit-exit-notify 2",))
    second = pair.server(name="second", port=1195, network="10.9.0.0/24")
    profile = first.profile("lyon", pair.remote(), f"{pair.remote()} 1195")
    running = gateway(pair, profile)
    running.wait_up()
    first.stop()
    running.wait_up(count=2, timeout=_LATER)
    assert pair.branch.ping(second.address, 3).lost == 0
    running.stop()


def test_the_server_hears_of_the_clients_exit(pair):
    server = pair.server(keepalive=(10, 120))
    running = connect(pair, server, "explicit-exit-notify 2")
    assert len(server.clients()) == 1
    running.stop()
    eventually(lambda: not server.clients(), "the server has forgotten the client", 10)


def test_a_tcp_server_hears_of_the_clients_exit(pair):
    server = pair.server(proto="tcp", keepalive=(10, 120))
    running = connect(pair, server)
    running.stop()
    eventually(lambda: not server.clients(), "the server has forgotten the client", 10)


def test_a_server_that_changes_its_address_behind_one_name(pair):
    pair.hub.ip("address", "add", "192.0.2.77/24", "dev", pair.link.device(pair.hub))
    pair.branch.name_address("hub.example", pair.remote())
    server = pair.server(server_lines=(f"local {pair.remote()}",))
    running = gateway(pair, server.profile("lyon", "hub.example"))
    running.wait_up()
    server.kill()
    server.options.server_lines = ("local 192.0.2.77",)
    pair.branch.name_address("hub.example", "192.0.2.77")
    server.start()
    running.wait_up(count=2, timeout=_LATER)
    assert "192.0.2.77" in running.tunnel_status(TUNNEL)["remote"]
    assert_carries(pair, server)
    running.stop()


def test_a_name_that_resolves_only_later(pair):
    pair.branch.name_address("other.example", "192.0.2.9")
    server = pair.server()
    running = gateway(pair, server.profile("lyon", "hub.example"))
    running.wait_for(f"{TUNNEL} down resolve: hub.example")
    pair.branch.name_address("hub.example", pair.remote())
    running.wait_up(timeout=_LATER)
    running.stop()


def test_the_first_remote_does_not_answer(pair):
    server = pair.server()
    profile = server.profile("lyon", "192.0.2.66", pair.remote(),
                             lines=("server-poll-timeout 1",))
    running = gateway(pair, profile)
    running.wait_up(timeout=_LATER)
    assert pair.remote() in running.tunnel_status(TUNNEL)["remote"]
    running.stop()


def test_the_first_remote_refuses_tcp(pair):
    server = pair.server(proto="tcp")
    running = gateway(pair, server.profile("lyon", f"{pair.remote()} 4", pair.remote()))
    running.wait_for(f"{TUNNEL} down connect: .*refused")
    running.wait_up(timeout=_LATER)
    running.stop()


def test_a_tcp_remote_that_takes_no_connection_in_time(pair):
    server = pair.server(proto="tcp")
    profile = server.profile("lyon", "192.0.2.66", pair.remote(),
                             lines=("server-poll-timeout 1",))
    pair.branch.ip("neighbour", "add", "192.0.2.66", "lladdr", "02:00:00:00:00:66", "dev",
                   pair.link.device(pair.branch))
    running = gateway(pair, profile)
    running.wait_for(f"{TUNNEL} down timeout: the server takes no TCP connection")
    running.wait_up(timeout=_LATER)
    running.stop()


def test_from_udp_to_tcp(pair):
    """Connection blocks with a protocol of their own: the one that gets through is used."""
    server = pair.server(proto="tcp")
    text = server.profile("lyon").replace(
        "remote-cert-tls",
        "\n".join([f"<connection>\nremote {pair.remote()} 1194 {proto}\n</connection>"
                   for proto in ("udp", "tcp-client")]) + "\nremote-cert-tls", 1)
    running = gateway(pair, text.replace("proto tcp\n", "server-poll-timeout 1\n"))
    running.wait_up(timeout=_LATER)
    assert "tcp" in running.tunnel_status(TUNNEL)["remote"]
    running.stop()


def test_remote_random_tries_all(pair):
    server = pair.server()
    dead = [f"192.0.2.{last}" for last in (61, 62, 63)]
    profile = server.profile("lyon", *dead, pair.remote(),
                             lines=("remote-random", "server-poll-timeout 1"))
    running = gateway(pair, profile)
    running.wait_up(timeout=60)
    running.stop()


def test_connect_retry_max_ends_the_tunnel(pair):
    profile = pair.server(wrap="tls-crypt").profile(
        "lyon", "192.0.2.66",
        lines=("connect-retry-max 2", "server-poll-timeout 1", "connect-retry 1 1"))
    running = gateway(pair, profile)
    running.wait_for(f"{TUNNEL} finished connect-retry-max")
    assert running.process.wait() == 1
    assert len(_lines(running, f"{TUNNEL} connect")) == 2


def test_connect_retry_waits_longer_and_longer(pair):
    running = gateway(pair, pair.server(proto="tcp").profile(
        "lyon", f"{pair.remote()} 4", lines=("connect-retry 1 2",)))
    running.wait_for(r"next attempt in (0.[789]|1)")
    running.wait_for(r"next attempt in (1.[56789]|2)", timeout=_LATER)
    running.stop()


def test_ping_restart_of_the_clients_own(pair):
    server = pair.server(ccd=_NO_PINGS)
    relay = UdpRelay(pair.hub, pair.remote(), 2194, target=(pair.remote(), 1194))
    running = gateway(pair, server.profile("lyon", relay.remote,
                                           lines=("ping 1", "ping-restart 2")),
                      watchdog=_NO_PROBES)
    running.wait_up()
    time.sleep(2.5)  # pings keep the tunnel up all that time
    assert running.tunnel_status(TUNNEL)["state"] == "up"
    relay.down.cut = True
    running.wait_for(f"{TUNNEL} down ping-restart")
    relay.restore()
    running.wait_up(count=2, timeout=_LATER)
    running.stop()


@pytest.mark.parametrize("reason, lines", [
    ("ping-exit", ("ping-exit 2",)), ("inactive", ("inactive 2",)),
])
def test_limits_that_end_the_tunnel(pair, reason, lines):
    server = pair.server(ccd=_NO_PINGS)
    devices = pair.branch.devices()
    running = connect(pair, server, *lines, watchdog=_NO_PROBES)
    if reason == "ping-exit":
        server.kill()
    running.wait_for(f"{TUNNEL} finished {reason}")
    assert running.process.wait() == 1
    assert pair.branch.devices() == devices


def test_traffic_keeps_inactive_away(pair):
    server = pair.server()
    running = connect(pair, server, "inactive 2 100")
    with pair.branch.pinger(server.address, interval=0.2) as pinger:
        time.sleep(2.5)
    assert pinger.result.lost == 0
    running.wait_for(f"{TUNNEL} finished inactive")
    assert running.process.wait() == 1


def test_a_server_that_halts_the_client(pair):
    server = pair.server()
    running = connect(pair, server)
    server.manage("client-kill 0 HALT")
    running.wait_for(f"{TUNNEL} finished halt")
    assert running.process.wait() == 1


def test_a_server_that_restarts_one_client(pair):
    server = pair.server()
    running = connect(pair, server)
    server.manage("client-kill 0")
    running.wait_up(count=2, timeout=_LATER)
    running.stop()


def test_a_stopped_server_process_costs_one_restart(pair):
    """SIGSTOP: the machine hangs. After SIGCONT the client is there again."""
    server = pair.server(keepalive=(1, 3))
    running = connect(pair, server, watchdog=_NO_PROBES)
    server.process.signal(signal.SIGSTOP)
    running.wait_for(f"{TUNNEL} down ping-restart")
    server.process.signal(signal.SIGCONT)
    running.wait_up(count=2, timeout=_LATER)
    assert_carries(pair, server)
    running.stop()


def _lines(running, text: str) -> list[str]:
    return [line for line in running.log().splitlines() if text in line]
