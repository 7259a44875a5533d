"""Prefixes as dict keys: an octet of family (1 IPv4, 2 IPv6), one of length, then the prefix.

Only the octets that the length covers are kept and the bits behind it are zero, so that two
keys are equal exactly when the prefixes are.
"""

from micropython import const

from branchline.wire.ip import format_address

IPV4 = const(1)
IPV6 = const(2)
# The first two octets name the family and the length.
OFFSET = const(2)


def prefix_key(address, plen):
    """The key of address (4 or 16 octets)/plen; bits behind plen do not matter."""
    size = (plen + 7) >> 3
    octets = bytearray(OFFSET + size)
    octets[0] = IPV4 if len(address) == 4 else IPV6
    octets[1] = plen
    octets[OFFSET:] = address[:size]
    if plen & 7:
        octets[-1] &= 0xFF00 >> (plen & 7)
    return bytes(octets)


def address_size(key):
    """4 for an IPv4 key, 16 for an IPv6 one."""
    return 4 if key[0] == IPV4 else 16


def address(key):
    """The prefix of a key, padded with zeros to 4 or 16 octets."""
    return key[OFFSET:] + bytes(address_size(key) + OFFSET - len(key))


def covers(outer, inner):
    """Whether the prefix `outer` contains the prefix `inner` (both keys)."""
    plen = outer[1]
    if outer[0] != inner[0] or plen > inner[1]:
        return False
    whole = OFFSET + (plen >> 3)
    if outer[OFFSET:whole] != inner[OFFSET:whole]:
        return False
    bits = plen & 7
    return not bits or (outer[whole] ^ inner[whole]) >> (8 - bits) == 0


def prefix_text(key):
    """A key as people write it, such as 192.168.11.0/24."""
    return format_address(address(key)) + "/" + str(key[1])
