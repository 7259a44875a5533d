"""A Babel speaker that says what a test wants: malformed packets, forged routes, wrong MACs."""

import hashlib
import hmac
import socket
import struct
import time

from host_tests.lab.babel import MacKey
from host_tests.lab.errors import LabError
from host_tests.lab.netns import Host
from host_tests.lab.ping import checksum

_ETH_P_IPV6 = 0x86DD
_UDP = struct.Struct("!HHHH")  # ports, length, checksum
_PORT = 6696
_GROUP = "ff02::1:6"
_CHALLENGE_REQUEST, _CHALLENGE_REPLY = 18, 19
_TIMEOUT = 5.0


class BabelPeer:
    """A speaker beside the daemon on a hub's device, with a link-local address of its own.

        peer = BabelPeer(hub, "server", key=key)
        peer.authenticate()
        peer.send(tlvs)

    It reads and writes whole packets on the device: were the address the host's, the daemon
    might take it for itself.
    """

    def __init__(self, host: Host, device: str, address: str = "fe80::66",
                 key: MacKey | None = None):
        self.address = address
        self._octets = socket.inet_pton(socket.AF_INET6, address)
        self._key = key.secret.encode() if key else None
        self._counter = 0
        self._device = device
        self._socket = host.call(socket.socket, socket.AF_PACKET, socket.SOCK_DGRAM,
                                 socket.htons(_ETH_P_IPV6))
        host.call(self._socket.bind, (device, _ETH_P_IPV6))
        self._socket.settimeout(_TIMEOUT)
        host.lab.on_close(self._socket.close)

    def send(self, tlvs: bytes, to: str = _GROUP) -> None:
        """Send a packet with these TLVs, signed if there is a key."""
        self.send_raw(self.sign(tlvs, to), to)

    def send_raw(self, packet: bytes, to: str = _GROUP) -> None:
        """Send these octets."""
        target = socket.inet_pton(socket.AF_INET6, to)
        size = _UDP.size + len(packet)
        pseudo = self._octets + target + struct.pack("!II", size, socket.IPPROTO_UDP)
        unsummed = pseudo + _UDP.pack(_PORT, _PORT, size, 0) + packet
        datagram = _UDP.pack(_PORT, _PORT, size, checksum(unsummed) or 0xFFFF) + packet
        header = struct.pack("!IHBB", 6 << 28, size, socket.IPPROTO_UDP, 1)
        self._socket.sendto(header + self._octets + target + datagram,
                            (self._device, _ETH_P_IPV6))

    def sign(self, tlvs: bytes, to: str = _GROUP) -> bytes:
        """The packet with these TLVs and, if there is a key, a new counter and the MAC."""
        trailer = b""
        if self._key:
            self._counter += 1
            tlvs += tlv(17, struct.pack("!I", self._counter) + b"an index")
        packet = struct.pack("!BBH", 42, 2, len(tlvs)) + tlvs
        if self._key:
            ends = b"".join(socket.inet_pton(socket.AF_INET6, end) + struct.pack("!H", _PORT)
                            for end in (self.address, to))
            trailer = tlv(16, hmac.digest(self._key, ends + packet, hashlib.sha256))
        return packet + trailer

    def authenticate(self) -> None:
        """Say hello, and answer the challenge that comes (RFC 8967 4.3)."""
        self.send(hello(1))
        deadline = time.monotonic() + _TIMEOUT
        while time.monotonic() < deadline:
            packet = self._socket.recv(65535)
            sender, target = packet[8:24], packet[24:40]
            if target != self._octets:
                continue
            for kind, body in _tlvs(packet[40 + _UDP.size:]):
                if kind == _CHALLENGE_REQUEST:
                    self.send(tlv(_CHALLENGE_REPLY, body),
                              socket.inet_ntop(socket.AF_INET6, sender))
                    return
        raise LabError("no challenge came")


def tlv(kind: int, body: bytes) -> bytes:
    """A TLV with its header."""
    return bytes((kind, len(body))) + body


def hello(seqno: int, interval: int = 100) -> bytes:
    """A multicast Hello; interval in centiseconds."""
    return tlv(4, struct.pack("!HHH", 0, seqno & 0xFFFF, interval))


def ihu(interval: int = 300, rxcost: int = 96) -> bytes:
    """An IHU to whoever hears it."""
    return tlv(5, struct.pack("!BBHH", 0, 0, rxcost, interval))


def router_id(octets: bytes) -> bytes:
    """A Router-Id."""
    return tlv(6, bytes(2) + octets)


def next_hop(address: str) -> bytes:
    """A Next Hop of IPv4."""
    return tlv(7, bytes((1, 0)) + socket.inet_aton(address))


def update(prefix: str, seqno: int = 1, metric: int = 0, interval: int = 400) -> bytes:
    """An Update, without compression."""
    network, _, plen = prefix.partition("/")
    encoding, family = (2, socket.AF_INET6) if ":" in network else (1, socket.AF_INET)
    octets = socket.inet_pton(family, network)[:(int(plen) + 7) // 8]
    return tlv(8, struct.pack("!BBBBHHH", encoding, 0, int(plen), 0, interval, seqno, metric)
               + octets)


def _tlvs(packet: bytes):
    at, end = 4, 4 + struct.unpack_from("!H", packet, 2)[0]
    while at + 1 < end:
        yield packet[at], packet[at + 2:at + 2 + packet[at + 1]]
        at += 2 + packet[at + 1]
