"""Remembers what was let through, so that its answers are: for what rules alone cannot tell from
requests, as a Linux gateway has it from connection tracking."""

from array import array

import micropython
from micropython import const

from branchline.wire.ticks import ticks_diff

_SLOTS = const(128)
# Two addresses, two ports, the protocol, and whether it is in use.
_WIDTH = const(38)
_IN_USE = const(37)
_IDLE_MS = const(180_000)
# As filter.packet has them.
_SOURCE = const(0)
_TARGET = const(1)
_SIZE = const(2)
_PROTOCOL = const(3)
_SPORT = const(4)
_DPORT = const(5)


class Flows:
    """The latest flows: a fixed number, where a new one may take an old one's place.

    fields: what filter.packet.read has found of the packet in buf.
    """

    def __init__(self):
        self._keys = bytearray(_SLOTS * _WIDTH)
        self._times = array("I", [0] * _SLOTS)
        self._key = bytearray(_WIDTH)

    def note(self, buf, fields, now):
        """A packet was let through: answers to it are welcome for three minutes."""
        slot = _write(self._key, buf, fields, 0)
        _copy(self._keys, slot * _WIDTH, self._key)
        self._times[slot] = now

    def knows(self, buf, fields, now):
        """Whether a packet answers one that was let through."""
        slot = _write(self._key, buf, fields, 1)
        if not _equal(self._keys, slot * _WIDTH, self._key):
            return False
        if not 0 <= ticks_diff(now, self._times[slot]) < _IDLE_MS:
            self._keys[slot * _WIDTH + _IN_USE] = 0
            return False
        self._times[slot] = now
        return True


@micropython.viper
def _write(key: ptr8, buf: ptr8, fields: ptr32, back: int) -> int:
    """Writes the key of a packet's flow; back: of the flow that it answers. Returns its slot."""
    first = int(fields[_TARGET]) if back else int(fields[_SOURCE])
    second = int(fields[_SOURCE]) if back else int(fields[_TARGET])
    sport = int(fields[_DPORT]) if back else int(fields[_SPORT])
    dport = int(fields[_SPORT]) if back else int(fields[_DPORT])
    size = int(fields[_SIZE])
    i = 0
    while i < 16:
        key[i] = buf[first + i] if i < size else 0
        key[16 + i] = buf[second + i] if i < size else 0
        i += 1
    key[32] = sport >> 8
    key[33] = sport & 255
    key[34] = dport >> 8
    key[35] = dport & 255
    key[36] = int(fields[_PROTOCOL]) & 255
    key[_IN_USE] = size
    mixed = 0
    i = 0
    while i < _WIDTH:
        mixed = (mixed ^ int(key[i])) * 2531 & 0xFFFF ^ mixed >> 9
        i += 1
    return (mixed >> 4) % _SLOTS


@micropython.viper
def _copy(keys: ptr8, at: int, key: ptr8):
    i = 0
    while i < _WIDTH:
        keys[at + i] = key[i]
        i += 1


@micropython.viper
def _equal(keys: ptr8, at: int, key: ptr8) -> bool:
    i = 0
    while i < _WIDTH:
        if int(keys[at + i]) != int(key[i]):
            return False
        i += 1
    return True
