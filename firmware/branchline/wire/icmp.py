"""ICMP echo, IPv4 (RFC 792) and IPv6 (RFC 4443 section 4): requests written, replies read."""

from micropython import const

HEADER = const(8)
_TYPES = {4: (8, 0), 16: (128, 129)}  # octets of an address: types of request and reply


def checksum(buf, start, end):
    """The Internet checksum (RFC 1071) of buf[start:end]; 0 for what contains its own."""
    total = 0
    for i in range(start, end - 1, 2):
        total += buf[i] << 8 | buf[i + 1]
    if (end - start) & 1:
        total += buf[end - 1] << 8
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def write_request(buf, n, size, identifier, sequence):
    """Makes buf[:n] an echo request to an address of `size` octets (4 or 16).

    What is behind the header stays. The kernel fills in the checksum of ICMPv6, which covers the
    addresses.
    """
    buf[0] = _TYPES[size][0]
    buf[1] = buf[2] = buf[3] = 0
    buf[4] = identifier >> 8
    buf[5] = identifier & 0xFF
    buf[6] = sequence >> 8
    buf[7] = sequence & 0xFF
    if size == 4:
        code = checksum(buf, 0, n)
        buf[2] = code >> 8
        buf[3] = code & 0xFF


def read_reply(buf, start, end, size, identifier):
    """The sequence of the echo reply in buf[start:end], or -1 if it is none to that identifier."""
    if end - start < HEADER or buf[start] != _TYPES[size][1] or buf[start + 1]:
        return -1
    if buf[start + 4] << 8 | buf[start + 5] != identifier:
        return -1
    if size == 4 and checksum(buf, start, end):
        return -1
    return buf[start + 6] << 8 | buf[start + 7]
