"""Babel's packets: every TLV there and back, cut short at every octet, and odd ones."""

from babel_pair import Sink, key
from branchline.babel import packet, tlv
from branchline.babel.prefix import address, covers, prefix_key, prefix_text
from branchline.wire.counters import Counters
from branchline.wire.errors import ProtocolError
from branchline.wire.ip import parse_address, parse_prefix
from support import raises, unhex

SOURCE = parse_address("fe80::1")
HOP4 = bytes((192, 0, 2, 1))
ROUTER = unhex("0200 0000 0000 0101")


def parsed(body):
    """The calls and the non-zero counters that a packet body leads to."""
    sink = Sink()
    counters = Counters(("malformed", "truncated", "mandatory"))
    data = b"\x2a\x02" + len(body).to_bytes(2, "big") + body
    tlv.Parser(sink, counters).parse(data, tlv.body_end(data, len(data)), SOURCE)
    return sink.calls, counters.nonzero()


# (name, octets of the body, calls)
UPDATE_HEAD = "060a 0000 0200000000000101 0706 0100 c0000201"
TLVS = (
    ("Pad1 and PadN", "00 0103 000000 00", []),
    ("4.6.3 Ack Request", "0206 0000 1234 0064", [("ack_request", 0x1234)]),
    ("4.6.5 Hello", "0406 0000 0427 0190", [("hello", False, 0x427, 400, None)]),
    ("4.6.5 Hello, unicast", "0406 8000 0001 0000", [("hello", True, 1, 0, None)]),
    (
        "RFC 9616 3.3 Hello with its time",
        "040c 0000 0427 0190 0304 0f6577ab",
        [("hello", False, 0x427, 400, 0x0F6577AB)],
    ),
    (
        "4.6.6 IHU to a link-local address",
        "050e 0300 0060 04b0 0000000000000001",
        [("ihu", SOURCE, 0x60, 0x4B0, None, None)],
    ),
    ("4.6.6 IHU, wildcard", "0506 0000 ffff 04b0", [("ihu", None, 0xFFFF, 0x4B0, None, None)]),
    (
        "RFC 9616 3.3 IHU with two times",
        "0518 0300 0060 04b0 0000000000000001 0308 00000001 00000002",
        [("ihu", SOURCE, 0x60, 0x4B0, 1, 2)],
    ),
    (
        "4.6.9 Update, IPv4",
        UPDATE_HEAD + "080d 0100 1800 0640 2589 0060 0a0101",
        [("update", key("10.1.1.0/24"), 0x640, 0x2589, 0x60, ROUTER, HOP4)],
    ),
    (
        "4.6.9 Update, IPv6",
        "060a 0000 0200000000000101 0812 0200 4000 0640 2589 0000 20010db800010002",
        [("update", key("2001:db8:1:2::/64"), 0x640, 0x2589, 0, ROUTER, SOURCE)],
    ),
    (
        "RFC 9229 Update, IPv4 over IPv6",
        "060a 0000 0200000000000101 080d 0400 1800 0640 2589 0000 0a0101",
        [("update", key("10.1.1.0/24"), 0x640, 0x2589, 0, ROUTER, SOURCE)],
    ),
    (
        "4.6.9 Update, wildcard retraction",
        "080a 0000 0000 0640 0000 ffff",
        [("update", None, 0x640, 0, 0xFFFF, None, None)],
    ),
    (
        "4.6.9 Update, retraction without a router-id",
        "080d 0100 1800 0640 2589 ffff 0a0101",
        [("update", key("10.1.1.0/24"), 0x640, 0x2589, 0xFFFF, None, None)],
    ),
    ("4.6.10 Route Request, wildcard", "0902 0000", [("route_request", None)]),
    ("4.6.10 Route Request", "0905 0118 0a0101", [("route_request", key("10.1.1.0/24"))]),
    (
        "4.6.11 Seqno Request",
        "0a11 0118 2589 4000 0200000000000101 0a0101",
        [("seqno_request", key("10.1.1.0/24"), 0x2589, 64, ROUTER)],
    ),
    ("4.4 unknown TLV", "c803 010203 0902 0000", [("route_request", None)]),
    ("4.4 unknown sub-TLV", "0905 0000 6f01ff", [("route_request", None)]),
    ("4.1.4 unknown address encoding", "0904 0a10 0a00 0506 0a00 0060 0190", []),
    ("reserved octets are not looked at", "0902 00ff", [("route_request", None)]),
)

# (name, octets of the body, calls, counters)
ODD = (
    ("4.6.9 interval 0", UPDATE_HEAD + "080d 0100 1800 0000 2589 0060 0a0101", "malformed"),
    ("4.6.6 interval 0", "0506 0000 0060 0000", "malformed"),
    ("4.6.3 interval 0", "0206 0000 1234 0000", "malformed"),
    ("4.6.7 router-id of zeros", "060a 0000 0000000000000000", "malformed"),
    ("4.6.7 router-id of ones", "060a 0000 ffffffffffffffff", "malformed"),
    ("4.6.9 IPv4 prefix longer than 32", "080f 0100 2100 0640 2589 0060 0a01010101", "malformed"),
    ("4.6.9 omitted without a default", "080c 0100 1802 0640 2589 0060 0a00", "malformed"),
    (
        "4.6.9 more omitted than there is",
        UPDATE_HEAD + "080a 0100 1804 0640 2589 0060",
        "malformed",
    ),
    ("4.6.9 wildcard of finite metric", "080a 0000 0000 0640 0000 0060", "malformed"),
    ("4.6.11 hop count 0", "0a11 0118 2589 0000 0200000000000101 0a0101", "malformed"),
    ("4.4 mandatory sub-TLV", "0904 0000 8000", "mandatory"),
    ("4.4 mandatory sub-TLV of a Hello", "0408 0000 0427 0190 ff00", "mandatory"),
    ("sub-TLV longer than its TLV", "0904 0000 6f05", "malformed"),
    ("TLV longer than the packet", "0906 0000", "truncated"),
    ("half a TLV header", "09", "truncated"),
)


def test_each_tlv_is_understood():
    for name, body, calls in TLVS:
        assert parsed(unhex(body)) == (calls, {}), name


def test_odd_tlvs_are_counted_and_ignored():
    for name, body, counter in ODD:
        assert parsed(unhex(body)) == ([], {counter: 1}), name


def test_truncation_at_every_octet_gives_no_call_that_was_not_whole():
    for name, body, calls in TLVS:
        octets = unhex(body)
        for n in range(len(octets)):
            got, counted = parsed(octets[:n])
            assert got == calls[: len(got)], (name, n)
            assert len(counted) <= 1, (name, n)


def test_truncation_inside_a_tlv_at_every_octet():
    for name, body, _ in TLVS:
        octets = bytearray(unhex(body))
        if octets[0] not in (2, 4, 5, 9, 10) or octets[1] != len(octets) - 2:
            continue
        for n in range(2, len(octets) - 1):
            short = bytearray(octets[: n + 1])
            short[1] = n - 1
            got, counted = parsed(bytes(short))
            # A cut may fall before a sub-TLV, which leaves a TLV that is whole without it.
            assert got or counted == {"malformed": 1}, (name, n)


def test_4_2_header():
    cases = (
        ("magic", "2b02 0000"),
        ("version", "2a03 0000"),
        ("body longer than the packet", "2a02 0001"),
        ("three octets", "2a02 00"),
        ("nothing", ""),
    )
    for name, text in cases:
        data = unhex(text)
        assert raises(ProtocolError, tlv.body_end, data, len(data)), name
    assert tlv.body_end(unhex("2a02 0001 00 ff"), 6) == 5


def test_4_5_ignored_tlvs_change_the_parser_state_too():
    # An update with a mandatory sub-TLV still sets the default prefix and, by its flag, the
    # router-id: the next one omits eight octets and has none of its own.
    body = unhex(
        "0814 02c0 4000 0640 0001 0060 20010db800010002 8000080c 0200 5008 0640 0001 0060 0003"
    )
    calls, counted = parsed(body)
    assert counted == {"mandatory": 1}
    expected = key("2001:db8:1:2:3::/80")
    # The low octets of the first prefix are zero, which is no router-id.
    assert calls == [("update", expected, 0x640, 1, 0x60, None, SOURCE)]


def test_4_5_malformed_tlvs_change_the_parser_state_too():
    update = "080e 0180 2000 %s 0001 0060 0a010203 080b 0100 2003 0640 0001 0060 09"
    # An interval of 0 forbids the update, but the next one still omits what it said.
    calls, counted = parsed(unhex(UPDATE_HEAD + update % "0000"))
    assert [call[1] for call in calls] == [key("10.1.2.9/32")]
    assert counted == {"malformed": 1}
    # A reserved router-id is none, and does not leave the one before it in force.
    calls, counted = parsed(unhex(UPDATE_HEAD + "060a 0000 ffffffffffffffff" + update % "0640"))
    assert [call[5] for call in calls] == [None, None]
    assert counted == {"malformed": 1}


def test_4_6_9_router_id_flag_takes_the_low_octets():
    body = unhex("081a 02c0 8000 0640 0001 0060 fd000000000000000200000000000101")
    assert parsed(body)[0][0][5] == ROUTER
    body = unhex("080e 0140 2000 0640 0001 0060 0a010203")
    assert parsed(body)[0][0][5] == unhex("00000000 0a010203")


def test_4_6_8_next_hops_of_both_families():
    body = unhex(
        "060a 0000 0200000000000101 0706 01ee c0000201 070a 0300 0000000000000009"
        "080b 0100 0800 0640 0001 0060 0a 080c 0200 1000 0640 0001 0060 fd00"
    )
    calls = parsed(body)[0]
    assert [call[6] for call in calls] == [HOP4, parse_address("fe80::9")]


def test_default_prefixes_are_kept_by_address_encoding():
    body = unhex(
        "060a 0000 0200000000000101 0706 0100 c0000201"
        "080d 0180 1800 0640 0001 0060 0a0101"  # AE 1: 10.1.1.0/24
        "080d 0480 1800 0640 0001 0060 0b0202"  # AE 4: 11.2.2.0/24
        "080c 0100 2002 0640 0001 0060 0909"
        "080c 0400 2002 0640 0001 0060 0808"
    )
    texts = [prefix_text(call[1]) for call in parsed(body)[0]]
    assert texts == ["10.1.1.0/24", "11.2.2.0/24", "10.1.9.9/32", "11.2.8.8/32"]


def written(build, limit=1000):
    """The body of the packet that build(packet) writes."""
    buf = bytearray(limit)
    p = packet.Packet(buf, limit)
    assert p.is_empty()
    build(p)
    n = p.finish(b"")
    assert tlv.body_end(buf, n) == n
    return bytes(buf[4:n])


def test_hello_and_ihu_round_trip():
    def build(p):
        p.hello(0xFFFF, 50, False, 0xFFFFFFFF)
        p.hello(7, 0, True, None)
        p.ihu(SOURCE, 96, 150, None, None)
        p.ihu(SOURCE, 0xFFFF, 150, 1, 0xFFFFFFFE)

    assert parsed(written(build)) == (
        [
            ("hello", False, 0xFFFF, 50, 0xFFFFFFFF),
            ("hello", True, 7, 0, None),
            ("ihu", SOURCE, 96, 150, None, None),
            ("ihu", SOURCE, 0xFFFF, 150, 1, 0xFFFFFFFE),
        ],
        {},
    )


def test_requests_and_acks_round_trip():
    def build(p):
        p.raw(packet.route_request(None))
        p.raw(packet.route_request(key("fd00::/8")))
        p.raw(packet.seqno_request(key("10.1.1.0/24"), 0xFFFF, 64, ROUTER))
        p.raw(packet.retraction())
        p.raw(packet.ack(0x1234))

    body = written(build)
    assert body.endswith(unhex("0302 1234"))
    assert parsed(body) == (
        [
            ("route_request", None),
            ("route_request", key("fd00::/8")),
            ("seqno_request", key("10.1.1.0/24"), 0xFFFF, 64, ROUTER),
            ("update", None, 1, 0, 0xFFFF, None, None),
        ],
        {},
    )


UPDATES = (
    ("10.1.1.0/24", 1, 0, ROUTER, HOP4),
    ("10.1.2.0/23", 1, 96, ROUTER, HOP4),
    ("10.1.2.128/25", 2, 96, ROUTER, HOP4),
    ("0.0.0.0/0", 2, 96, ROUTER, HOP4),
    ("10.250.0.1/32", 2, 96, b"another1", HOP4),
    ("10.250.0.2/32", 2, 0xFFFF, None, HOP4),
    ("10.1.1.0/24", 1, 0, ROUTER, None),
    ("fd00:1::/64", 9, 0, ROUTER, None),
    ("fd00:1:0:1::/64", 9, 0, ROUTER, None),
    ("fd00:1::1/128", 9, 0, ROUTER, None),
    ("::/0", 9, 0, ROUTER, None),
    ("10.9.0.0/16", 1, 5, ROUTER, bytes((192, 0, 2, 2))),
)


def test_updates_round_trip_with_compression():
    def build(p):
        for text, seqno, metric, router_id, hop in UPDATES:
            assert p.update(key(text), 200, seqno, metric, router_id, hop)

    body = written(build)
    calls, counted = parsed(body)
    assert not counted
    assert len(calls) == len(UPDATES)
    for (text, seqno, metric, router_id, hop), call in zip(UPDATES, calls):
        assert call[1:5] == (key(text), 200, seqno, metric), text
        if metric < 0xFFFF:
            assert call[5] == router_id, text
            assert call[6] == (hop or SOURCE), text
    # Twelve updates alone would take 12 octets and the prefix each, and four router-ids.
    assert len(body) < 290


def test_what_does_not_fit_is_not_begun():
    whole = len(written(lambda p: p.update(key("10.1.1.0/24"), 200, 1, 0, ROUTER, HOP4))) + 4
    for limit in range(4, whole):
        buf = bytearray(whole)
        p = packet.Packet(buf, limit)
        assert not p.update(key("10.1.1.0/24"), 200, 1, 0, ROUTER, HOP4)
        assert p.is_empty()
        assert buf[4:] == bytes(whole - 4)
    assert packet.Packet(bytearray(whole), whole).update(key("10.1.1.0/24"), 1, 1, 0, ROUTER, HOP4)
    p = packet.Packet(bytearray(22), 22)
    assert not p.ihu(SOURCE, 96, 150, 1, 2)
    assert p.hello(1, 50, False, 1)
    assert not p.raw(packet.route_request(None) * 2)
    assert p.raw(packet.route_request(None))


def test_prefix_keys():
    for text in ("0.0.0.0/0", "10.0.0.0/8", "10.1.2.128/25", "192.0.2.1/32", "::/0", "fd00::/7"):
        octets, plen = parse_prefix(text if text != "fd00::/7" else "fc00::/7")
        assert address(prefix_key(octets, plen)) == octets
    assert prefix_key(bytes((10, 1, 2, 255)), 25) == prefix_key(bytes((10, 1, 2, 128)), 25)
    assert prefix_text(key("fd00:1::/64")) == "fd00:1::/64"


def test_covers():
    cases = (
        ("10.0.0.0/8", "10.1.0.0/16", True),
        ("10.1.0.0/16", "10.0.0.0/8", False),
        ("10.0.0.0/8", "11.0.0.0/8", False),
        ("10.0.0.0/7", "11.0.0.0/8", True),
        ("10.0.0.0/7", "12.0.0.0/8", False),
        ("0.0.0.0/0", "10.0.0.0/8", True),
        ("0.0.0.0/0", "fd00::/8", False),
        ("10.1.1.1/32", "10.1.1.1/32", True),
    )
    for outer, inner, expected in cases:
        assert covers(key(outer), key(inner)) == expected, (outer, inner)
