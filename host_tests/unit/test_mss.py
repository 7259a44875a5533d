"""Clamping of the MSS: what is a SYN, hostile option lists, and the limits of mssfix."""

from branchline.openvpn.mss import MssClamp, mss_limits
from support import unhex

_MSS_1460 = unhex("020405b4")
_SYN = 0x02
_ACK = 0x10


def _checksum(data):
    total = sum(
        data[i] << 8 | (data[i + 1] if i + 1 < len(data) else 0) for i in range(0, len(data), 2)
    )
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def _tcp(options, flags, offset=None, payload=b""):
    words = offset if offset is not None else 5 + len(options) // 4
    return (
        unhex("c35001bb00000001 00000000")
        + bytes([words << 4, flags])
        + unhex("faf000000000")
        + options
        + payload
    )


def _with_checksum(pseudo, tcp):
    value = _checksum(pseudo + bytes([0, 6, len(tcp) >> 8, len(tcp) & 255]) + tcp)
    return tcp[:16] + bytes([value >> 8, value & 255]) + tcp[18:]


def ipv4(tcp, fragment=0, protocol=6, options=b""):
    """An IPv4 packet with a right TCP checksum."""
    size = 20 + len(options) + len(tcp)
    addresses = unhex("0a000001 0a000002")
    return (
        bytes(
            [
                0x45 + len(options) // 4,
                0,
                size >> 8,
                size & 255,
                0,
                1,
                fragment >> 8,
                fragment & 255,
                64,
                protocol,
                0,
                0,
            ]
        )
        + addresses
        + options
        + _with_checksum(addresses, tcp)
    )


def ipv6(tcp, next_header=6):
    """An IPv6 packet with a right TCP checksum."""
    addresses = unhex("20010db8") + bytes(12) + unhex("20010db8") + bytes(11) + b"\x01"
    return (
        b"\x60\0\0\0"
        + bytes([len(tcp) >> 8, len(tcp) & 255, next_header, 64])
        + addresses
        + _with_checksum(addresses, tcp)
    )


def _clamp(packet, tap=False):
    buf = bytearray(b"\xee" * 5 + packet + b"\xee" * 5)
    MssClamp((1300, 1280), tap).apply(buf, 5, len(packet))
    assert buf[:5] == buf[-5:] == b"\xee" * 5
    return bytes(buf[5:-5])


_OTHER = unhex("0101080a 0000000100000000")  # NOP NOP timestamps
_ODD = unhex("01020405b4010100")  # the MSS option at an odd offset

# (name, options before, options after at 1300)
_OPTION_LISTS = (
    ("alone", _MSS_1460, unhex("02040514")),
    ("after others", _OTHER + _MSS_1460, _OTHER + unhex("02040514")),
    ("at an odd offset", _ODD, unhex("0102040514010100")),
    ("equal", unhex("02040514"), unhex("02040514")),
    ("already smaller", unhex("02040200"), unhex("02040200")),
    ("none", _OTHER, _OTHER),
    ("behind the end", unhex("00000000") + _MSS_1460, unhex("00000000") + _MSS_1460),
    ("wrong size", unhex("020305b4"), unhex("020305b4")),
    ("size zero", unhex("0800ffff") + _MSS_1460, unhex("0800ffff") + _MSS_1460),
    ("size one", unhex("0801ffff") + _MSS_1460, unhex("0801ffff") + _MSS_1460),
    ("size beyond the list", unhex("08ffffff") + _MSS_1460, unhex("08ffffff") + _MSS_1460),
    ("cut short", unhex("01010204"), unhex("01010204")),
)


def test_mss_option_is_lowered_with_a_right_checksum():
    for name, before, after in _OPTION_LISTS:
        for flags in (_SYN, _SYN | _ACK):
            assert _clamp(ipv4(_tcp(before, flags))) == ipv4(_tcp(after, flags)), name


def test_ipv6_has_its_own_limit():
    assert _clamp(ipv6(_tcp(_MSS_1460, _SYN))) == ipv6(_tcp(unhex("02040500"), _SYN))


def test_ipv4_header_options_are_passed_over():
    options = bytes([1] * 8)
    packet = ipv4(_tcp(_MSS_1460, _SYN), options=options)
    assert _clamp(packet) == ipv4(_tcp(unhex("02040514"), _SYN), options=options)


def test_other_packets_stay_as_they_are():
    syn = ipv4(_tcp(_MSS_1460, _SYN))
    for name, packet in (
        ("no SYN", ipv4(_tcp(_MSS_1460, _ACK))),
        ("fragment", ipv4(_tcp(_MSS_1460, _SYN), fragment=1)),
        ("UDP", ipv4(_tcp(_MSS_1460, _SYN), protocol=17)),
        ("IPv6 extension header", ipv6(_tcp(_MSS_1460, _SYN), next_header=0)),
        ("header length below 5", ipv4(_tcp(_MSS_1460, _SYN, offset=0))),
        ("IPv4 header length 0", b"\x40" + syn[1:]),
        ("IPv4 header beyond the packet", b"\x4f" + syn[1:]),
        ("not IP", b"\x50" + syn[1:]),
        ("empty", b""),
    ):
        assert _clamp(packet) == packet, name
    for size in range(len(syn)):
        assert _clamp(syn[:size]) == syn[:size], size


def test_tap_frames_with_and_without_vlan_tag():
    before = ipv4(_tcp(_MSS_1460, _SYN))
    after = ipv4(_tcp(unhex("02040514"), _SYN))
    macs = bytes(range(12))
    for tag in (b"", unhex("81000007")):
        head = macs + tag + b"\x08\x00"
        assert _clamp(head + before, tap=True) == head + after
        for size in range(len(head) + 40):
            assert _clamp((head + before)[:size], tap=True) == (head + before)[:size]


class _Data:
    def __init__(self, overhead):
        self._overhead = overhead

    def max_payload(self, size):
        return size - self._overhead


def test_limits_follow_the_manual_of_mssfix():
    # (arguments, IPv4 limit); the AEAD overhead of P_DATA_V2 is 24.
    for arguments, limit in (
        ((1492, "mtu", _Data(24)), 1492 - 28 - 24 - 40),
        ((1492, "mtu", _Data(24), True), 1492 - 48 - 24 - 40),
        ((1492, "mtu", _Data(24), False, True), 1492 - 40 - 2 - 24 - 40),
        ((1492, "mtu", _Data(24), False, False, True), 1492 - 28 - 24 - 14 - 40),
        ((1450, "", _Data(24)), 1450 - 24 - 40),
        ((1400, "fixed", _Data(24), True, True, True), 1360),
        ((30, "mtu", _Data(24)), 0),
    ):
        assert mss_limits(*arguments) == (limit, max(0, limit - 20)), arguments
    assert mss_limits(0, "mtu", _Data(24)) is None
