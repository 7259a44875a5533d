"""The framings of `compress stub`, `compress stub-v2` and `comp-lzo no`: nothing is compressed.

Each is a pair of functions (slot, n) -> n that work in place at HEADROOM: one frames a payload,
the other takes the framing off, answering 0 for a packet that the peer did compress. A slot
needs 2 octets more than the payload.
"""

import micropython
from micropython import const

from branchline.wire.slot import HEADROOM

_PLAIN = const(0xFA)
_PLAIN_SWAPPED = const(0xFB)  # the payload's first octet is at its end
_V2 = const(0x50)  # then 0, and a payload that itself begins with 0x50


@micropython.viper
def _move(buf: ptr8, start: int, n: int, by: int):
    """Moves buf[start:start + n] by some octets, up (by > 0) or down."""
    i = n - 1 if by > 0 else 0
    step = 0 - 1 if by > 0 else 1
    while n:
        buf[start + i + by] = buf[start + i]
        i += step
        n -= 1


def _swap(slot, n):
    buf = slot.buf
    buf[HEADROOM + n] = buf[HEADROOM]
    buf[HEADROOM] = _PLAIN_SWAPPED
    return n + 1


def _unswap(slot, n):
    buf = slot.buf
    if buf[HEADROOM] != _PLAIN_SWAPPED:
        return 0
    buf[HEADROOM] = buf[HEADROOM + n - 1]
    return n - 1


def _prefix(slot, n):
    _move(slot.buf, HEADROOM, n, 1)
    slot.buf[HEADROOM] = _PLAIN
    return n + 1


def _strip(slot, n):
    if slot.buf[HEADROOM] != _PLAIN:
        return 0
    _move(slot.buf, HEADROOM + 1, n - 1, -1)
    return n - 1


def _escape(slot, n):
    buf = slot.buf
    if buf[HEADROOM] != _V2:
        return n
    _move(buf, HEADROOM, n, 2)
    buf[HEADROOM + 1] = 0
    buf[HEADROOM] = _V2
    return n + 2


def _unescape(slot, n):
    buf = slot.buf
    if buf[HEADROOM] != _V2:
        return n
    if n < 3 or buf[HEADROOM + 1]:
        return 0
    _move(buf, HEADROOM + 2, n - 2, -2)
    return n - 2


# The option's name, how many octets each packet grows by, and the two functions.
FRAMINGS = {
    "stub": (1, _swap, _unswap),
    "lzo-stub": (1, _prefix, _strip),
    "stub-v2": (0, _escape, _unescape),
}
