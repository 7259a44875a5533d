"""Packet ids: counted for what is sent, checked against replay for what is received.

The state of a direction is an array of 32-bit words, so that the packet path keeps its counts
without allocating, on 32-bit boards too:

    word 0, 1   the last id sent, or the highest received: upper and lower 16 bits
    word 2, 3   octets: the lower 30 bits, and the rest
    word 4, 5   packets received: the lower 30 bits, and the rest
    word 6      the window's size less one
    word 7...   the window's bitmap, indexed by id modulo size

An id is checked (is_replay) before the packet is authenticated and recorded (record) only after
it, so that forged packets move nothing.
"""

from array import array

import micropython
from micropython import const

_MASK = const(6)
_BITMAP = const(7)
_MIN_WINDOW = const(64)
_MAX_WINDOW = const(65536)
_REKEY_AT = const(0xFF00)  # the upper 16 bits of the id from which on a new key is wanted


def new_sender():
    """The state of a sending direction."""
    return array("I", bytes(4 * _BITMAP))


def new_window(size=_MIN_WINDOW):
    """The state of a receiving direction: ids up to `size` behind the highest may be new.

    The size is rounded up to a power of two, within 64 and 65536.
    """
    window = _MIN_WINDOW
    while window < min(size, _MAX_WINDOW):
        window <<= 1
    state = array("I", bytes(4 * _BITMAP + window // 8))
    state[_MASK] = window - 1
    return state


@micropython.viper
def stamp(state: ptr32, header: ptr8, wire: ptr8, nonce: ptr8, n: int) -> int:
    """Takes the next id for a packet with n octets of payload; 0 when the ids are used up.

    header: its own size, the id's offset in the packet, and the octets that a packet begins
    with. These and the id are written to wire, the id to nonce too.
    """
    hi = int(state[0])
    lo = int(state[1]) + 1
    if lo == 0x10000:
        if hi == 0xFFFF:
            return 0
        lo = 0
        hi += 1
    state[0] = hi
    state[1] = lo
    octets = int(state[2]) + n
    state[2] = octets & 0x3FFFFFFF
    state[3] = int(state[3]) + (octets >> 30)
    size = int(header[0])
    at = int(header[1])
    i = 0
    while i < size:
        wire[i] = header[i + 2]
        i += 1
    nonce[0] = hi >> 8
    nonce[1] = hi & 255
    nonce[2] = lo >> 8
    nonce[3] = lo & 255
    i = 0
    while i < 4:
        wire[at + i] = nonce[i]
        i += 1
    return 1


@micropython.viper
def is_replay(state: ptr32, wire: ptr8, at: int, nonce: ptr8) -> int:
    """Whether the id at wire[at] is 0, seen before or behind the window; writes it to nonce."""
    i = 0
    while i < 4:
        nonce[i] = wire[at + i]
        i += 1
    hi = int(nonce[0]) << 8 | int(nonce[1])
    lo = int(nonce[2]) << 8 | int(nonce[3])
    # Compared by halves: the difference of two ids need not fit a 32-bit board's integer.
    above = hi - int(state[0])
    if above > 1:
        return 0
    if above < 0 - 1 or hi | lo == 0:
        return 1
    ahead = (above << 16) + lo - int(state[1])
    mask = int(state[_MASK])
    if ahead > 0:
        return 0
    if ahead + mask < 0:
        return 1
    i = lo & mask
    return int(state[_BITMAP + (i >> 5)]) >> (i & 31) & 1


@micropython.viper
def record(state: ptr32, wire: ptr8, at: int, n: int):
    """Records the id at wire[at] of an authentic packet that is no replay, and its n octets."""
    hi = int(wire[at]) << 8 | int(wire[at + 1])
    lo = int(wire[at + 2]) << 8 | int(wire[at + 3])
    above = hi - int(state[0])
    mask = int(state[_MASK])
    ahead = 0 - 1
    if above > 1:
        ahead = mask + 1
    elif above > 0 - 2:
        ahead = (above << 16) + lo - int(state[1])
    if ahead > 0:
        # The ids between the old highest and this one have not been seen.
        if ahead > mask:
            ahead = mask + 1
        while ahead:
            ahead -= 1
            i = lo - ahead & mask
            state[_BITMAP + (i >> 5)] = int(state[_BITMAP + (i >> 5)]) & (0 - 1 ^ 1 << (i & 31))
        state[0] = hi
        state[1] = lo
    i = lo & mask
    state[_BITMAP + (i >> 5)] = int(state[_BITMAP + (i >> 5)]) | 1 << (i & 31)
    octets = int(state[2]) + n
    state[2] = octets & 0x3FFFFFFF
    state[3] = int(state[3]) + (octets >> 30)
    packets = int(state[4]) + 1
    state[4] = packets & 0x3FFFFFFF
    state[5] = int(state[5]) + (packets >> 30)


def last_id(state):
    """The last id sent, which is also the number of packets, or the highest received."""
    return state[0] << 16 | state[1]


def octets(state):
    """The number of octets sent or received."""
    return state[3] << 30 | state[2]


def packets_received(state):
    """The number of packets recorded."""
    return state[5] << 30 | state[4]


def nearly_used_up(state):
    """Whether the ids come near their end, 2^32; a new key starts them anew."""
    return state[0] >= _REKEY_AT


class LongReplayWindow:
    """Replay protection of the control channel, whose ids begin anew for a later start time."""

    def __init__(self, size=_MIN_WINDOW):
        self._size = size
        self._seconds = -1
        self._state = None

    def accept(self, packet_id, seconds):
        """Records the id and start time (Unix, s) of an authentic packet; False for a replay."""
        if seconds < self._seconds:
            return False
        if seconds > self._seconds:
            self._seconds = seconds
            self._state = new_window(self._size)
        octets = packet_id.to_bytes(4, "big")
        if is_replay(self._state, octets, 0, bytearray(4)):
            return False
        record(self._state, octets, 0, 0)
        return True
