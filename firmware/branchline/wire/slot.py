"""The packet buffer: one packet's payload at a fixed offset, with headroom and tailroom.

The payload (the IP packet or Ethernet frame) always starts at HEADROOM, so the data channel
writes its header before it and the cipher works in place. Views are made once for each offset
and kept, because a memoryview slice allocates and the packet path must not.
"""

from micropython import const

# TCP length 2 + opcode and peer-id 4 + HMAC 64 (SHA512) + IV 16 + packet id 4, rounded up so
# that the payload is aligned to 16 octets.
HEADROOM = const(96)
# CBC padding (16), or GHASH's zero padding and length block (32).
TAILROOM = const(32)


class Slot:
    """A buffer for payloads of up to `capacity` octets."""

    def __init__(self, capacity):
        self.capacity = capacity
        self.buf = bytearray(HEADROOM + capacity + TAILROOM)
        self._views = {}

    def at(self, offset):
        """The view of buf[offset:]; the same object at every call (only the first allocates)."""
        view = self._views.get(offset)
        if view is None:
            view = self._views[offset] = memoryview(self.buf)[offset:]
        return view

    def cut(self, offsets):
        """The views at several offsets (a tuple), as a tuple; kept as those of at()."""
        views = self._views.get(offsets)
        if views is None:
            views = self._views[offsets] = tuple(map(self.at, offsets))
        return views
