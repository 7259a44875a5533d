"""The hosts that a packet passes, as traceroute shows them, without the program."""

import os
import select
import socket
import struct
import time

from host_tests.lab.netns import Host
from host_tests.lab.ping import checksum

_ECHO, _REPLY, _EXCEEDED = 8, 0, 11
_MAX_HOPS = 10
_TIMEOUT = 1.0


def trace(host: Host, address: str, timeout: float = _TIMEOUT) -> list[str]:
    """The IPv4 addresses of the routers on the way, and that of the target if it answers.

    A router that does not answer is "*"; two in a row end the trace.
    """
    hops: list[str] = []
    identifier = int.from_bytes(os.urandom(2))
    with host.call(socket.socket, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as probe:
        while len(hops) < _MAX_HOPS and hops[-2:] != ["*", "*"]:
            number = len(hops) + 1
            probe.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, number)
            body = struct.pack("!HH", identifier, number)
            packet = struct.pack("!BBH", _ECHO, 0, checksum(bytes((_ECHO, 0)) + body)) + body
            try:
                probe.sendto(packet, (address, 0))
            except OSError:  # no route
                break
            hop = _answer(probe, body, time.monotonic() + timeout)
            hops.append(hop)
            if hop == address:
                break
    return hops


def _answer(probe: socket.socket, body: bytes, deadline: float) -> str:
    while (left := deadline - time.monotonic()) > 0:
        if select.select([probe], [], [], left)[0]:
            packet, (source, _) = probe.recvfrom(65535)
            message = packet[(packet[0] & 15) * 4:]
            if message[0] == _REPLY and message[4:8] == body:
                return source
            if message[0] == _EXCEEDED:
                inner = message[8:]  # the packet that was dropped
                if inner[(inner[0] & 15) * 4:][4:8] == body:
                    return source
    return "*"
