"""The CBC format of a data packet, encrypted and then authenticated:

    header | HMAC | IV 16 | ciphertext of (packet id 4 | payload | PKCS #7 padding)

The header is the opcode and key id (1 octet) and, in P_DATA_V2, the peer id (3). Sealing and
opening work in place: the payload is at HEADROOM, the packet at wire_offset.
"""

import micropython
from micropython import const

from branchline.openvpn import packet_id
from branchline.openvpn.packet_id import is_replay, record, stamp
from branchline.wire.slot import HEADROOM

_ID = const(4)
_BLOCK = const(16)
_TEXT_OFFSET = HEADROOM - _ID
_IV_OFFSET = _TEXT_OFFSET - _BLOCK


@micropython.viper
def _finish(out: ptr8, block: ptr8, n: int):
    """Writes what CBC adds to the packet id and payload, n octets from out[16] on: before them
    the block that becomes the IV, behind them PKCS #7 padding."""
    i = 0
    while i < 16:
        out[i] = block[i]
        i += 1
    padding = 16 - (n & 15)
    i = 0
    while i < padding:
        out[16 + n + i] = padding
        i += 1


@micropython.viper
def _unpadded(text: ptr8, n: int) -> int:
    """The length of text[:n] without its PKCS #7 padding; 0 if that is wrong."""
    padding = int(text[n - 1])
    if padding == 0 or padding > 16:
        return 0
    i = 1
    while i <= padding:
        if int(text[n - i]) != padding:
            return 0
        i += 1
    return n - padding


class CbcFormat:
    """CBC and HMAC, encrypt then MAC; cbcs and macs: (sending, receiving).

    The IV is the encrypted packet id (NIST SP 800-38A appendix C): unpredictable, without a
    random number for each packet.
    """

    def __init__(self, header, cbcs, macs, window, counters):
        size = len(header)
        self._prologue = size + macs[0].size + _BLOCK
        self.overhead = self._prologue + _ID + _BLOCK
        self.wire_offset = _TEXT_OFFSET - self._prologue
        self.sender = packet_id.new_sender()
        self.window = packet_id.new_window(window)
        self._header = bytes([size, self._prologue]) + header
        self._offsets = (self.wire_offset, self.wire_offset + size, _IV_OFFSET, _TEXT_OFFSET)
        self._keys = cbcs + macs
        self._zero = bytes(_BLOCK)
        self._block = bytearray(_BLOCK)
        self._id = bytearray(_ID)
        self._bump = counters.bump

    @micropython.native
    def seal(self, slot, n):
        """The payload's n octets become a packet; its length."""
        if not 0 < n <= slot.capacity:
            self._bump("data_too_long")
            return 0
        block = self._block
        wire, code, iv, text = slot.cut(self._offsets)
        if not stamp(self.sender, self._header, wire, block, n):
            self._bump("data_ids_used_up")
            return 0
        _finish(iv, block, _ID + n)
        size = (_ID + n | _BLOCK - 1) + 1
        cbc, _, mac, _ = self._keys
        cbc.encrypt(self._zero, iv, _BLOCK)
        cbc.encrypt(iv, text, size)
        mac.compute(iv, _BLOCK + size, code)
        return self._prologue + size

    @micropython.native
    def open(self, slot, n):
        """The packet's n octets become a payload; its length."""
        size = n - self._prologue
        if not _BLOCK <= size <= slot.capacity + _ID + _BLOCK:
            self._bump("data_too_short" if size < _BLOCK else "data_too_long")
            return 0
        _, code, iv, text = slot.cut(self._offsets)
        _, cbc, _, mac = self._keys
        if not mac.verify(iv, _BLOCK + size, code):
            self._bump("data_bad_auth")
            return 0
        if size % _BLOCK:
            self._bump("data_bad_padding")
            return 0
        cbc.decrypt(iv, text, size)
        size = _unpadded(text, size) - _ID
        if size <= 0:
            self._bump("data_bad_padding")
            return 0
        if is_replay(self.window, text, 0, self._id):
            self._bump("data_replay")
            return 0
        record(self.window, text, 0, size)
        return size

    def max_payload(self, size):
        """The largest payload whose packet has at most `size` octets."""
        return (size - self._prologue) // _BLOCK * _BLOCK - 1 - _ID

    def close(self):
        """Frees the keys."""
        for key in self._keys:
            key.close()
