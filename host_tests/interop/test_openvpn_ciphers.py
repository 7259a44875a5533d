"""Data ciphers that are not negotiated, P_DATA_V1, and the framings of `compress`."""

import pytest

from host_tests.interop.openvpn_support import (
    TUNNEL,
    assert_carries,
    assert_echoes,
    connect,
    gateway,
    negotiated,
)
from host_tests.lab import UdpRelay

_DATA_V1 = 6
_DATA_V2 = 9


def _through_relay(pair, server, *lines, **options):
    relay = UdpRelay(pair.hub, pair.remote(), 2194, target=(pair.remote(), 1194))
    running = gateway(pair, server.profile("lyon", relay.remote, lines=lines), **options)
    running.wait_up()
    return relay, running


def _opcodes(relay, way: str) -> set[int]:
    """The opcodes of data packets that went that way."""
    return {packet[0] >> 3 for packet in relay.captured[way]} & {_DATA_V1, _DATA_V2}


@pytest.mark.parametrize("cipher, auth", [
    ("AES-256-CBC", "SHA256"), ("AES-128-CBC", "SHA1"), ("AES-192-CBC", "SHA512"),
])
@pytest.mark.parametrize("proto", ["udp", "tcp"])
def test_cbc_with_its_digest(pair, cipher, auth, proto):
    server = pair.server(proto=proto, data_ciphers=cipher, auth=auth)
    running = connect(pair, server)
    assert_carries(pair, server)
    assert_echoes(pair, server, range(1, 100))
    agreed = negotiated(server)
    assert (agreed["cipher"], agreed["auth"]) == (cipher, auth)
    running.stop()


@pytest.mark.parametrize("cipher", ["AES-128-CBC", "AES-256-CBC"])
def test_fallback_when_the_server_pushes_no_cipher(pair, cipher):
    """As from a server without negotiation: the client is left to data-ciphers-fallback."""
    server = pair.server(data_ciphers=cipher, fallback=cipher, auth="SHA1")
    running = connect(pair, server, 'pull-filter ignore "cipher"')
    assert_carries(pair, server)
    assert running.tunnel_status(TUNNEL)["cipher"] == cipher
    running.stop()


def test_no_cipher_in_common_is_told_with_a_remedy(pair):
    server = pair.server(data_ciphers="AES-128-GCM")
    running = connect(pair, server)
    running.stop()
    profile = pair.profile(server, lines=('pull-filter ignore "cipher"',))
    running = gateway(pair, profile)
    running.wait_for(f"{TUNNEL} down options-error: .*data-ciphers-fallback")
    running.stop()


@pytest.mark.parametrize("cipher", ["AES-256-GCM", "CHACHA20-POLY1305", "AES-256-CBC"])
@pytest.mark.parametrize("proto", ["udp", "tcp-server"])
def test_p_data_v1_with_a_point_to_point_server(pair, cipher, proto):
    """A server that neither negotiates nor pushes: fallback cipher, no peer-id, no pull."""
    authority = pair.pki.authority()
    own = authority.issue("hub", "server")
    config = pair.pki.write("p2p.conf", "\n".join([
        "tls-server", "dev tun", f"proto {proto}", "dh none", "ifconfig 10.8.0.1 10.8.0.2",
        f"data-ciphers-fallback {cipher}", "data-ciphers AES-128-GCM", "auth SHA256",
        f"ca {authority.path}", f"cert {own.chain_path}", f"key {own.key_path}",
        "keepalive 1 5", "verb 3",
    ]))
    process = pair.hub.spawn("openvpn", "--config", str(config), "--disable-dco", name="p2p")
    process.wait_for("Listening for|UDPv4 link remote|UDPv4 link local")
    client = authority.issue("lyon", "client")
    relay = UdpRelay(pair.hub, pair.remote(), 2194, target=(pair.remote(), 1194))
    running = gateway(pair, "\n".join([
        "tls-client", "dev tun", "nobind", "ifconfig 10.8.0.2 10.8.0.1", "auth SHA256",
        f"proto {proto.partition('-')[0]}", f"data-ciphers-fallback {cipher}",
        f"remote {relay.remote if proto == 'udp' else pair.remote()}", "ping 1",
        f"<ca>\n{authority.pem}</ca>", f"<cert>\n{client.chain}</cert>",
        f"<key>\n{client.key}</key>", "",
    ]))
    running.wait_up()
    process.wait_for(f"Data Channel: cipher '{cipher}'")  # up to a second later
    assert pair.branch.ping("10.8.0.1", 3).lost == 0
    assert pair.hub.ping("10.8.0.2", 3).lost == 0
    if proto == "udp":
        assert _opcodes(relay, "up") == _opcodes(relay, "down") == {_DATA_V1}
    running.stop()


@pytest.mark.parametrize("cipher", ["AES-256-GCM", "AES-256-CBC"])
def test_p_data_v2_with_a_peer_id(pair, cipher):
    server = pair.server(data_ciphers=cipher, auth="SHA256")
    relay, running = _through_relay(pair, server)
    assert_carries(pair, server)
    assert _opcodes(relay, "up") == _opcodes(relay, "down") == {_DATA_V2}
    running.stop()


@pytest.mark.parametrize("ciphers, expected", [
    ("AES-128-GCM:AES-256-GCM", "AES-128-GCM"),
    ("AES-192-GCM", "AES-192-GCM"),
    ("CHACHA20-POLY1305:AES-256-GCM", "CHACHA20-POLY1305"),
])
def test_the_server_chooses_the_cipher(pair, ciphers, expected):
    server = pair.server(data_ciphers=ciphers)
    running = connect(pair, server)
    assert_carries(pair, server)
    assert running.tunnel_status(TUNNEL)["cipher"] == negotiated(server)["cipher"] == expected
    running.stop()


@pytest.mark.parametrize("provider", ["gnutls", "libcrypto", "pure"])
@pytest.mark.parametrize("cipher", ["AES-256-GCM", "AES-128-CBC"])
def test_every_provider_speaks_to_the_stock_server(pair, provider, cipher):
    server = pair.server(wrap="tls-crypt", data_ciphers=cipher, auth="SHA256")
    running = connect(pair, server, env={"BRANCHLINE_CRYPTO": provider})
    assert_carries(pair, server)
    assert_echoes(pair, server, [1, 2, 15, 16, 17, 1471, 1472])
    assert f"{cipher} by" in running.log()
    running.stop()


@pytest.mark.parametrize("framing", [
    "compress stub", "compress stub-v2", "comp-lzo no", "compress"])
@pytest.mark.parametrize("cipher", ["AES-256-GCM", "AES-256-CBC"])
def test_framings_without_compression(pair, framing, cipher):
    """Set on both sides, and pushed."""
    server = pair.server(server_lines=(framing, f'push "{framing}"'), data_ciphers=cipher)
    running = connect(pair, server, framing)
    assert_carries(pair, server)
    assert_echoes(pair, server, [1, 2, 3, 79, 80, 81, 1470, 1471, 1472])
    running.stop()


@pytest.mark.parametrize("framing", ["comp-lzo no", "compress stub-v2", "compress stub"])
def test_pushed_framings(pair, framing):
    server = pair.server(server_lines=(framing, f'push "{framing}"'))
    running = connect(pair, server)
    assert_carries(pair, server)
    running.stop()


@pytest.mark.parametrize("own", ["comp-lzo no", "compress"])
def test_a_server_that_migrates_away_from_compression(pair, own):
    server = pair.server(server_lines=("compress migrate",))
    running = connect(pair, server, own)
    assert_carries(pair, server)
    running.stop()


@pytest.mark.parametrize("pushed", ["compress lz4-v2", "compress lzo", "comp-lzo yes",
                                    "comp-lzo"])
def test_pushed_compression_is_refused_by_name(pair, pushed):
    server = pair.server(push=(pushed,))
    running = gateway(pair, pair.profile(server))
    name = pushed.split()[0]
    running.wait_for(f"{TUNNEL} down options-error: pushed {name}: compression is not supported")
    running.stop()
