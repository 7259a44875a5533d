"""Packets judged by the policy: what matches, what cannot be judged, and nothing allocated."""

import struct

from branchline.filter.judge import HERE, INTO, OUT, SENT, THROUGH, Judge
from branchline.filter.prefixes import holds, pack, texts
from branchline.filter.table import Table
from branchline.wire.ip import parse_address, parse_prefix
from branchline.wire.ticks import PERIOD
from support import MACHINE_CODE, heap_lock, heap_unlock, unhex

_LAN, _GATEWAY = "192.168.11.7", "10.100.0.11"
_LAN6, _HUB6 = "fd00:11::7", "fd00:1::9"
_HUB, _NICE, _STRANGER = "10.1.0.9", "192.168.12.5", "203.0.113.1"
_ICMP, _TCP, _UDP, _GRE, _ICMP6 = 1, 6, 17, 47, 58
SYN, ACK, SYN_ACK, RST = 2, 16, 18, 4


def service(protocol, low=0, high=65535):
    return struct.pack(">BHH", protocol, low, high)


def table():
    """hubs: any from here; nice: may ping here, and open TCP 80 and UDP 5000 to 5010."""
    return Table(
        pack([parse_prefix(p) for p in ("192.168.11.0/24", "10.100.0.11", "fd00:11::/64")]),
        {
            "hubs": pack([parse_prefix(p) for p in ("10.1.0.0/16", "fd00:1::/64")]),
            "nice": pack([parse_prefix("192.168.12.0/24")]),
        },
        [
            (True, "hubs", service(0)),
            (False, "nice", service(_ICMP) + service(_TCP, 80, 80) + service(_UDP, 5000, 5010)),
        ],
    )


def tcp(sport, dport, flags=SYN):
    return struct.pack(">HHIIBBHHH", sport, dport, 1, 2, 0x50, flags, 1000, 0, 0)


def udp(sport, dport):
    return struct.pack(">HHHH", sport, dport, 8, 0)


def icmp(kind):
    return bytes([kind, 0, 0, 0, 0, 1, 0, 1])


def ip(source, target, protocol, payload, fragment=0, options=b""):
    """An IPv4 or IPv6 packet; fragment: the 16 bits with flags and offset, of IPv4."""
    source, target = parse_address(source), parse_address(target)
    if len(source) == 16:
        head = struct.pack(">IHBB", 6 << 28, len(payload), protocol, 64)
        return head + source + target + payload
    head = struct.pack(
        ">BBHHHBBH", 0x45 + len(options) // 4, 0, 20 + len(options) + len(payload), 1, fragment,
        64, protocol, 0,
    )
    return head + source + target + options + payload


def allowed(judge, packet, way, now=0):
    buf = bytearray(b"\xee" * 3 + packet + b"\xee" * 3)
    before = bytes(buf)
    answer = judge.allows(buf, 3, len(packet), way, now)
    assert buf == before, "the packet was changed"
    return answer


def check(cases):
    for name, way, packet, expected in cases:
        assert allowed(Judge(table()), packet, way) == expected, name


def test_rules_match_requests_and_answers():
    check((
        ("any protocol to hubs", OUT, ip(_LAN, _HUB, _GRE, b""), True),
        ("TCP to hubs", OUT, ip(_LAN, _HUB, _TCP, tcp(1, 22)), True),
        ("its answer", INTO, ip(_HUB, _LAN, _TCP, tcp(22, 1, SYN_ACK)), True),
        ("its reset", INTO, ip(_HUB, _LAN, _TCP, tcp(22, 1, RST)), True),
        ("a connection from hubs", INTO, ip(_HUB, _LAN, _TCP, tcp(22, 1)), False),
        ("UDP from hubs, unasked", INTO, ip(_HUB, _LAN, _UDP, udp(53, 1)), False),
        ("to nobody's address", OUT, ip(_LAN, _STRANGER, _TCP, tcp(1, 80)), False),
        ("to nice, not allowed", OUT, ip(_LAN, _NICE, _TCP, tcp(1, 80)), False),
        ("from nice", INTO, ip(_NICE, _LAN, _TCP, tcp(1, 80)), True),
        ("its answer", OUT, ip(_LAN, _NICE, _TCP, tcp(80, 1, SYN_ACK)), True),
        ("from that port, but a beginning", OUT, ip(_LAN, _NICE, _TCP, tcp(80, 1)), False),
        ("another port", INTO, ip(_NICE, _LAN, _TCP, tcp(1, 81)), False),
        ("from the port that is open", INTO, ip(_NICE, _LAN, _TCP, tcp(80, 81, ACK)), False),
        ("the first port", INTO, ip(_NICE, _LAN, _UDP, udp(1, 5000)), True),
        ("the last port", INTO, ip(_NICE, _LAN, _UDP, udp(1, 5010)), True),
        ("one less", INTO, ip(_NICE, _LAN, _UDP, udp(1, 4999)), False),
        ("one more", INTO, ip(_NICE, _LAN, _UDP, udp(1, 5011)), False),
        ("an answer of UDP", OUT, ip(_LAN, _NICE, _UDP, udp(5005, 1)), True),
        ("another protocol", INTO, ip(_NICE, _LAN, _GRE, b""), False),
        ("the gateway is meant, too", HERE, ip(_NICE, _GATEWAY, _TCP, tcp(1, 80)), True),
        ("IPv6", OUT, ip(_LAN6, _HUB6, _TCP, tcp(1, 22)), True),
        ("its answer", INTO, ip(_HUB6, _LAN6, _TCP, tcp(22, 1, ACK)), True),
        ("a connection over IPv6", INTO, ip(_HUB6, _LAN6, _TCP, tcp(22, 1)), False),
        ("IPv4 options", INTO, ip(_NICE, _LAN, _TCP, tcp(1, 80), options=bytes([1] * 8)), True),
    ))


def test_icmp_echoes_need_a_rule_and_errors_pass():
    check((
        ("request by rule", INTO, ip(_NICE, _LAN, _ICMP, icmp(8)), True),
        ("request without", OUT, ip(_LAN, _NICE, _ICMP, icmp(8)), False),
        ("reply", OUT, ip(_LAN, _NICE, _ICMP, icmp(0)), True),
        ("unreachable", INTO, ip("10.8.1.1", _LAN, _ICMP, icmp(3)), True),
        ("time exceeded", INTO, ip("10.8.1.1", _LAN, _ICMP, icmp(11)), True),
        ("redirect", INTO, ip("10.8.1.1", _LAN, _ICMP, icmp(5)), False),
        ("too big", INTO, ip(_HUB6, _LAN6, _ICMP6, icmp(2)), True),
        ("request over IPv6", INTO, ip(_HUB6, _LAN6, _ICMP6, icmp(128)), False),
        ("the wrong ICMP", INTO, ip(_HUB6, _LAN6, _ICMP, icmp(0)), False),
        ("the other wrong ICMP", INTO, ip(_NICE, _LAN, _ICMP6, icmp(1)), False),
        ("the gateway answers everybody", HERE, ip("10.8.1.1", "10.8.1.7", _ICMP, icmp(8)), True),
        ("an error with spoofed source", INTO, ip(_LAN, _LAN, _ICMP, icmp(3)), False),
    ))


def test_addresses_belong_to_their_side():
    judge = Judge(table())
    for name, way, packet in (
        ("ours from a tunnel", INTO, ip(_LAN, _LAN, _TCP, tcp(1, 80))),
        ("ours to the gateway", HERE, ip(_GATEWAY, _GATEWAY, _ICMP, icmp(8))),
        ("a stranger's from the LAN", OUT, ip(_STRANGER, _HUB, _TCP, tcp(1, 80))),
        ("a hub's from the LAN", OUT, ip(_HUB, _HUB, _TCP, tcp(1, 80))),
        ("ours from tunnel to tunnel", THROUGH, ip(_LAN, _HUB, _TCP, tcp(1, 80))),
    ):
        assert not allowed(judge, packet, way), name
    assert judge.dropped.nonzero() == {"spoofed": 5}
    assert not allowed(judge, ip(_HUB, _LAN, _TCP, tcp(1, 80, ACK)), THROUGH), "nothing is relayed"
    assert not allowed(judge, ip(_NICE, _STRANGER, _TCP, tcp(1, 80)), INTO), "not behind us"
    assert judge.dropped["denied"] == 2


def test_neighbours_in_a_tunnel_speak_babel_and_icmpv6():
    check((
        ("Babel", HERE, ip("fe80::1", "ff02::1:6", _UDP, udp(6696, 6696)), True),
        ("ICMPv6", HERE, ip("fe80::1", "ff02::1", _ICMP6, icmp(135)), True),
        ("another port", HERE, ip("fe80::1", "fe80::2", _UDP, udp(6696, 53)), False),
        ("TCP", HERE, ip("fe80::1", "fe80::2", _TCP, tcp(1, 6696)), False),
        ("no link-local source", HERE, ip(_HUB6, "ff02::1:6", _UDP, udp(6696, 6696)), False),
        ("not for the LAN", INTO, ip("fe80::1", _LAN6, _UDP, udp(6696, 6696)), False),
    ))


def test_answers_of_what_was_sent_come_back_for_three_minutes():
    judge = Judge(table())
    question, answer = ip(_LAN, _HUB, _UDP, udp(999, 53)), ip(_HUB, _LAN, _UDP, udp(53, 999))
    own = ip("10.8.1.7", _STRANGER, _TCP, tcp(50, 443))
    its = ip(_STRANGER, "10.8.1.7", _TCP, tcp(443, 50, SYN_ACK))
    start = PERIOD - 100_000  # across the wrap
    assert not allowed(judge, answer, INTO, start)
    assert not allowed(judge, its, HERE, start)
    assert allowed(judge, question, OUT, start) and allowed(judge, own, SENT, start)
    for way, packet in ((INTO, answer), (HERE, its)):
        assert allowed(judge, packet, way, (start + 170_000) % PERIOD)
        assert allowed(judge, packet, way, (start + 340_000) % PERIOD), "each one counts"
        assert not allowed(judge, packet, way, (start + 521_000) % PERIOD)
    assert not allowed(judge, ip(_HUB, _LAN, _UDP, udp(54, 999)), INTO, start)
    assert not allowed(judge, ip("10.1.0.8", _LAN, _UDP, udp(53, 999)), INTO, start)


def test_later_fragments_match_by_addresses_and_protocol():
    body = bytes(24)
    fragment = b"\x11\0\0\xb8" + bytes(4)  # UDP, the one at 184 octets
    check((
        ("the first one", INTO, ip(_NICE, _LAN, _UDP, udp(1, 5000), 0x2000), True),
        ("a first one to be denied", INTO, ip(_NICE, _LAN, _UDP, udp(1, 1), 0x2000), False),
        ("a later one", INTO, ip(_NICE, _LAN, _UDP, body, 5), True),
        ("of an answer", OUT, ip(_LAN, _NICE, _UDP, body, 5), True),
        ("of ICMP", INTO, ip("10.8.1.1", _LAN, _ICMP, body, 5), True),
        ("of another protocol", INTO, ip(_NICE, _LAN, _GRE, body, 5), False),
        ("of a stranger", INTO, ip(_STRANGER, _LAN, _UDP, body, 5), False),
        ("TCP", INTO, ip(_NICE, _LAN, _TCP, body, 3), True),
        ("over TCP's flags (RFC 3128)", INTO, ip(_NICE, _LAN, _TCP, body, 1), False),
        ("a first one without TCP's flags", INTO, ip(_NICE, _LAN, _TCP, tcp(1, 80)[:12], 0x2000),
         False),
        ("IPv6", OUT, ip(_LAN6, _HUB6, 44, fragment + body), True),
        ("IPv6 of an answer", INTO, ip(_HUB6, _LAN6, 44, fragment + body), True),
    ))


def test_ipv6_extension_headers():
    hop = b"\x06\0" + bytes(6)
    routing = b"\x06\0\x04\0" + bytes(4)
    check((
        ("hop by hop", INTO, ip(_HUB6, _LAN6, 0, hop + tcp(22, 1, ACK)), True),
        ("hides no beginning", INTO, ip(_HUB6, _LAN6, 0, hop + tcp(22, 1)), False),
        ("destination, long", OUT, ip(_LAN6, _HUB6, 60, b"\x06\1" + bytes(14) + tcp(1, 2)), True),
        ("routing, at its end", OUT, ip(_LAN6, _HUB6, 43, routing + tcp(1, 2)), True),
        ("authentication", OUT, ip(_LAN6, _HUB6, 51, b"\x06\1" + bytes(10) + tcp(1, 2)), True),
        ("eight of them", OUT, ip(_LAN6, _HUB6, 60, (b"\x3c\0" + bytes(6)) * 7 + hop + tcp(1, 2)),
         True),
    ))


def test_what_cannot_be_judged_is_dropped():
    judge = Judge(table())
    good = ip(_LAN, _HUB, _TCP, tcp(1, 80))
    good6 = ip(_LAN6, _HUB6, _TCP, tcp(1, 80))
    cases = [
        ("header length", b"\x44" + good[1:]),
        ("longer header than packet", b"\x4f" + good[1:24]),
        ("total length beyond the packet", good[:2] + b"\0\xff" + good[4:]),
        ("total length below the header", good[:2] + b"\0\x13" + good[4:]),
        ("no IP", b"\x50" + good[1:]),
        ("routing with segments left", ip(_LAN6, _HUB6, 43, b"\x06\0\0\1" + bytes(4) + tcp(1, 2))),
        ("an extension beyond the packet", ip(_LAN6, _HUB6, 60, b"\x06\xff" + bytes(30))),
        ("extensions without end", ip(_LAN6, _HUB6, 60, (b"\x3c\0" + bytes(6)) * 9 + tcp(1, 2))),
        ("a jumbogram", ip(_LAN6, _HUB6, 0, b"")),
        ("UDP cut short", ip(_LAN, _HUB, _UDP, udp(1, 2)[:7])),
        ("ICMP cut short", ip(_LAN, _HUB, _ICMP, icmp(0)[:7])),
        ("TCP cut short", ip(_LAN, _HUB, _TCP, tcp(1, 80)[:19])),
    ]
    for whole in (good, good6):
        cases += [("the first %d octets" % n, whole[:n]) for n in range(len(whole))]
    for name, packet in cases:
        assert not allowed(judge, packet, OUT), name
    assert judge.dropped.nonzero() == {"unreadable": len(cases)}
    assert allowed(judge, good + b"padding", OUT)


def test_nothing_is_allocated():
    judge = Judge(table())
    packets = [
        (bytearray(packet), way)
        for packet, way in (
            (ip(_LAN, _HUB, _UDP, udp(999, 53)), OUT),
            (ip(_HUB, _LAN, _UDP, udp(53, 999)), INTO),
            (ip(_HUB6, _LAN6, _TCP, tcp(22, 1, ACK)), INTO),
            (ip(_HUB6, _LAN6, _TCP, tcp(22, 1)), INTO),
            (ip(_NICE, _GATEWAY, _ICMP, icmp(8)), HERE),
            (ip("fe80::1", "ff02::1:6", _UDP, udp(6696, 6696)), HERE),
            (ip(_STRANGER, _LAN, _TCP, tcp(1, 80)), INTO),
            (ip(_GATEWAY, _STRANGER, _TCP, tcp(1, 80)), SENT),
        )
    ]
    for buf, way in packets:
        judge.allows(buf, 0, len(buf), way, 5)
    verdict = True
    heap_lock(MACHINE_CODE)
    try:
        for buf, way in packets:
            verdict = judge.allows(buf, 0, len(buf), way, 5)
    finally:
        heap_unlock()
    assert verdict


def test_an_address_is_found_among_prefixes():
    prefixes = [
        parse_prefix(text)
        for text in ("10.0.0.0/9", "10.128.0.0/10", "192.168.0.0/31", "203.0.113.7", "8.0.0.0/7",
                     "fd00::/127", "fd00:0:0:8::/61", "::/1")
    ]
    packed = pack(prefixes + [parse_prefix("10.1.0.0/16"), parse_prefix("fd00::1")])
    assert texts(packed, 4) == [
        "8.0.0.0/7", "10.0.0.0/9", "10.128.0.0/10", "192.168.0.0/31", "203.0.113.7/32"]
    assert texts(packed, 16) == ["::/1", "fd00::/127", "fd00:0:0:8::/61"]
    for text, inside in (
        ("10.0.0.0", True), ("10.127.255.255", True), ("10.191.255.255", True),
        ("10.192.0.0", False), ("7.255.255.255", False), ("8.0.0.0", True),
        ("9.255.255.255", True), ("192.168.0.1", True), ("192.168.0.2", False),
        ("203.0.113.7", True), ("203.0.113.6", False), ("203.0.113.8", False),
        ("0.0.0.0", False), ("255.255.255.255", False),
        ("::", True), ("7fff::", True), ("8000::", False), ("fd00::1", True), ("fd00::2", False),
        ("fd00:0:0:f:ffff::", True), ("fd00:0:0:10::", False), ("fd00:0:0:7::", False),
    ):
        octets = parse_address(text)
        assert holds(packed, bytearray(b"\xff" + octets), 1, len(octets)) == inside, text
    assert not holds(pack([]), bytearray(4), 0, 4)
    assert holds(pack([parse_prefix("0.0.0.0/0")]), bytearray(unhex("ffffffff")), 0, 4)


def test_the_latest_flows_are_kept():
    judge = Judge(table())
    for port in range(1000):
        assert allowed(judge, ip(_LAN, _HUB, _UDP, udp(port, 53)), OUT)
        assert allowed(judge, ip(_HUB, _LAN, _UDP, udp(53, port)), INTO)
    kept = [p for p in range(1000) if allowed(judge, ip(_HUB, _LAN, _UDP, udp(53, p)), INTO)]
    assert 64 < len(kept) <= 128, len(kept)
