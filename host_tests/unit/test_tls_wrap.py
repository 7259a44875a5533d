"""tls-auth, tls-crypt and tls-crypt-v2, each with a twin in the server's role."""

from branchline.crypto import hmac
from branchline.hal.linux.gnutls import Gnutls
from branchline.hal.linux.libcrypto import Libcrypto
from branchline.openvpn import opcodes
from branchline.openvpn.tls_wrap import (
    HEADER_SIZE,
    PlainWrap,
    TlsAuth,
    TlsCrypt,
    TlsCryptV2,
    make_wrap,
)
from branchline.wire.errors import ProtocolError, Unsupported
from openvpn_link import STATIC_KEY, UNIX_TIME, WKC, make_profile, make_provider
from openvpn_server import server_wrap
from support import raises, unhex

_HEADER = bytes([opcodes.CONTROL_V1 << 3]) + b"12345678"
_BODIES = (b"\0\0\0\0\1", b"\0\0\0\0\1" + bytes(range(256)) * 5)
_TIME = UNIX_TIME


def _twins():
    """(name, client's wrapper, server's wrapper) of every kind; each library's provider on the
    client's side against the same or the pure one on the server's."""
    pure = make_provider()
    for provider, server_provider, digests in (
        (pure, pure, ("SHA1", "SHA256")),
        (Gnutls(), pure, ("SHA1", "SHA256")),
        (Libcrypto(), pure, ("SHA1", "SHA256")),
        (Gnutls(), Libcrypto(), ("SHA384", "SHA512")),
    ):
        for digest in digests:
            for direction in (None, 0, 1):
                client = TlsAuth(STATIC_KEY, direction, provider, digest, _TIME)
                server = server_wrap("auth", STATIC_KEY, server_provider, _TIME, direction, digest)
                yield "auth " + digest, client, server
        server = server_wrap("crypt", STATIC_KEY, server_provider, _TIME)
        yield "crypt", TlsCrypt(STATIC_KEY, provider, _TIME), server
        server = server_wrap("crypt-v2", STATIC_KEY, server_provider, _TIME)
        yield "crypt-v2", TlsCryptV2(STATIC_KEY, WKC, provider, _TIME), server


def _refused(wrap, packet):
    return raises(ProtocolError, wrap.unwrap, packet).args[0]


def test_packets_go_there_and_back():
    for _, client, server in _twins():
        for one, other in ((client, server), (server, client)):
            for body in _BODIES:
                packet = one.wrap(_HEADER, body)
                assert isinstance(packet, bytes) and packet[:HEADER_SIZE] == _HEADER
                assert len(packet) == one.overhead + len(body)
                assert other.unwrap(packet) == body


def test_without_protection():
    wrap = PlainWrap()
    assert wrap.unwrap(wrap.wrap(_HEADER, b"body")) == b"body"
    for n in range(HEADER_SIZE):
        assert _refused(wrap, _HEADER[:n]) == "too_short"


def test_each_octet_is_protected():
    for name, client, server in _twins():
        packet = server.wrap(_HEADER, _BODIES[0])
        for i in range(len(packet)):
            for bit in (1, 0x80):
                damaged = packet[:i] + bytes([packet[i] ^ bit]) + packet[i + 1 :]
                assert _refused(client, damaged) == "control_bad_auth", (name, i)
            expected = "too_short" if i < client.overhead else "control_bad_auth"
            assert _refused(client, packet[:i]) == expected, (name, i)
        assert _refused(client, packet + b"\0") == "control_bad_auth"
        # What was refused moved nothing: the packet itself is still new.
        assert client.unwrap(packet) == _BODIES[0]


def test_replays():
    for _, client, server in _twins():
        packets = [server.wrap(_HEADER, _BODIES[0]) for _ in range(100)]
        for i in (5, 3, 4, 99, 98, 36):
            client.unwrap(packets[i])
        for i in (5, 3, 99, 98, 36, 0, 35):  # the last two: behind the window of 64
            assert _refused(client, packets[i]) == "control_replay"
        client.unwrap(packets[37])


def test_a_server_that_was_started_again():
    provider = make_provider()
    client = TlsCrypt(STATIC_KEY, provider, _TIME)
    old, new = [server_wrap("crypt", STATIC_KEY, provider, _TIME + s) for s in (0, 1)]
    late = old.wrap(_HEADER, b"late")
    client.unwrap(old.wrap(_HEADER, b""))
    client.unwrap(new.wrap(_HEADER, b""))
    assert _refused(client, late) == "control_replay"


def test_another_key_or_direction():
    provider = make_provider()
    other = bytes(256)
    for kind, direction in (("auth", None), ("auth", 1), ("crypt", None)):
        theirs = server_wrap(kind, other, provider, _TIME, direction)
        profile = make_profile(tls_wrap=kind, tls_key=STATIC_KEY, key_direction=direction)
        ours = make_wrap(profile, provider, _TIME)
        assert _refused(ours, theirs.wrap(_HEADER, b"x")) == "control_bad_auth"
    # Both in direction 1, and a packet that comes back to its sender.
    for wrap in (
        TlsAuth(STATIC_KEY, 1, provider, "SHA1", _TIME),
        TlsCrypt(STATIC_KEY, provider, 0),
    ):
        assert _refused(wrap, wrap.wrap(_HEADER, b"x")) == "control_bad_auth"


def test_which_part_of_the_static_key_signs():
    provider = make_provider()
    stamp = unhex("00000001 12345678")
    for direction, start in ((None, 64), (0, 64), (1, 192)):
        wrap = TlsAuth(STATIC_KEY, direction, provider, "SHA1", 0x12345678)
        mac = hmac.new(STATIC_KEY[start : start + 20], stamp + _HEADER + b"body", "SHA1")
        assert wrap.wrap(_HEADER, b"body")[9:29] == mac.digest(), direction
    wrap = TlsCrypt(STATIC_KEY, provider, 0x12345678)
    mac = hmac.new(STATIC_KEY[192:224], _HEADER + stamp + b"body", "SHA256")
    assert wrap.wrap(_HEADER, b"body")[17:49] == mac.digest()


def test_the_layout():
    # A tls-auth packet: header, HMAC, packet id, time, body; the id counts from 1.
    provider = make_provider()
    wrap = TlsAuth(STATIC_KEY, None, provider, "SHA1", 0x12345678)
    for packet_id in (1, 2):
        packet = wrap.wrap(_HEADER, b"body")
        assert packet[29:] == packet_id.to_bytes(4, "big") + unhex("12345678") + b"body"
    wrap = TlsCrypt(STATIC_KEY, provider, 0x112345678)
    assert wrap.wrap(_HEADER, b"body")[9:17] == unhex("00000001 12345678")
    # A tls-crypt-v2 client's first id asks for early negotiation.
    wrap = TlsCryptV2(STATIC_KEY, WKC, provider, 0x12345678)
    assert wrap.wrap(_HEADER, b"body")[9:17] == unhex("0f000001 12345678")


def test_the_wrapped_key_goes_with_its_packets():
    wrap = TlsCryptV2(STATIC_KEY, WKC, make_provider(), _TIME)
    for opcode, has in (
        (opcodes.HARD_RESET_CLIENT_V3, True),
        (opcodes.CONTROL_WKC_V1, True),
        (opcodes.CONTROL_V1, False),
        (opcodes.ACK_V1, False),
        (opcodes.SOFT_RESET_V1, False),
    ):
        packet = wrap.wrap(bytes([opcode << 3]) + b"12345678", b"body")
        assert packet.endswith(WKC) == has
        assert len(packet) == wrap.overhead + 4 + (len(WKC) if has else 0)


def test_a_profile_names_its_wrapper():
    provider = make_provider()
    for kind, expected in (
        (None, PlainWrap),
        ("auth", TlsAuth),
        ("crypt", TlsCrypt),
        ("crypt-v2", TlsCryptV2),
    ):
        profile = make_profile(tls_wrap=kind, tls_key=STATIC_KEY, wkc=WKC)
        assert type(make_wrap(profile, provider, _TIME)) is expected
    profile = make_profile(tls_wrap="auth", tls_key=STATIC_KEY, auth="WHIRLPOOL")
    raises(Unsupported, make_wrap, profile, provider, _TIME)
