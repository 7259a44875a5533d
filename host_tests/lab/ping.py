"""ICMP echo from a host of the lab, counted: without a `ping` program, IPv4 and IPv6."""

import contextlib
import dataclasses
import itertools
import os
import select
import socket
import struct
import threading
import time

_ECHO = {4: (8, 0), 6: (128, 129)}  # request and reply types
_MAX_DATAGRAM = 65535
# On a busy machine this thread may not run for a second: what comes meanwhile must find room, and
# what it owes must not overflow the queues in between.
_BUFFER = 8 << 20
_RCVBUFFORCE = 33  # SO_RCVBUFFORCE of Linux: beyond net.core.rmem_max
_OWES = 0.1  # seconds of requests that are sent late, close upon each other


@dataclasses.dataclass
class PingResult:
    """What came back; `rtts` in ms and `arrivals` (monotonic, in s) in the order of arrival.

    `sendings` are the moments of all requests.
    """

    sent: int = 0
    received: int = 0
    duplicates: int = 0
    rtts: list[float] = dataclasses.field(default_factory=list)
    arrivals: list[float] = dataclasses.field(default_factory=list)
    sendings: list[float] = dataclasses.field(default_factory=list)

    @property
    def lost(self) -> int:
        return self.sent - self.received

    @property
    def rtt(self) -> float:
        """The median round trip in ms; not a number when nothing came back."""
        return sorted(self.rtts)[len(self.rtts) // 2] if self.rtts else float("nan")

    @property
    def gap(self) -> float:
        """The longest time between two replies in s."""
        return max((b - a for a, b in itertools.pairwise(self.arrivals)), default=0.0)


class Pinger:
    """Pings one address every `interval` seconds, `size` octets of ICMP payload.

    Run it to a count with run(), or in the background as a context manager. Waits at most
    `timeout` seconds for the last replies.
    """

    def __init__(self, host, address: str, interval: float = 0.02, size: int = 56,
                 timeout: float = 2.0):
        self.result = PingResult()
        self._version = 6 if ":" in address else 4
        self._socket = host.call(self._open)
        self._address = address
        self._interval, self._timeout = interval, timeout
        self._padding = bytes(max(0, size - 4))
        self._identifier = int.from_bytes(os.urandom(2))
        self._pending: dict[int, float] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)

    def run(self, count: int) -> PingResult:
        """Send `count` requests, wait for the replies, return the result."""
        self._loop(count)
        return self.result

    def __enter__(self) -> "Pinger":
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stopping.set()
        self._thread.join()

    def _open(self) -> socket.socket:
        if self._version == 4:
            opened = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        else:
            protocol = socket.getprotobyname("ipv6-icmp")
            opened = socket.socket(socket.AF_INET6, socket.SOCK_RAW, protocol)
        with contextlib.suppress(PermissionError):  # in a user namespace of an old kernel
            opened.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, _BUFFER)
        return opened

    def _loop(self, count: int | None = None) -> None:
        with self._socket:
            due = time.monotonic()
            while not self._stopping.is_set() and self.result.sent != count:
                self._send()
                due = max(due + self._interval, time.monotonic() - _OWES)
                self._receive_until(due, all_back=self.result.sent == count)
            self._receive_until(time.monotonic() + self._timeout, all_back=True)

    def _send(self) -> None:
        sequence = self.result.sent & 0xFFFF
        self.result.sent += 1
        body = struct.pack("!HHI", self._identifier, sequence, self.result.sent) + self._padding
        packet = struct.pack("!BBH", _ECHO[self._version][0], 0, 0) + body
        if self._version == 4:  # the kernel fills in ICMPv6's
            packet = packet[:2] + struct.pack("!H", checksum(packet)) + packet[4:]
        self._pending[sequence] = time.monotonic()
        self.result.sendings.append(self._pending[sequence])
        with contextlib.suppress(OSError):  # no route is a lost packet here, not an error
            self._socket.sendto(packet, (self._address, 0))

    def _receive_until(self, deadline: float, all_back: bool) -> None:
        """Take replies until `deadline`, or, if `all_back`, until none is missing."""
        while not (all_back and not self._pending):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._socket], [], [], left)[0]:
                return
            packet = self._socket.recv(_MAX_DATAGRAM)
            if self._version == 4:
                packet = packet[(packet[0] & 15) * 4:]
            kind, _, _, identifier, sequence = struct.unpack_from("!BBHHH", packet)
            if kind == _ECHO[self._version][1] and identifier == self._identifier:
                self._count(sequence)

    def _count(self, sequence: int) -> None:
        sent_at = self._pending.pop(sequence, None)
        if sent_at is None:
            self.result.duplicates += 1
        else:
            now = time.monotonic()
            self.result.received += 1
            self.result.rtts.append((now - sent_at) * 1000)
            self.result.arrivals.append(now)


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF
