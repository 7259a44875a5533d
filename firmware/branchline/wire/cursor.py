"""Bounds-checked reading and writing of network-order octets.

Every parser of peer input goes through Reader: a read past the end raises ProtocolError,
whatever the lengths inside the packet claim.
"""

from branchline.wire.errors import ProtocolError


class Reader:
    """Reads buf[start:end] (bytes, bytearray or memoryview) from the front."""

    def __init__(self, buf, start=0, end=None):
        size = len(buf)
        self._buf = buf
        self.pos = start
        self.end = size if end is None else end
        if not 0 <= self.pos <= self.end <= size:
            raise ProtocolError("bad bounds")

    def _take(self, n):
        pos = self.pos
        if n < 0 or pos + n > self.end:
            raise ProtocolError("truncated")
        self.pos = pos + n
        return pos

    def remaining(self):
        """The number of octets left."""
        return self.end - self.pos

    def u8(self):
        """The next octet, unsigned."""
        return self._buf[self._take(1)]

    def u16(self):
        """The next two octets, unsigned."""
        pos = self._take(2)
        buf = self._buf
        return buf[pos] << 8 | buf[pos + 1]

    def u32(self):
        """The next four octets, unsigned."""
        pos = self._take(4)
        buf = self._buf
        return buf[pos] << 24 | buf[pos + 1] << 16 | buf[pos + 2] << 8 | buf[pos + 3]

    def octets(self, n):
        """A copy (bytes) of the next n octets."""
        pos = self._take(n)
        return bytes(memoryview(self._buf)[pos : pos + n])

    def rest(self):
        """A copy (bytes) of all that is left."""
        return self.octets(self.end - self.pos)

    def skip(self, n):
        """Passes over n octets."""
        self._take(n)

    def sub(self, n):
        """A Reader of the next n octets alone; this one goes on behind them."""
        pos = self._take(n)
        return Reader(self._buf, pos, pos + n)


class Writer:
    """Writes octets to the front of buf[start:end]; past the end raises ProtocolError."""

    def __init__(self, buf, start=0, end=None):
        self._buf = buf
        self.start = start
        self.pos = start
        self.end = len(buf) if end is None else end

    def _room(self, n):
        pos = self.pos
        if pos + n > self.end:
            raise ProtocolError("no room")
        self.pos = pos + n
        return pos

    def written(self):
        """The number of octets written so far."""
        return self.pos - self.start

    def remaining(self):
        """The number of octets that still fit."""
        return self.end - self.pos

    def u8(self, value):
        """Writes one octet."""
        self._buf[self._room(1)] = value

    def u16(self, value):
        """Writes two octets."""
        pos = self._room(2)
        self.set_u16(pos, value)

    def set_u16(self, pos, value):
        """Overwrites the two octets at pos (a length that is known only afterwards)."""
        self._buf[pos] = value >> 8 & 0xFF
        self._buf[pos + 1] = value & 0xFF

    def u32(self, value):
        """Writes four octets."""
        pos = self._room(4)
        buf = self._buf
        buf[pos] = value >> 24 & 0xFF
        buf[pos + 1] = value >> 16 & 0xFF
        buf[pos + 2] = value >> 8 & 0xFF
        buf[pos + 3] = value & 0xFF

    def octets(self, data):
        """Writes all of data (bytes-like)."""
        n = len(data)
        pos = self._room(n)
        self._buf[pos : pos + n] = data
