"""Sets of prefixes as octets, in which an address is found without allocation.

A set is a pair (IPv4, IPv6) of bytes: records of an address and its prefix length, in order, of
prefixes that do not overlap.
"""

import micropython

from branchline.wire.ip import format_prefix, masked


def pack(prefixes):
    """The set of some (octets, prefix length); what lies within another one is left out."""
    return _packed(prefixes, 4), _packed(prefixes, 16)


def _packed(prefixes, size):
    out = bytearray()
    before = None
    for octets, plen in sorted([each for each in prefixes if len(each[0]) == size]):
        # Sorted, a prefix comes right behind the one that holds it, or another within that.
        if before is None or masked(octets, before[1]) != before[0]:
            out.extend(octets)
            out.append(plen)
            before = (octets, plen)
    return bytes(out)


def texts(prefixes, size):
    """The prefixes of a set as people write them; size: octets of an address, 4 or 16."""
    records = prefixes[size == 16]
    width = size + 1
    return [
        format_prefix(records[i : i + size], records[i + size])
        for i in range(0, len(records), width)
    ]


def holds(prefixes, buf, at, size):
    """Whether a set holds the address buf[at : at + size]."""
    records = prefixes[size == 16]
    return _holds(records, len(records) // (size + 1), buf, at, size)


@micropython.viper
def _holds(records: ptr8, count: int, buf: ptr8, at: int, size: int) -> bool:
    low = 0
    high = count
    while low < high:  # how many prefixes begin at or before the address
        middle = (low + high) >> 1
        record = middle * (size + 1)
        i = 0
        while i < size and int(records[record + i]) == int(buf[at + i]):
            i += 1
        if i == size or int(records[record + i]) < int(buf[at + i]):
            low = middle + 1
        else:
            high = middle
    if low == 0:
        return False
    record = (low - 1) * (size + 1)
    bits = int(records[record + size])
    i = 0
    while bits >= 8:
        if int(records[record + i]) != int(buf[at + i]):
            return False
        i += 1
        bits -= 8
    if bits == 0:
        return True
    return (int(records[record + i]) ^ int(buf[at + i])) >> (8 - bits) == 0
