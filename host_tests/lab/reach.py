"""Which addresses answer a ping, many at once and fewer packets than a Pinger for each."""

import contextlib
import os
import select
import socket
import struct
import time

from host_tests.lab.netns import Host
from host_tests.lab.ping import checksum

_ECHO, _REPLY = 8, 0
_AGAIN = 0.4  # seconds until whoever is silent is asked again


def answering(host: Host, addresses: list[str], timeout: float = 1.5) -> set[str]:
    """The IPv4 addresses that answer echo requests from a host in time, lost ones repeated."""
    silent = {number: address for number, address in enumerate(dict.fromkeys(addresses))}
    known = set(silent.values())
    identifier = int.from_bytes(os.urandom(2))
    deadline = time.monotonic() + timeout
    with host.call(socket.socket, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as probe:
        while silent and (now := time.monotonic()) < deadline:
            for number, address in silent.items():
                with contextlib.suppress(OSError):  # no route
                    probe.sendto(_request(identifier, number), (address, 0))
            until = min(deadline, now + _AGAIN)
            while silent and (left := until - time.monotonic()) > 0:
                if select.select([probe], [], [], left)[0]:
                    packet, (source, _) = probe.recvfrom(65535)
                    kind, code, _, who, number = struct.unpack_from(
                        "!BBHHH", packet, (packet[0] & 15) * 4)
                    if (kind, code, who) == (_REPLY, 0, identifier) \
                            and silent.get(number) == source:
                        del silent[number]
    return known - set(silent.values())


def _request(identifier: int, number: int) -> bytes:
    packet = struct.pack("!BBHHH", _ECHO, 0, 0, identifier, number)
    return packet[:2] + struct.pack("!H", checksum(packet)) + packet[4:]
