"""openvpn.framing: packets out of a stream cut anywhere, and packets into one that fills up."""

import micropython

from branchline.openvpn.framing import Framing
from branchline.wire.errors import ProtocolError, StateError
from branchline.wire.slot import Slot
from support import raises

_CAPACITY = 300


class Stream:
    """A stream in memory: at most `step` octets each read, `room` octets taken in all."""

    def __init__(self, data=b"", step=1000, room=1 << 20):
        self.data = bytearray(data)
        self.step = step
        self.at = 0
        self.room = room
        self.out = bytearray()
        self.reads = 0

    def readinto(self, view, n, start=0):
        self.reads += 1
        n = min(n, self.step, len(self.data) - self.at)
        if not n:
            return None
        for i in range(n):
            view[start + i] = self.data[self.at + i]
        self.at += n
        return n

    def write(self, view, n, start=0):
        n = min(n, self.room)
        if not n:
            return None
        self.out += bytes(view[start : start + n])
        self.room -= n
        return n


def _frame(packet):
    return bytes([len(packet) >> 8, len(packet) & 0xFF]) + packet


def _packets():
    return [bytes([i]) * n for i, n in enumerate((1, 2, 3, 255, 256, 299, 300, 5))]


def _read_all(framing, stream, view):
    found = []
    idle = 0
    while idle < 2:
        n = framing.readinto(view)
        if n is not None:
            found.append(bytes(view[:n]))
        idle = idle + 1 if n is None and stream.at == len(stream.data) else 0
    return found


def test_packets_come_out_wherever_the_stream_is_cut():
    data = b"".join([_frame(packet) for packet in _packets()])
    for step in (1, 2, 3, 4, 7, 254, 257, 1000):
        stream = Stream(data, step)
        assert _read_all(Framing(stream, _CAPACITY), stream, Slot(_CAPACITY).at(32)) == _packets()


def test_a_busy_stream_takes_one_read_a_packet():
    stream = Stream(b"".join([_frame(b"packet")] * 10))
    framing = Framing(stream, _CAPACITY)
    view = Slot(_CAPACITY).at(32)
    for _ in range(10):
        assert framing.readinto(view) == 6
    assert stream.reads == 11


def test_bad_lengths_end_the_stream():
    for length in (0, _CAPACITY + 1, 0xFFFF):
        stream = Stream(_frame(b"good") + bytes([length >> 8, length & 0xFF]) + bytes(500))
        framing = Framing(stream, _CAPACITY)
        view = Slot(_CAPACITY).at(32)
        assert framing.readinto(view) == 4
        for _ in range(2):
            raises(ProtocolError, framing.readinto, view)


def test_a_full_stream_keeps_the_rest_and_refuses_more():
    packet = bytes(range(100))
    view = Slot(_CAPACITY).at(32)
    for room in range(1, 102):
        stream = Stream(room=room)
        framing = Framing(stream, _CAPACITY)
        view[2:102] = packet
        assert framing.write(view, 100) == 100
        assert framing.blocked
        view[2:102] = bytes(100)  # the caller's buffer is free again
        assert framing.write(view, 100) is None
        assert not framing.flush()
        stream.room = 1
        assert framing.flush() == (room == 101)
        stream.room = 1000
        assert framing.flush() and not framing.blocked
        assert stream.out == _frame(packet)


def test_a_stream_that_takes_nothing_loses_the_packet():
    stream = Stream(room=0)
    framing = Framing(stream, _CAPACITY)
    view = Slot(_CAPACITY).at(32)
    assert framing.write(view, 100) is None and framing.blocked
    assert framing.flush() and not framing.blocked
    assert stream.out == b""


def test_a_packet_above_the_capacity_is_the_callers_mistake():
    framing = Framing(Stream(), _CAPACITY)
    raises(StateError, framing.write, bytearray(400), _CAPACITY + 1)


class Endless:
    """Takes all and gives frames of 6 octets for ever, without allocating."""

    def readinto(self, view, n, start=0):
        for i in range(start, start + n):
            view[i] = 0 if i != 7 and n > 2 else 6
        if n == 2:
            view[0] = 0
        return n

    def write(self, view, n, start=0):
        return n


def test_nothing_is_allocated():
    framing = Framing(Endless(), _CAPACITY)
    view = Slot(_CAPACITY).at(32)
    assert framing.readinto(view) == 6
    micropython.heap_lock()
    try:
        for _ in range(10):
            assert framing.readinto(view) == 6
            assert framing.write(view, 100) == 100
    finally:
        micropython.heap_unlock()
