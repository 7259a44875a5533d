"""The AEAD format of a data packet: `header | packet id 4 | tag 16 | ciphertext`.

The header is the opcode and key id (1 octet) and, in P_DATA_V2, the peer id (3). Sealing and
opening work in place: the payload is at HEADROOM, the packet at wire_offset.
"""

import micropython
from micropython import const

from branchline.openvpn import packet_id
from branchline.openvpn.packet_id import is_replay, record, stamp
from branchline.wire.slot import HEADROOM

_TAG = const(16)
_ID = const(4)
_TAG_OFFSET = HEADROOM - _TAG


class AeadFormat:
    """AEAD: the additional data is the packet id and, in P_DATA_V2, the header before it.

    aeads and ivs: (sending, receiving); a nonce is the packet id and 8 octets of the IV. seal and
    open are native so that their frames are on the C stack: in bytecode they would be too large
    for it, and each packet would search the heap.
    """

    def __init__(self, header, aeads, ivs, window, counters):
        size = len(header)
        self.overhead = size + _ID + _TAG
        self.wire_offset = HEADROOM - self.overhead
        self.sender = packet_id.new_sender()
        self.window = packet_id.new_window(window)
        self._header = bytes([size, size]) + header
        self._id_at = size
        self._aad_size = _ID if size == 1 else size + _ID
        self._offsets = (self.wire_offset, _TAG_OFFSET - self._aad_size, HEADROOM, _TAG_OFFSET)
        self._aeads = aeads
        self._encrypt = aeads[0].seal
        self._decrypt = aeads[1].open
        self._send_nonce, self._nonce = [bytearray(_ID) + iv[:8] for iv in ivs]
        self._bump = counters.bump

    @micropython.native
    def seal(self, slot, n):
        """The payload's n octets become a packet; its length."""
        if not 0 < n <= slot.capacity:
            self._bump("data_too_long")
            return 0
        nonce = self._send_nonce
        wire, aad, text, tag = slot.cut(self._offsets)
        if not stamp(self.sender, self._header, wire, nonce, n):
            self._bump("data_ids_used_up")
            return 0
        self._encrypt(nonce, aad, self._aad_size, text, n, tag)
        return n + self.overhead

    @micropython.native
    def open(self, slot, n):
        """The packet's n octets become a payload; its length."""
        n -= self.overhead
        if not 0 < n <= slot.capacity:
            self._bump("data_too_short" if n <= 0 else "data_too_long")
            return 0
        nonce = self._nonce
        wire, aad, text, tag = slot.cut(self._offsets)
        if is_replay(self.window, wire, self._id_at, nonce):
            self._bump("data_replay")
            return 0
        if not self._decrypt(nonce, aad, self._aad_size, text, n, tag):
            self._bump("data_bad_auth")
            return 0
        record(self.window, wire, self._id_at, n)
        return n

    def max_payload(self, size):
        """The largest payload whose packet has at most `size` octets."""
        return size - self.overhead

    def close(self):
        """Frees the keys."""
        for aead in self._aeads:
            aead.close()
