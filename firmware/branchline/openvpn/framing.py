"""OpenVPN packets over TCP: each behind its length in two octets, network order."""

from branchline.wire.errors import ProtocolError, StateError

_UNKNOWN = -1


class Framing:
    """Makes a datagram transport of a stream, which is handed in.

    stream: readinto(view, n, start) -> octets read or None, write(view, n, start) -> octets
    taken or None; what it raises passes through. capacity: the longest packet in octets.
    `prefix`: the octets that `write` wants free before the packet. `blocked`: the stream takes
    no more; read nothing that would have to be sent until `flush`, called when the stream is
    writable, has cleared it.
    """

    prefix = 2

    def __init__(self, stream, capacity):
        self._stream = stream
        self._capacity = capacity
        self._header = bytearray(2)
        self._size = _UNKNOWN  # of the packet that is being read
        self._have = 0  # octets read of that packet, or of the header while the size is unknown
        self._rest = bytearray(capacity + 2)
        self._sent = 0
        self._end = 0
        self.blocked = False

    def fileno(self):
        """The stream's descriptor."""
        return self._stream.fileno()

    def close(self):
        """Closes the stream."""
        self._stream.close()

    def readinto(self, view):
        """Reads one packet into view; its length, or None when it is not complete yet.

        The caller passes the same view, of at least capacity + 2 octets, until the packet is
        complete: its beginning waits there. Raises ProtocolError for a length of 0 or above the
        capacity; the stream is then out of step and must be closed.
        """
        if self._size == _UNKNOWN and not self._read_header():
            return None
        size = self._size
        if not 0 < size <= self._capacity:
            raise ProtocolError("bad frame length")
        # The next packet's length comes with this packet: one read for each in a busy stream.
        n = self._stream.readinto(view, size + 2 - self._have, self._have)
        if n is None:
            return None
        have = self._have + n
        if have < size:
            self._have = have
            return None
        self._begin(view[size], view[size + 1], have - size)
        return size

    def _begin(self, high, low, count):
        """The next packet, `count` octets of whose length are known."""
        self._header[0] = high
        if count == 2:
            self._size = high << 8 | low
            self._have = 0
        else:
            self._size = _UNKNOWN
            self._have = count

    def _read_header(self):
        header = self._header
        n = self._stream.readinto(header, 2 - self._have, self._have)
        if n is None:
            return False
        self._begin(header[0], header[1], self._have + n)
        return self._size != _UNKNOWN

    def write(self, view, n):
        """Sends the packet view[2:2 + n], overwriting view[:2]; n, or None when it was not taken.

        A packet that is taken in part is kept and goes on at `flush`. Raises StateError for one
        longer than the capacity.
        """
        if n > self._capacity:
            raise StateError("packet too long")
        if self.blocked:
            return None
        view[0] = n >> 8
        view[1] = n & 0xFF
        end = n + 2
        sent = self._stream.write(view, end, 0)
        if sent == end:
            return n
        self.blocked = True
        self._sent = self._end = 0
        if not sent:
            return None
        self._end = end - sent
        self._rest[: self._end] = view[sent:end]
        return n

    def flush(self):
        """Goes on with what is left of a packet; whether the stream takes packets again."""
        if self._sent < self._end:
            self._sent += self._stream.write(self._rest, self._end - self._sent, self._sent) or 0
        self.blocked = self._sent < self._end
        return not self.blocked
