"""Hostile packets: damaged, repeated, cut, oversized, forged and random, in every phase.

Each kind is counted under its own name, nothing crashes, and the tunnel stays up.
"""

import random
import socket
import struct
import threading

import pytest

from host_tests.interop.openvpn_support import TUNNEL, assert_carries, eventually, gateway
from host_tests.lab import UdpRelay
from host_tests.lab.relay import flip_bit

_FLOOD = 10_000
_DATA_V2, _ACK_V1, _CONTROL_V1, _RESET_SERVER = 9, 5, 4, 8


def _connected(pair, *lines, **options):
    """(server, relay, gateway) with the tunnel up, long enough keepalives, and some traffic."""
    server = pair.server(**{"keepalive": (1, 30), "wrap": "tls-crypt", **options})
    relay = UdpRelay(pair.hub, pair.remote(), 2194, target=(pair.remote(), 1194))
    running = gateway(pair, server.profile("lyon", relay.remote, lines=lines))
    running.wait_up()
    assert pair.branch.ping(server.address, 20, interval=0.002).lost == 0
    return server, relay, running


def _data(relay) -> list[bytes]:
    return [packet for packet in relay.captured["down"] if packet[0] >> 3 == _DATA_V2]


def _control(relay) -> list[bytes]:
    return [packet for packet in relay.captured["down"] if packet[0] >> 3 in (4, 5, 8)]


def _counter(running, name: str, at_least: int) -> int:
    """The counter once it has come so far."""
    def probe():
        counters = running.tunnel_status(TUNNEL)["counters"]
        return counters if counters.get(name, 0) >= at_least else None

    return eventually(probe, f"{name} counts {at_least}")[name]


def _unharmed(pair, server, running) -> None:
    assert_carries(pair, server, 20)
    running.stop()
    assert running.log().count(f" {TUNNEL} connect ") == running.log().count(" up ") == 1


@pytest.mark.parametrize("cipher", ["AES-256-GCM", "AES-256-CBC"])
def test_flipped_bits(pair, cipher):
    """Damaged copies come before each packet: they are dropped, and the packet is not."""
    server, relay, running = _connected(pair, data_ciphers=cipher, auth="SHA256")
    damaged = []

    def with_damaged_copies(packet: bytes) -> list[bytes]:
        if packet[0] >> 3 != _DATA_V2:
            return [packet]
        copies = [flip_bit(packet, bit) for bit in range(8 * 8, 8 * len(packet), 41)]
        damaged.extend(copies)
        return [*copies, packet]

    relay.down.choose = with_damaged_copies
    assert pair.branch.ping(server.address, 50, interval=0.005).lost == 0
    relay.down.choose = None
    assert _counter(running, "data_bad_auth", len(damaged)) == len(damaged) >= 1000
    _unharmed(pair, server, running)


@pytest.mark.parametrize("cipher", ["AES-256-GCM", "AES-256-CBC"])
def test_replayed_data(pair, cipher):
    server, relay, running = _connected(pair, data_ciphers=cipher, auth="SHA256")
    old = _data(relay)
    before = running.tunnel_status(TUNNEL)["rx_packets"]
    relay.replay("down", old + old)
    assert _counter(running, "data_replay", 2 * len(old)) == 2 * len(old)
    assert running.tunnel_status(TUNNEL)["rx_packets"] - before < 30
    _unharmed(pair, server, running)


@pytest.mark.parametrize("wrap", ["tls-auth", "tls-crypt"])
def test_replayed_control(pair, wrap):
    server, relay, running = _connected(pair, wrap=wrap)
    old = _control(relay)
    relay.replay("down", old)
    assert _counter(running, "control_replay", len(old)) == len(old)
    _unharmed(pair, server, running)


def test_damaged_control(pair):
    server, relay, running = _connected(pair)
    sample = _control(relay)[0]
    packets = [flip_bit(sample, bit) for bit in range(8 * 9, 8 * len(sample), 5)]
    relay.replay("down", packets)
    assert _counter(running, "control_bad_auth", len(packets)) == len(packets)
    _unharmed(pair, server, running)


@pytest.mark.parametrize("cipher", ["AES-256-GCM", "AES-256-CBC"])
def test_cut_and_stretched_packets(pair, cipher):
    """Of every length from 1 octet up, and longer than any buffer."""
    server, relay, running = _connected(pair, data_ciphers=cipher, auth="SHA256")

    def with_wrong_sizes(packet: bytes) -> list[bytes]:
        copies = [packet[:size] for size in range(1, len(packet), 3)]
        copies += [packet + bytes(extra) for extra in (1, 16, 100, 1400, 1700, 8000, 60000)]
        return [*copies, packet]

    relay.down.choose = with_wrong_sizes
    assert pair.branch.ping(server.address, 20, interval=0.01).lost == 0
    relay.down.choose = None
    relay.replay("down", [packet[:size] for packet in _control(relay)[:3]
                          for size in range(1, len(packet), 7)])
    expected = {"data_too_short", "data_bad_auth", "too_short", "control_bad_auth", "too_long"}
    eventually(lambda: expected <= set(running.tunnel_status(TUNNEL)["counters"]), expected)
    _unharmed(pair, server, running)


@pytest.mark.parametrize("wrap", ["none", "tls-auth", "tls-crypt", "tls-crypt-v2"])
def test_garbage_flood_on_an_established_tunnel(pair, wrap):
    server, relay, running = _connected(pair, wrap=wrap)

    def counted() -> int:
        return sum(running.tunnel_status(TUNNEL)["counters"].values())

    with pair.branch.pinger(server.address, interval=0.005, timeout=1) as pinger:
        for _ in range(_FLOOD // 100):
            relay.garbage("down", 100)
        # The kernel drops what comes faster than it is read: on a busy machine, most of it.
        eventually(lambda: relay.garbage("down", 500) and counted() > _FLOOD // 4,
                   "a quarter as many are counted")
    # Pings are dropped, too; none is made up.
    assert pinger.result.duplicates == 0
    assert running.tunnel_status(TUNNEL)["counters"]["unknown_opcode"] > 0
    _unharmed(pair, server, running)


@pytest.mark.parametrize("wrap", ["none", "tls-auth", "tls-crypt", "tls-crypt-v2"])
def test_garbage_while_connecting(pair, wrap):
    """Ten random packets come with each good one; the handshake ends in the first attempt."""
    server = pair.server(wrap=wrap, keepalive=(1, 30))
    relay = UdpRelay(pair.hub, pair.remote(), 2194, target=(pair.remote(), 1194))
    chance = random.Random(7)

    def with_garbage(packet: bytes) -> list[bytes]:
        noise = [chance.randbytes(chance.randrange(1, 1500)) for _ in range(5)]
        noise += [bytes([opcode << 3]) + chance.randbytes(chance.randrange(0, 200))
                  for opcode in (_ACK_V1, _CONTROL_V1, _RESET_SERVER, 3, _DATA_V2)]
        return [*noise, packet]

    relay.down.choose = with_garbage
    running = gateway(pair, server.profile("lyon", relay.remote))
    running.wait_up(timeout=60)
    assert sum(running.tunnel_status(TUNNEL)["counters"].values()) >= 20
    relay.restore()
    _unharmed(pair, server, running)


@pytest.mark.parametrize("wrap", ["tls-auth", "tls-crypt"])
def test_damage_while_connecting(pair, wrap):
    """A third of what the server sends is damaged or cut: it is dropped, and sent again."""
    server = pair.server(wrap=wrap, keepalive=(1, 60), server_lines=("tls-timeout 1",))
    relay = UdpRelay(pair.hub, pair.remote(), 2194, target=(pair.remote(), 1194), seed=3)
    relay.down.corrupt, relay.down.truncate = 0.2, 0.1
    running = gateway(pair, server.profile("lyon", relay.remote))
    running.wait_up(timeout=60)
    relay.restore()
    counters = running.tunnel_status(TUNNEL)["counters"]
    assert counters.get("control_bad_auth", 0) + counters.get("too_short", 0) >= 1, counters
    _unharmed(pair, server, running)


def test_forged_resets_do_not_disturb_an_unwrapped_tunnel(pair):
    server, relay, running = _connected(pair, wrap="none")
    strangers = [bytes([_RESET_SERVER << 3]) + struct.pack("!QBI", sid, 0, 0)
                 for sid in range(1, 201)]
    relay.replay("down", strangers)
    assert _counter(running, "unexpected_reset", 200) == 200
    ours = relay.captured["down"][0][1:9]
    forged = [bytes([_CONTROL_V1 << 3 | key]) + ours + struct.pack("!BI", 0, 99 + key) + b"x"
              for key in range(1, 8)]
    relay.replay("down", forged)
    assert _counter(running, "unknown_key", 7) == 7
    _unharmed(pair, server, running)


def test_a_spoofed_source_is_not_heard(pair):
    """From another port of the server's own address: the kernel does not even deliver it."""
    server, relay, running = _connected(pair)
    stranger = UdpRelay(pair.hub, pair.remote(), 2999, target=(pair.remote(), 1194))
    packets = _data(relay)
    own_port = next(iter(relay._flows))[1]
    with stranger._listener.dup() as sender:
        for packet in packets:
            sender.sendto(packet, (pair.link.address(pair.branch), own_port))
    assert "data_replay" not in running.tunnel_status(TUNNEL)["counters"]
    _unharmed(pair, server, running)


def test_damage_toward_the_server_costs_only_the_damaged_packets(pair):
    server, relay, running = _connected(pair)
    relay.up.corrupt = 0.2
    result = pair.branch.ping(server.address, 200, interval=0.002, timeout=2)
    damaged = relay.counters["up corrupt"]
    assert damaged > 0 and result.lost <= damaged
    relay.restore()
    _unharmed(pair, server, running)


@pytest.mark.parametrize("stream", [b"\0\0", b"\xff\xff" + bytes(100), b"HTTP/1.1 400 No\r\n\r\n"])
def test_a_tcp_stream_that_is_no_openvpn(pair, stream):
    """The connection is given up and made anew, at the pace of connect-retry."""
    listener = pair.hub.call(socket.create_server, (pair.remote(), 2194))

    def serve() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer:
                peer.sendall(stream)
                peer.recv(1000)

    threading.Thread(target=serve, daemon=True).start()
    server = pair.server(proto="tcp")
    running = gateway(pair, server.profile("lyon", f"{pair.remote()} 2194", pair.remote()))
    running.wait_for(f"{TUNNEL} down transport")
    running.wait_up()
    running.stop()
    listener.close()
