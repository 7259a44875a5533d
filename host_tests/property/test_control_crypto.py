"""The control channel's cryptography against independent implementations."""

import hashlib
import hmac

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from branchline.crypto.aead import DIGEST_SIZES, Providers
from branchline.crypto.pure import Pure
from branchline.openvpn import opcodes
from branchline.openvpn.key_method import build_client, derive_keys, parse_server
from branchline.openvpn.packet import build_body, parse_body
from branchline.openvpn.tls_wrap import TlsAuth, TlsCrypt, TlsCryptV2
from branchline.wire.errors import ProtocolError

_PROVIDER = Providers([Pure], lambda level, text: None)

static_keys = st.binary(min_size=256, max_size=256)
headers = st.builds(
    lambda opcode, key_id, session: bytes([opcode << 3 | key_id]) + session,
    st.sampled_from([opcodes.CONTROL_V1, opcodes.ACK_V1, opcodes.SOFT_RESET_V1]),
    st.integers(0, 7),
    st.binary(min_size=8, max_size=8),
)
bodies = st.binary(max_size=1300)
times = st.integers(0, 2**32 - 1)


def _ctr(key, iv, data):
    return Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor().update(data)


def _stamp(packet_id, seconds):
    return packet_id.to_bytes(4, "big") + seconds.to_bytes(4, "big")


@given(static_keys, headers, bodies, times)
def test_tls_crypt(key, header, body, seconds):
    for wrap, packet_id in (
        (TlsCrypt(key, _PROVIDER, seconds), 1),
        (TlsCryptV2(key, b"wkc", _PROVIDER, seconds), 0x0F000001),
    ):
        head = header + _stamp(packet_id, seconds)
        tag = hmac.digest(key[192:224], head + body, "sha256")
        assert wrap.wrap(header, body) == head + tag + _ctr(key[128:160], tag[:16], body)
        head = header + _stamp(7, seconds)
        tag = hmac.digest(key[64:96], head + body, "sha256")
        assert wrap.unwrap(head + tag + _ctr(key[:32], tag[:16], body)) == body


@given(
    static_keys,
    headers,
    bodies,
    times,
    st.sampled_from([(None, 64, 64), (0, 64, 192), (1, 192, 64)]),
    st.sampled_from(sorted(DIGEST_SIZES)),
)
def test_tls_auth(key, header, body, seconds, direction, digest):
    number, send, receive = direction
    size = hashlib.new(digest).digest_size
    wrap = TlsAuth(key, number, _PROVIDER, digest, seconds)
    stamp = _stamp(1, seconds)
    mac = hmac.digest(key[send : send + size], stamp + header + body, digest)
    assert wrap.wrap(header, body) == header + mac + stamp + body
    mac = hmac.digest(key[receive : receive + size], stamp + header + body, digest)
    assert wrap.unwrap(header + mac + stamp + body) == body


@given(st.binary(max_size=200))
def test_any_octets_are_refused(packet):
    for wrap in (
        TlsAuth(bytes(256), None, _PROVIDER, "SHA1", 0),
        TlsCrypt(bytes(256), _PROVIDER, 0),
    ):
        try:
            wrap.unwrap(packet)
        except ProtocolError as error:
            assert error.args[0] in ("too_short", "control_bad_auth")
        else:
            raise AssertionError("accepted")


def _p_hash(digest, secret, seed, size):
    """RFC 2246 section 5."""
    out, a = b"", seed
    while len(out) < size:
        a = hmac.digest(secret, a, digest)
        out += hmac.digest(secret, a + seed, digest)
    return out[:size]


def _prf(secret, label, seed, size):
    half = -(-len(secret) // 2)
    md5 = _p_hash("md5", secret[:half], label + seed, size)
    sha1 = _p_hash("sha1", secret[-half:], label + seed, size)
    return bytes(a ^ b for a, b in zip(md5, sha1, strict=True))


@given(
    st.binary(min_size=112, max_size=112),
    st.binary(min_size=64, max_size=64),
    st.binary(min_size=8, max_size=8),
    st.binary(min_size=8, max_size=8),
)
def test_derive_keys(source, random, client, server):
    pre_master, client1, client2 = source[:48], source[48:80], source[80:]
    master = _prf(pre_master, b"OpenVPN master secret", client1 + random[:32], 48)
    seed = client2 + random[32:] + client + server
    expected = _prf(master, b"OpenVPN key expansion", seed, 256)
    assert derive_keys(source, random, client, server) == expected


@given(st.sampled_from([opcodes.CONTROL_V1, opcodes.ACK_V1]), st.binary(max_size=80))
def test_a_body_is_refused_or_means_what_it_says(opcode, data):
    try:
        acks, session, message_id, payload = parse_body(opcode, data)
    except ProtocolError:
        return
    again = bytes(build_body(acks, session, message_id, payload))
    assert data[: len(again)] == again and (opcode == opcodes.ACK_V1 or again == data)


@given(
    st.binary(max_size=300),
    st.binary(max_size=60).map(lambda text: text.replace(b"\0", b"")),
)
def test_key_method_messages(data, text):
    try:
        parse_server(b"\0\0\0\0\2" + data)
    except ProtocolError as error:
        raise AssertionError("the header is right") from error
    message = build_client(bytes(112), text, b"", b"", b"")
    # The server's message is the client's without the pre-master secret.
    parsed = parse_server(message[:5] + message[53:])
    assert parsed == (bytes(64), text, len(message) - 48)
