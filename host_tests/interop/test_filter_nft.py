"""The two ways in which the policy is enforced agree: the kernel's nftables with what filter.nft
has made, and filter.judge, on the same packets."""

import fcntl
import os
import random
import struct
import subprocess

import pytest
from test_filter import ACK, RST, SYN, SYN_ACK, icmp, ip, table, tcp, udp

from branchline.filter.judge import HERE, INTO, OUT, THROUGH, Judge
from branchline.filter.nft import nft_text
from branchline.hal.linux.nf_tables import NfTables

_TUNSETIFF, _TUN_NO_PI = 0x400454CA, 0x1001
_TUNNEL, _OTHER, _LAN = "bl-paris", "bl-dublin", "lan0"
_ADDRESSES = {_TUNNEL: ["10.8.1.7/24"], _OTHER: ["10.8.2.7/24"],
              _LAN: ["192.168.11.1/24", "fd00:11::1/64"]}
_ROUTES = {_TUNNEL: ["10.1.0.0/16", "192.168.12.0/24", "fd00:1::/64", "fd00:2::/64"],
           _OTHER: ["10.3.0.0/16"], _LAN: ["203.0.113.0/24", "2001:db8::/64"]}
_LANS = ("192.168.11.", "203.0.113.", "fd00:11:", "2001:db8:", "10.100.0.11", "10.8.1.7")
# What a packet passes before our own chains, when the kernel has taken it.
_REACHED = """
add counter inet branchline reached
add chain inet branchline first { type filter hook forward priority -5; }
add rule inet branchline first counter name "reached"
add chain inet branchline second { type filter hook input priority -5; }
add rule inet branchline second counter name "reached"
"""
_REMOTE = ["10.1.0.9", "192.168.12.5", "10.3.0.1", "203.0.113.1", "10.8.1.1", "192.168.11.8"]
_LOCAL = ["192.168.11.7", "10.100.0.11", "10.8.1.7", "203.0.113.9", "10.3.0.9"]
_REMOTE6 = ["fd00:1::9", "fd00:2::9", "fd00:11::8"]
_LOCAL6 = ["fd00:11::7", "fd00:11::1", "2001:db8::7"]
_PORTS = [22, 80, 4999, 5000, 5010, 5011]
_PAD = b"\x01\x04\0\0\0\0"  # an option of six octets that does nothing


def open_tun(name: str) -> int:
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH14x", name.encode(), _TUN_NO_PI))
    return fd


class Kernel:
    """A gateway without a gateway's process: devices, addresses, routes and the rules."""

    def __init__(self, host):
        self.devices = {name: host.call(open_tun, name) for name in _ADDRESSES}
        for name, addresses in _ADDRESSES.items():
            host.ip("link", "set", name, "up")
            for address in addresses:
                host.ip("address", "add", address, "dev", name, *(["nodad"] * (":" in address)))
            for prefix in _ROUTES[name]:
                host.ip("-6" if ":" in prefix else "-4", "route", "add", prefix, "dev", name)
        host.ip("address", "add", "10.100.0.11/32", "dev", "lo")
        text = nft_text(table(), [_TUNNEL, _OTHER])
        for _ in range(2):  # loading replaces what is there
            host.call(subprocess.run, ["nft", "-f", "-"], input=text.encode(), check=True)
        host.call(subprocess.run, ["nft", "-f", "-"], input=_REACHED.encode(), check=True)
        self.tables = host.call(NfTables)
        assert self.tables.owner() == "ours" and self.tables.dropped() == (0, 0)

    def allows(self, device: str, *packets: bytes) -> bool | None:
        """Whether they pass, as one if they are fragments; None: the kernel saw nothing in them
        to forward or take."""
        before = self.tables.counters()
        for packet in packets:
            os.write(self.devices[device], packet)
        after = self.tables.counters()
        if after[b"reached"] == before[b"reached"]:
            return None
        dropped = [after[name] - before[name] for name in (b"spoofed", b"denied")]
        assert sum(dropped) <= 1
        return not any(dropped)


@pytest.fixture
def kernel(lab):
    host = lab.host("gateway")
    kernel = Kernel(host)
    yield kernel
    assert kernel.tables.sweep() and not kernel.tables.sweep()
    host.run("nft", "add", "table", "inet", "branchline")
    assert kernel.tables.owner() == "theirs" and not kernel.tables.sweep()
    for fd in kernel.devices.values():
        os.close(fd)


def way_of(device: str, target: str) -> int:
    if device == _LAN:
        return OUT
    if target in ("10.100.0.11", "10.8.1.7", "192.168.11.1", "fd00:11::1"):
        return HERE
    return THROUGH if target.startswith("10.3.") else INTO


def compare(kernel, judge, device, source, target, *packets) -> bool | None:
    """What both say of a packet, or of a whole one in fragments."""
    expected = kernel.allows(device, *map(summed, packets))
    if expected is None:
        return None
    if device == _LAN and target.startswith(_LANS):
        assert expected, "from LAN to LAN, or to the Internet: no matter of ours"
        return None
    way = way_of(device, target)
    verdicts = [judge.allows(bytearray(each), 0, len(each), way, 0) for each in packets]
    assert all(verdicts) == expected, (device, source, target, [each.hex() for each in packets])
    return expected


def summed(packet: bytes) -> bytes:
    """With the checksum of the IPv4 header, without which the kernel takes nothing."""
    if packet[0] >> 4 != 4:
        return packet
    size = (packet[0] & 15) * 4
    total = sum(struct.unpack(f">{size // 2}H", packet[:size]))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return packet[:10] + struct.pack(">H", total ^ 0xFFFF) + packet[12:]


def random_packets(seed: int, count: int):
    """(device, source, target, packet), each of a flow of its own."""
    chance = random.Random(seed)
    for number in range(count):
        remotes, locals_ = chance.choice([(_REMOTE, _LOCAL), (_REMOTE, _LOCAL),
                                          (_REMOTE6, _LOCAL6)])
        device = chance.choice([_TUNNEL, _LAN])
        ends = [chance.choice(remotes), chance.choice(locals_)]
        source, target = ends if device == _TUNNEL else reversed(ends)
        own, service = 20000 + number, chance.choice(_PORTS)
        ports = chance.choice([(own, service), (service, own)])
        six = ":" in source
        protocol, payload = chance.choice([
            (6, tcp(*ports, chance.choice([SYN, ACK, SYN_ACK, RST, 1, 0]))),
            (6, tcp(*ports)),
            (17, udp(*ports)),
            (58, icmp(chance.choice([1, 2, 3, 4, 128, 129]))) if six else
            (1, icmp(chance.choice([0, 3, 5, 8, 11, 12, 13]))),
        ])
        if six and chance.random() < 0.3:
            protocol, payload = chance.choice([0, 60]), bytes([protocol, 0]) + _PAD + payload
        options = b"\x01" * 8 if not six and chance.random() < 0.1 else b""
        yield device, source, target, ip(source, target, protocol, payload, options=options)


def test_single_packets(kernel):
    judge = Judge(table())
    answers = [compare(kernel, judge, *each) for each in random_packets(1, 1500)]
    assert answers.count(True) > 200 and answers.count(False) > 200, "too little was seen"


def test_answers_of_what_only_connection_tracking_knows(kernel):
    judge = Judge(table())
    lan, hub, nice = "192.168.11.7", "10.1.0.9", "192.168.12.5"
    for name, device, source, target, protocol, payload, expected in (
        ("unasked", _TUNNEL, hub, lan, 17, udp(53, 999), False),
        ("a question", _LAN, lan, hub, 17, udp(999, 53), True),
        ("its answer", _TUNNEL, hub, lan, 17, udp(53, 999), True),
        ("another one", _TUNNEL, hub, lan, 17, udp(53, 998), False),
        ("a protocol without ports", _LAN, lan, hub, 99, b"x" * 20, True),
        ("its answer", _TUNNEL, hub, lan, 99, b"x" * 20, True),
        ("from elsewhere", _TUNNEL, nice, lan, 99, b"x" * 20, False),
        ("neighbours' ICMPv6", _TUNNEL, "fe80::1", "ff02::1", 58, icmp(134), True),
        ("nothing else of theirs", _TUNNEL, "fe80::1", "ff02::1", 17, udp(1, 53), False),
        ("Babel", _TUNNEL, "fe80::1", "ff02::1", 17, udp(6696, 6696), True),
    ):
        way = HERE if target == "ff02::1" else way_of(device, target)
        packet = ip(source, target, protocol, payload)
        assert kernel.allows(device, summed(packet)) == expected, name
        assert judge.allows(bytearray(packet), 0, len(packet), way, 0) == expected, name


def test_packets_in_fragments(kernel):
    judge = Judge(table())
    seen = []
    for number, (port, device) in enumerate(
            [(port, device) for port in _PORTS for device in (_TUNNEL, _LAN)]):
        source, target = "192.168.12.5", "192.168.11.7"
        ports = (20000 + number, port)
        if device == _LAN:
            source, target, ports = target, source, ports[::-1]
        datagram = struct.pack(">HHHH", *ports, 40, 0) + bytes(32)
        first = ip(source, target, 17, datagram[:16], 0x2000)
        rest = ip(source, target, 17, datagram[16:], 2)
        parts = [part[:4] + struct.pack(">H", number + 1) + part[6:] for part in (first, rest)]
        seen.append(compare(kernel, judge, device, source, target,
                            *(parts if number % 4 < 2 else parts[::-1])))
    assert seen.count(True) == 4 and seen.count(False) == 8


def test_a_packet_that_is_routed_on_by_itself(kernel):
    judge = Judge(table())
    for left, expected in ((0, True), (1, False)):
        header = bytes([6, 2, 4, left]) + bytes(20)
        packet = ip("fd00:11::7", "fd00:1::9", 43, header + tcp(1, 22))
        assert kernel.allows(_LAN, packet) == expected
        assert judge.allows(bytearray(packet), 0, len(packet), OUT, 0) == expected
