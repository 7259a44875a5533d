"""hal.linux.rtnetlink: messages octet by octet (little-endian hosts) and as read back."""

import struct
import sys

from branchline.hal.linux import rtnetlink as rt
from branchline.wire import ip
from branchline.wire.errors import ProtocolError
from support import raises, unhex

_VIA4 = ip.parse_ipv4("10.8.0.1")
_VIA6 = ip.parse_ipv6("fe80::1")


def _route(prefix, **more):
    return rt.make_route(*ip.parse_prefix(prefix), **more)


_ROUTES = (
    _route("10.0.0.0/8", via=_VIA4, dev=3, metric=50),
    _route("10.0.0.0/8", dev=3, source=ip.parse_ipv4("10.100.0.11")),
    _route("0.0.0.0/0", via=_VIA4, onlink=True, dev=3, protocol=4),
    _route("10.0.0.0/8", via=_VIA6, dev=3),
    _route("192.168.0.0/16", kind=rt.UNREACHABLE, metric=0xFFFFFFFF),
    _route("fd00::/8", via=_VIA6, dev=3, metric=1024),
    _route("::/0", dev=7, table=1000, metric=1),
)


def test_requests():
    assert sys.byteorder == "little"
    for name, octets, expected in (
        ("header", rt.request(rt.GETROUTE, rt.DUMP, 7, b"abcd"),
         "14000000 1a00 0503 07000000 00000000 61626364"),
        ("attribute, padded", rt.attribute(3, b"tun0\0"), "0900 0300 74756e30 00 000000"),
        ("attribute, number", rt.attribute(4, 1500), "0800 0400 dc050000"),
        ("link up", rt.link_body(3, up=True, mtu=1400),
         "00 00 0000 03000000 01000000 01000000 0800 0400 78050000"),
        ("link down", rt.link_body(3, up=False, txqueuelen=500),
         "00 00 0000 03000000 00000000 01000000 0800 0d00 f4010000"),
        ("dummy", rt.named_link_body("d0", b"dummy"),
         "00 00 0000 00000000 00000000 00000000 0700 0300 643000 00"
         "1000 1200 0900 0100 64756d6d79 000000"),
        ("IPv4 peer address", rt.address_body(3, b"\n\x08\0\2", 32, b"\n\x08\0\1"),
         "02 20 00 00 03000000 0800 0200 0a080002 0800 0100 0a080001"),
        ("IPv4 route", rt.route_body(_ROUTES[0]),
         "02 08 00 00 fe c9 00 01 00000000 0800 0f00 fe000000 0800 0100 0a000000"
         "0800 0500 0a080001 0800 0400 03000000 0800 0600 32000000"),
        ("IPv4 route without gateway has link scope", rt.route_body(_ROUTES[1])[:12],
         "02 08 00 00 fe c9 fd 01 00000000"),
        ("deletion of any scope", rt.route_body(_ROUTES[1], deleting=True)[:12],
         "02 08 00 00 fe c9 ff 01 00000000"),
        ("onlink", rt.route_body(_ROUTES[2])[:12], "02 00 00 00 fe 04 00 01 04000000"),
        ("RTA_VIA", rt.route_body(_ROUTES[3])[28:50],
         "1600 1200 0a00 fe800000000000000000000000000001"),
        ("lookup", rt.lookup_body(b"\n\0\0\1"),
         "02 20 0000 0000 0000 00000000 0800 0100 0a000001"),
    ):
        assert octets == unhex(expected), name


def test_routes_are_read_as_written():
    for route in _ROUTES:
        message = rt.request(rt.NEWROUTE, 0, 9, rt.route_body(route))
        ((kind, _, seq, start, end),) = list(rt.messages(message, len(message)))
        assert (kind, seq) == (rt.NEWROUTE, 9)
        assert rt.read_route(message, start, end) == route, rt.route_text(route)


def test_route_texts():
    for route, text in zip(
        _ROUTES,
        (
            "10.0.0.0/8 via 10.8.0.1 dev #3 metric 50",
            "10.0.0.0/8 dev #3",
            "0.0.0.0/0 via 10.8.0.1 dev #3",
            "10.0.0.0/8 via fe80::1 dev #3",
            "unreachable 192.168.0.0/16 metric 4294967295",
            "fd00::/8 via fe80::1 dev #3 metric 1024",
            "::/0 dev #7 metric 1",
        ),
    ):
        assert rt.route_text(route) == text


def test_link_is_read():
    body = rt.link_body(5, up=True, mtu=1400) + rt.attribute(3, b"tun0\0")
    assert rt.read_link(body, 0, len(body)) == rt.Link(5, "tun0", True, 1400)


def test_the_state_of_a_link_is_read():
    for name, flags, expected in (
        ("down", 0x1002, False),
        ("up without a carrier", 0x1003, False),
        ("carrier but down", 0x11002, False),
        ("up with a carrier", 0x11043, True),
    ):
        body = struct.pack("<BBHiII", 0, 0, 1, 5, flags, 0)
        assert rt.read_link_state(body, 0, len(body)) == (5, expected), name


def test_addresses_are_read():
    own = ip.parse_ipv4("10.9.0.2")
    permanent = rt.attribute(8, 0x280)
    for name, body, expected in (
        ("IPv4", rt.address_body(3, own, 24), (3, own, 24, 0)),
        ("with a peer", rt.address_body(3, own, 32, _VIA4), (3, own, 32, 0)),
        ("IPv6", rt.address_body(3, _VIA6, 64), (3, _VIA6, 64, 2)),
        ("more flags", rt.address_body(3, own, 24) + permanent, (3, own, 24, 0x280)),
        ("IFA_ADDRESS alone", unhex("0a4080fd 03000000") + rt.attribute(1, _VIA6),
         (3, _VIA6, 64, 0x80)),
    ):  # fmt: skip
        assert rt.read_address(body, 0, len(body)) == rt.Address(*expected), name
    bare = unhex("02180000 03000000")
    for octets in (bare, bare + rt.attribute(2, _VIA6)):
        raises(ProtocolError, rt.read_address, octets, 0, len(octets))


def test_errors_are_read():
    request = rt.request(rt.NEWROUTE, 0, 1, b"")
    refused = unhex("efffffff") + request  # -17
    explained = refused + rt.attribute(1, b"Nexthop has invalid gateway.\0")
    for name, octets, flags, expected in (
        ("acknowledgement", unhex("00000000") + request, 0, (0, "")),
        ("error", refused, 0, (17, "")),
        ("explanation", explained, 0x200, (17, "Nexthop has invalid gateway.")),
        ("attributes only where announced", explained, 0, (17, "")),
    ):
        assert rt.read_error(octets, flags, 0, len(octets)) == expected, name


def test_bad_octets_are_refused():
    good = rt.request(rt.NEWROUTE, 0, 1, rt.route_body(_ROUTES[0]))
    for name, octets in (
        ("cut header", good[:10]),
        ("cut body", good[:-4]),
        ("length below the header's", unhex("0f000000") + good[4:]),
    ):
        try:
            list(rt.messages(octets, len(octets)))
        except ProtocolError:
            continue
        raise AssertionError(name)
    for octets in (unhex("0300 0100"), unhex("0000 0100"), unhex("0900 0100 61626364")):
        raises(ProtocolError, rt.attributes, octets, 0, len(octets))
    raises(ProtocolError, rt.read_route, good, 16, 20)
