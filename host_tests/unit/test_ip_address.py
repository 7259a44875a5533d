"""Addresses and prefixes: text to octets and back (RFC 4291 2.2, RFC 5952)."""

from branchline.wire import ip
from support import raises, unhex

_IPV4 = (
    ("0.0.0.0", "00000000"),
    ("192.168.11.254", "c0a80bfe"),
    ("255.255.255.255", "ffffffff"),
)

_BAD_IPV4 = (
    "", ".", "1.2.3", "1.2.3.4.5", "1.2.3.", "256.1.1.1", "01.2.3.4", "1.2.3.4 ", " 1.2.3.4",
    "+1.2.3.4", "-1.2.3.4", "1.2.3.0x4", "1.2.3.1e1", "1.2.3.99999999", "1.2.3.٣", "1..2.3",
)  # fmt: skip

# (text, octets, canonical text)
_IPV6 = (
    ("::", "00" * 16, "::"),
    ("::1", "00" * 15 + "01", "::1"),
    ("1::", "0001" + "00" * 14, "1::"),
    ("2001:DB8:0:0:1:0:0:1", "20010db8 00000000 00010000 00000001", "2001:db8::1:0:0:1"),
    ("2001:db8:0:1:1:1:1:1", "20010db8 00000001 00010001 00010001", "2001:db8:0:1:1:1:1:1"),
    ("2001:0db8::0001", "20010db8" + "00" * 11 + "01", "2001:db8::1"),
    ("2001:0:0:1:0:0:0:1", "20010000 00000001 00000000 00000001", "2001:0:0:1::1"),
    ("::ffff:192.0.2.1", "00" * 10 + "ffffc0000201", "::ffff:192.0.2.1"),
    ("64:ff9b::192.0.2.33", "0064ff9b" + "00" * 8 + "c0000221", "64:ff9b::c000:221"),
    ("1:2:3:4:5:6:7:8", "0001000200030004 0005000600070008", "1:2:3:4:5:6:7:8"),
    ("fe80::", "fe80" + "00" * 14, "fe80::"),
    ("1:2:3:4:5:6:7::", "0001000200030004 0005000600070000", "1:2:3:4:5:6:7:0"),
)

_BAD_IPV6 = (
    ":", ":::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "1:2:3:4:5:6:7:8::", "12345::",
    ":1:2:3:4:5:6:7", "1:2:3:4:5:6:7:", "g::", "::1%eth0", "[::1]", "1.2.3.4::", "::1.2.3.4:1",
    "::1.2.3", ":: 1", "::-1", "1:2:3:4:5:6:7:1.2.3.4",
)  # fmt: skip

_BAD_PREFIXES = (
    "10.0.0.0/", "10.0.0.0/33", "10.0.0.1/8", "fd00::/129", "fd00::1/64", "10.0.0.0/08",
    "/8", "10.0.0.0/8/8", "10.0.0.0/-1",
)  # fmt: skip


def test_ipv4_text_and_octets():
    for text, octets in _IPV4:
        assert ip.parse_ipv4(text) == unhex(octets), text
        assert ip.parse_address(text) == unhex(octets), text
        assert ip.format_address(unhex(octets)) == text, text


def test_bad_ipv4_is_refused():
    for text in _BAD_IPV4:
        raises(ValueError, ip.parse_ipv4, text)


def test_ipv6_text_is_canonical_rfc5952():
    for text, octets, canonical in _IPV6:
        assert ip.parse_ipv6(text) == unhex(octets), text
        assert ip.parse_address(text) == unhex(octets), text
        assert ip.format_address(unhex(octets)) == canonical, text
        assert ip.parse_ipv6(canonical) == unhex(octets), text


def test_bad_ipv6_is_refused():
    for text in _BAD_IPV6:
        raises(ValueError, ip.parse_ipv6, text)


def test_prefixes():
    assert ip.parse_prefix("10.0.0.0/8") == (unhex("0a000000"), 8)
    assert ip.parse_prefix("0.0.0.0/0") == (bytes(4), 0)
    assert ip.parse_prefix("10.1.2.3") == (unhex("0a010203"), 32)
    assert ip.parse_prefix("fd00:1::/32") == (unhex("fd000001") + bytes(12), 32)
    assert ip.parse_prefix("::/0") == (bytes(16), 0)
    assert ip.format_prefix(unhex("0a000000"), 8) == "10.0.0.0/8"
    assert ip.format_prefix(unhex("fd000001") + bytes(12), 32) == "fd00:1::/32"
    for text in _BAD_PREFIXES:
        raises(ValueError, ip.parse_prefix, text)


def test_masked_clears_host_bits():
    assert ip.masked(unhex("c0a80bfe"), 20) == unhex("c0a80000")
    assert ip.masked(unhex("c0a80bfe"), 31) == unhex("c0a80bfe")
    assert ip.masked(unhex("ff" * 16), 65) == unhex("ffffffffffffffff8000000000000000")


def test_netmask_length():
    table = (
        ("00000000", 0),
        ("80000000", 1),
        ("ffffff00", 24),
        ("fffffffe", 31),
        ("ffffffff", 32),
    )
    for octets, plen in table:
        assert ip.netmask_length(unhex(octets)) == plen
    for octets in ("ff00ff00", "00000001", "7fffffff"):
        raises(ValueError, ip.netmask_length, unhex(octets))


def test_only_4_or_16_octets_are_an_address():
    for n in (0, 3, 5, 15, 17):
        raises(ValueError, ip.format_address, bytes(n))
