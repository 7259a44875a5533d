"""Properties of the data channel and of the MSS clamp, over random input."""

from hypothesis import given
from hypothesis import strategies as st
from test_data import End, pair
from test_mss import _checksum, _tcp, ipv4, ipv6

from branchline.openvpn.mss import MssClamp
from branchline.openvpn.packet_id import is_replay, new_window, record

_CIPHERS = st.sampled_from(["AES-256-GCM", "AES-128-CBC"])
_PAYLOADS = st.binary(min_size=1, max_size=100)


@given(_CIPHERS, _PAYLOADS, st.data())
def test_a_changed_packet_never_opens(cipher, payload, data):
    client, server = pair(cipher=cipher)
    packet = bytearray(client.seal(payload))
    # With CBC the header is not authenticated; whoever owns the keys looks at it.
    at = data.draw(st.integers(4 if cipher[-3:] == "CBC" else 0, len(packet) - 1))
    packet[at] ^= data.draw(st.integers(1, 255))
    assert server.open(packet) == b""
    assert sum(server.counters.nonzero().values()) == 1


@given(_CIPHERS, st.sampled_from(["", "stub", "lzo-stub", "stub-v2"]), st.binary(max_size=300))
def test_random_octets_never_open(cipher, compress, packet):
    end = End(cipher=cipher, compress=compress)
    assert end.open(packet) == b""
    assert sum(end.counters.nonzero().values()) == 1


@given(_CIPHERS, _PAYLOADS, st.integers(0, 100))
def test_a_cut_packet_never_opens(cipher, payload, less):
    client, server = pair(cipher=cipher)
    packet = client.seal(payload)
    assert server.open(packet[: max(0, len(packet) - 1 - less)]) == b""


@given(_CIPHERS, st.lists(st.integers(0, 19), max_size=60))
def test_each_packet_opens_once_in_any_order(cipher, order):
    client, server = pair(cipher=cipher)
    packets = [client.seal(bytes([i])) for i in range(20)]
    opened = [server.open(packets[i]) for i in order]
    expected = [b"" if i in order[:k] else bytes([i]) for k, i in enumerate(order)]
    assert opened == expected


@given(st.integers(0, 0xFFFFFFFF), st.lists(st.integers(-150, 150), max_size=80))
def test_replay_window_against_a_set(start, steps):
    window, seen, highest = new_window(), set(), 0
    for step in [0] + steps:
        number = min(max(start + step, 0), 0xFFFFFFFF)
        wire = number.to_bytes(4, "big")
        fresh = number > 0 and number not in seen and number > highest - 64
        assert bool(is_replay(window, wire, 0, bytearray(4))) is not fresh
        if fresh:
            record(window, wire, 0, 1)
            seen.add(number)
            highest = max(highest, number)


def _tcp_checksum_holds(packet):
    """Whether the checksum of a whole TCP packet is right, or was: 0xFFFF and 0 are both zero."""
    if packet[0] >> 4 == 4:
        header = (packet[0] & 15) * 4
        addresses, tcp = packet[12:20], packet[header:]
    else:
        addresses, tcp = packet[8:40], packet[40:]
    pseudo = addresses + bytes([0, 6, len(tcp) >> 8, len(tcp) & 255])
    return _checksum(pseudo + tcp) == 0


_OPTION = st.one_of(
    st.just(b"\x01"),
    st.integers(0, 0xFFFF).map(lambda mss: b"\x02\x04" + mss.to_bytes(2, "big")),
    st.binary(max_size=6),
)


@given(
    st.sampled_from([ipv4, ipv6]),
    st.lists(_OPTION, max_size=8).map(lambda options: b"".join(options)[:40]),
    st.integers(0, 255),
    st.binary(max_size=9),
    st.integers(1, 0xFFFF),
)
def test_mss_clamp_keeps_the_checksum_and_touches_only_the_option(
    make, options, flags, payload, limit
):
    options += bytes(-len(options) % 4)
    packet = make(_tcp(options, flags, payload=payload))
    assert _tcp_checksum_holds(packet)
    buf = bytearray(packet)
    MssClamp((limit, limit)).apply(buf, 0, len(buf))
    assert len(buf) == len(packet)
    assert _tcp_checksum_holds(bytes(buf))
    header = 20 if make is ipv4 else 40
    changed = [i for i in range(len(buf)) if buf[i] != packet[i]]
    assert all(header + 16 <= i < header + 20 + len(options) for i in changed)
    if changed:
        assert flags & 2


@given(st.binary(max_size=120), st.booleans(), st.integers(0, 20))
def test_mss_clamp_survives_anything(packet, tap, before):
    buf = bytearray(b"\xee" * before + packet + b"\xee" * 40)
    MssClamp((1300, 1280), tap).apply(buf, before, len(packet))
    assert buf[:before] == b"\xee" * before and buf[before + len(packet) :] == b"\xee" * 40
