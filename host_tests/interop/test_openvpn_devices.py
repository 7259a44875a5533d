"""TUN and TAP, the topologies, and IPv6 inside and outside of the tunnel."""

import json
import socket
import struct

import pytest

from host_tests.interop.openvpn_support import (
    TUNNEL,
    assert_carries,
    assert_echoes,
    client_address,
    connect,
    echo_service,
    echoed,
    gateway,
)

_ETH_P_ALL = 3
_VLAN = 0x8100
_TEST_ETHERTYPE = 0x88B5  # IEEE 802: for local experiments


def _addresses(pair, device: str) -> set[str]:
    shown = json.loads(pair.branch.ip("-json", "address", "show", "dev", device))[0]
    return {f"{entry['local']}/{entry['prefixlen']}" for entry in shown["addr_info"]
            if entry["scope"] == "global"}


@pytest.mark.parametrize("proto", ["udp", "tcp", "udp6", "tcp6"])
def test_ipv6_inside_and_outside(pair, proto):
    server = pair.server(proto=proto, network6="fd00:8::/64")
    running = connect(pair, server)
    status = running.tunnel_status(TUNNEL)
    assert pair.remote(6 if proto.endswith("6") else 4) in status["remote"]
    own6 = client_address(server, "Virtual IPv6 Address")
    assert _addresses(pair, status["device"]) == {
        f"{client_address(server)}/24", f"{own6}/64"}
    assert_carries(pair, server)
    assert pair.branch.ping(server.address6, 3).lost == 0
    assert pair.hub.ping(own6, 3).lost == 0
    with echo_service(pair.hub, server.address6):
        sizes = [1, 2, 100, 1451, 1452]
        assert echoed(pair.branch, server.address6, sizes) == sizes
    running.stop()


@pytest.mark.parametrize("version", [4, 6])
def test_a_name_of_either_family(pair, version):
    pair.branch.name_address("hub.example", pair.remote(version))
    server = pair.server(proto="udp6" if version == 6 else "udp")
    running = gateway(pair, server.profile("lyon", "hub.example").replace("udp6", "udp"))
    running.wait_up()
    assert pair.remote(version) in running.tunnel_status(TUNNEL)["remote"]
    running.stop()


@pytest.mark.parametrize("topology, plen", [("net30", 32), ("p2p", 32), ("subnet", 24)])
def test_topologies(pair, topology, plen):
    server = pair.server(topology=topology)
    running = connect(pair, server)
    own = f"{client_address(server)}/{plen}"
    assert _addresses(pair, running.tunnel_status(TUNNEL)["device"]) == {own}
    assert_carries(pair, server)
    running.stop()


@pytest.mark.parametrize("proto", ["udp", "tcp"])
@pytest.mark.parametrize("cipher", ["AES-256-GCM", "AES-256-CBC"])
def test_tap_carries_arp_and_neighbour_discovery(pair, proto, cipher):
    server = pair.server(dev="tap", proto=proto, data_ciphers=cipher, network6="fd00:8::/64")
    running = connect(pair, server)
    device = running.tunnel_status(TUNNEL)["device"]
    assert device.startswith("tap")
    assert pair.branch.ping(server.address, 3).lost == 0
    assert pair.branch.ping(server.address6, 3).lost == 0
    assert_echoes(pair, server, [1, 64, 1000, 1471, 1472])
    for address in (server.address, server.address6):
        assert "lladdr" in pair.branch.ip("neighbour", "show", address, "dev", device)
    running.stop()


def test_tap_carries_vlan_tags_and_unknown_ethertypes(pair):
    server = pair.server(dev="tap")
    running = connect(pair, server)
    device = running.tunnel_status(TUNNEL)["device"]
    pair.branch.ping(server.address, 1)  # the server learns the branch's MAC address
    received = pair.hub.call(socket.socket, socket.AF_PACKET, socket.SOCK_RAW,
                             socket.htons(_ETH_P_ALL))
    with received, pair.branch.call(socket.socket, socket.AF_PACKET, socket.SOCK_RAW) as sender:
        received.bind((server.name, _ETH_P_ALL))
        received.settimeout(5)
        sender.bind((device, 0))
        source = sender.getsockname()[4]
        for inner in (b"", struct.pack("!HH", _VLAN, 42)):
            header = b"\xff" * 6 + source + inner + struct.pack("!H", _TEST_ETHERTYPE)
            sender.send(header + b"over the tap")
            assert _next_test_frame(received) == (42 if inner else None)
    running.stop()


def _next_test_frame(received) -> int | None:
    """The VLAN of the next frame of the test's; the kernel hands the tag over beside it."""
    received.setsockopt(263, 8, 1)  # SOL_PACKET, PACKET_AUXDATA
    while True:
        frame, extra, _, _ = received.recvmsg(2000, 1000)
        kind, = struct.unpack_from("!H", frame, 12)
        if kind == _VLAN and frame[16:18] == struct.pack("!H", _TEST_ETHERTYPE):
            return struct.unpack_from("!H", frame, 14)[0] & 0xFFF
        if kind == _TEST_ETHERTYPE:
            for _level, _type, data in extra:
                status, *_, vlan, _tpid = struct.unpack("=IIIHHHH", data[:20])
                if status & 0x10:  # TP_STATUS_VLAN_VALID
                    return vlan & 0xFFF
            return None


@pytest.mark.parametrize("mtu", [576, 1280, 1400])
def test_the_server_sets_the_mtu(pair, mtu):
    server = pair.server(server_lines=(f"tun-mtu {mtu}",))
    running = connect(pair, server)
    device = running.tunnel_status(TUNNEL)["device"]
    assert f" mtu {mtu} " in pair.branch.ip("link", "show", device)
    assert_echoes(pair, server, [1, mtu - 28, mtu - 27, 1472])  # fragments cross it as well
    running.stop()


def test_a_device_of_its_own_name(pair):
    server = pair.server()
    running = connect(pair, server, tunnels={TUNNEL: {"device": "to-paris"}})
    assert "to-paris" in pair.branch.devices()
    assert_carries(pair, server)
    running.stop()
