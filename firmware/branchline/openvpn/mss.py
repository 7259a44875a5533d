"""mssfix: lowers the TCP maximum segment size in SYN packets, so that what they announce fits.

Works in place and mends the checksum (RFC 1624). Packets that are cut short, fragments and
option lists that do not add up are left as they are.
"""

import micropython
from micropython import const

_IPV4 = const(20)
_IPV6 = const(40)
_TCP = const(20)
_UDP = const(8)
_TCP_LENGTH = const(2)  # OpenVPN's own, before each packet over TCP
_ETHERNET = const(14)
_OPTION_END = const(0)
_OPTION_NOP = const(1)
_OPTION_MSS = const(2)
_MSS_SIZE = const(4)


@micropython.viper
def _payload_at(buf: ptr8, at: int) -> int:
    """The offset of what an Ethernet frame carries, behind one VLAN tag if there is one."""
    return at + 18 if int(buf[at + 12]) == 0x81 and int(buf[at + 13]) == 0 else at + 14


@micropython.viper
def _syn_at(buf: ptr8, at: int, end: int) -> int:
    """The offset of the TCP header of the IP packet at buf[at:end] if it is a SYN; 0 if not."""
    if end - at < 40:
        return 0
    version = int(buf[at]) >> 4
    if version == 4:
        fragment = (int(buf[at + 6]) & 0x1F) | int(buf[at + 7])
        if int(buf[at + 9]) != 6 or fragment:
            return 0
        header = (int(buf[at]) & 15) << 2
        if header < 20:
            return 0
        at += header
    elif version == 6 and int(buf[at + 6]) == 6:
        at += 40
    else:
        return 0
    if end - at < 20 or int(buf[at + 13]) & 2 == 0:
        return 0
    return at


def _option_at(buf, tcp, end):
    """The offset of the value of the MSS option in a TCP header; 0 without one."""
    end = min(end, tcp + (buf[tcp + 12] >> 4 << 2))
    at = tcp + _TCP
    while at + _MSS_SIZE <= end and buf[at] != _OPTION_END:
        if buf[at] == _OPTION_NOP:
            at += 1
            continue
        size = buf[at + 1]
        if size < 2:
            return 0
        if buf[at] == _OPTION_MSS and size == _MSS_SIZE:
            return at + 2
        at += size
    return 0


def _lower(buf, tcp, at, limit):
    """Sets the MSS at buf[at] to at most limit, and the checksum of the TCP header."""
    mss = buf[at] << 8 | buf[at + 1]
    if mss <= limit:
        return
    buf[at] = limit >> 8
    buf[at + 1] = limit & 255
    if (at - tcp) & 1:
        # At an odd offset the two octets belong to different 16-bit words of the sum.
        mss = (mss & 255) << 8 | mss >> 8
        limit = (limit & 255) << 8 | limit >> 8
    checksum = buf[tcp + 16] << 8 | buf[tcp + 17]
    # RFC 1624 equation 3: HC' = ~(~HC + ~m + m').
    total = (checksum ^ 0xFFFF) + (mss ^ 0xFFFF) + limit
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16) ^ 0xFFFF
    buf[tcp + 16] = total >> 8
    buf[tcp + 17] = total & 255


class MssClamp:
    """limits: the largest MSS over (IPv4, IPv6), see mss_limits; tap: Ethernet frames."""

    def __init__(self, limits, tap=False):
        self._ipv4, self._ipv6 = limits
        self._tap = tap

    def apply(self, buf, at, n):
        """Clamps the packet or frame buf[at:at + n] (buf: bytearray) if it is a TCP SYN."""
        if self._tap:
            if n < _ETHERNET:
                return
            n += at
            at = _payload_at(buf, at)
            n -= at
        # Few names, so that MicroPython keeps the frame on the C stack.
        tcp = _syn_at(buf, at, at + n)
        if tcp:
            self._clamp(buf, at, tcp, n)

    def _clamp(self, buf, at, tcp, n):
        option = _option_at(buf, tcp, at + n)
        if option:
            _lower(buf, tcp, option, self._ipv4 if buf[at] >> 4 == 4 else self._ipv6)


def mss_limits(mssfix, mode, data, ipv6=False, tcp=False, tap=False):
    """The largest MSS for TCP over (IPv4, IPv6) in the tunnel, or None when mssfix is 0.

    mssfix, mode: as in the manual, in octets: "mtu" limits the outer IP packet, "fixed" the
    inner one, "" the transport's payload. data: for its max_payload (openvpn.data.DataChannel);
    ipv6, tcp: what the tunnel's own packets travel by.
    """
    if not mssfix:
        return None
    if mode == "fixed":
        size = mssfix
    else:
        if mode == "mtu":
            mssfix -= (_IPV6 if ipv6 else _IPV4) + (_TCP if tcp else _UDP)
        if tcp:
            mssfix -= _TCP_LENGTH
        size = data.max_payload(mssfix) - (_ETHERNET if tap else 0)
    return max(0, size - _IPV4 - _TCP), max(0, size - _IPV6 - _TCP)
