"""Probes of a far end by a raw socket, in a lab, on MicroPython and on CPython."""

import socket
import struct
from pathlib import Path

import pytest

from host_tests.interop.console import COMMANDS, Console
from host_tests.interop.openvpn_support import eventually
from host_tests.lab.netns import Lab
from host_tests.lab.ping import checksum

_IMPORTS = """
from branchline.hal.poller import Poller
from branchline.hal.linux.probe import Probe
from branchline.wire.ip import parse_address
poller = Poller()
came = []
def probe(device, target, identifier=0x1234):
    global p
    p = Probe(device, parse_address(target), identifier)
    poller.register(p, lambda readable, writable: drain())
def drain():
    woken.append(1)
    sequence = p.receive()
    while sequence is not None:
        came.append(sequence)
        sequence = p.receive()
def answers(ms=0):
    poller.wait(ms)
    found = list(came)
    came.clear()
    return found
woken = []
"""
_TARGETS = ("192.0.2.1", "2001:db8::1")


class Net:
    """A hub that answers, and a gateway with an interpreter on it."""

    def __init__(self, lab, interpreter):
        self.hub, self.gateway = lab.host("hub"), lab.host("gateway")
        self.link = lab.link(self.hub, self.gateway, "192.0.2.0/24", "2001:db8::/64")
        self.device = self.link.device(self.gateway)
        # Or the first packet to each waits for a neighbour discovery.
        for target in _TARGETS:
            eventually(lambda target=target: self.gateway.ping(target).received, "an answer")
        self.console = Console(self.gateway, interpreter, _IMPORTS)

    def __call__(self, code):
        return self.console(code)

    def probe(self, target, identifier=0x1234):
        self(f"probe('{self.device}', '{target}', {identifier})")

    def come(self, *expected):
        """Wait until exactly these sequences have come."""
        found = []

        def all_there():
            found.extend(self("answers(100)"))
            return len(found) >= len(expected)

        eventually(all_there, f"the answers {expected}")
        assert found == list(expected)

    def send_from_hub(self, source, packet):
        """An ICMP or ICMPv6 message of the hub's to the gateway, from that address of its own."""
        version = 6 if ":" in source else 4
        family, protocol = {
            4: (socket.AF_INET, socket.IPPROTO_ICMP), 6: (socket.AF_INET6, socket.IPPROTO_ICMPV6)
        }[version]  # fmt: skip

        def send():
            with socket.socket(family, socket.SOCK_RAW, protocol) as raw:
                raw.bind((source, 0))
                raw.sendto(packet, (self.link.address(self.gateway, version), 0))

        self.hub.call(send)


def _reply(version, identifier, sequence, kind=None):
    """An echo reply; the kernel fills in the checksum of ICMPv6."""
    kind = {4: 0, 6: 129}[version] if kind is None else kind
    packet = struct.pack("!BBHHH", kind, 0, 0, identifier, sequence) + b"x" * 8
    if version == 6:
        return packet
    return packet[:2] + struct.pack("!H", checksum(packet)) + packet[4:]


@pytest.fixture(params=list(COMMANDS))
def net(request):
    """A Net, on each interpreter."""
    with Lab() as lab:
        net = Net(lab, request.param)
        yield net
        net.console.close()


@pytest.mark.parametrize("target", _TARGETS)
def test_answers_come_back(net, target):
    net.probe(target)
    for sequence in (0, 1, 0xFF, 0x100, 0xFFFF):
        assert net(f"p.send({sequence})") is True
        net.come(sequence)
    net("[p.send(n) for n in range(5)]")
    net.come(0, 1, 2, 3, 4)
    assert net("p.counters.nonzero()") == {}
    net("poller.unregister(p)")
    net("p.close()")


@pytest.mark.parametrize("target", _TARGETS)
def test_what_is_not_ours_is_passed_over(net, target):
    version = 6 if ":" in target else 4
    other = "2001:db8::99" if version == 6 else "192.0.2.99"
    net.hub.ip("address", "add", other + ("/64" if version == 6 else "/24"), "dev",
               net.link.device(net.hub), *(["nodad"] if version == 6 else []))
    net.probe(target)
    net.send_from_hub(other, _reply(version, 0x1234, 1))  # another's address
    net.send_from_hub(target, _reply(version, 0x1235, 2))  # an answer to somebody else's ping
    net.send_from_hub(target, _reply(version, 0x1234, 3)[:7])  # cut off
    if version == 4:
        net.send_from_hub(target, _reply(4, 0x1234, 4)[:-1] + b"y")  # damaged
    net.send_from_hub(target, _reply(version, 0x1234, 5))
    net.come(5)
    assert net("p.counters.nonzero()")["not_ours"] >= 3


@pytest.mark.parametrize("target", _TARGETS)
def test_only_replies_wake_the_gateway(net, target):
    version = 6 if ":" in target else 4
    net.probe(target)
    # Requests, errors and neighbour discovery are others' business.
    kinds = {4: (8, 3, 11), 6: (128, 1, 136)}[version]
    for kind in kinds:
        net.send_from_hub(target, _reply(version, 0x1234, 7, kind))
    net("answers(300)")
    assert net("(len(woken), p.counters.nonzero())") == (0, {})


def test_two_probes_of_one_gateway_hear_their_own(net):
    net.probe("192.0.2.1", 1)
    net("poller.unregister(p); q = p")
    net.probe("192.0.2.1", 2)
    net("q.send(11)")
    net("p.send(22)")
    net.come(22)
    assert net("q.receive()") == 11 and net("q.receive()") is None


@pytest.mark.parametrize("target", ("192.0.2.77", "2001:db8::77"))
def test_a_target_that_is_silent(net, target):
    net.probe(target)
    for sequence in range(3):
        assert net(f"p.send({sequence})") is True
    assert net("answers(300)") == []
    # What comes of it is an error of the socket's at most.
    assert net("p.receive()") is None


def _link_local(host, device):
    """The link-local address of a device, once the kernel has found it to be its own."""
    def shown():
        return host.ip("-6", "-o", "address", "show", "scope", "link", "-tentative", "dev", device)

    eventually(shown, "a link-local address")
    return shown().split("inet6 ")[1].split("/")[0]


def test_a_link_local_target(net):
    _link_local(net.gateway, net.device)
    net.probe(_link_local(net.hub, net.link.device(net.hub)))
    net("p.send(9)")
    net.come(9)


@pytest.mark.parametrize("target", _TARGETS)
def test_a_device_that_goes_away(net, target):
    net.probe(target)
    net("p.send(1)")
    net.come(1)
    net.gateway.ip("link", "set", "dev", net.device, "down")
    assert net("p.send(2)") is False
    assert net("answers(200)") == []
    net.gateway.ip("link", "del", "dev", net.device)
    assert net("p.send(3)") is False
    assert net("answers(200)") == []
    assert net("p.counters.nonzero()")["not_sent"] == 2
    net("poller.unregister(p)")
    net("p.close()")


@pytest.mark.parametrize("target", (*_TARGETS, "fe80::1"))
def test_a_device_that_is_not_there(net, target):
    descriptors = Path(f"/proc/{net.console.pid}/fd")
    before = len(list(descriptors.iterdir()))
    code, text = net.console.refused(f"probe('absent', '{target}')")
    assert code == 19 and "absent" in text
    assert len(list(descriptors.iterdir())) == before


def test_probes_are_marked_as_network_control(net):
    """A full queue is to drop others first."""
    with net.hub.call(socket.socket, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        raw.settimeout(5)
        net.probe("192.0.2.1")
        net("p.send(1)")
        packet = raw.recv(200)
    assert packet[1] == 0xC0 and packet[20] == 8 and len(packet) == 20 + 56
