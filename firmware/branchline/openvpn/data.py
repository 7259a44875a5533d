"""The data channel under one key: packets of the tunnel sealed and opened in place."""

from micropython import const

from branchline.crypto.aead import DIGEST_SIZES, KEY_SIZES
from branchline.openvpn import opcodes, packet_id
from branchline.openvpn.compress import FRAMINGS
from branchline.wire.errors import Unsupported

# AES-GCM stays safe for 2^36 blocks and packets together (draft-irtf-cfrg-aead-limits); a new
# key is wanted at seven eighths of it.
_GCM_LIMIT = const(7 << 33)


class DataChannel:
    """One key's two directions.

    keys: the key block of 256 octets; options: has `cipher`, `peer_id` (None for P_DATA_V1) and
    `compress` (of compress.FRAMINGS, or ""); counters: has COUNTERS; auth: the digest that goes
    with CBC; window: replay-window. Raises Unsupported for a cipher that no provider has.

    seal(slot, n) -> wire length: the packet is then at wire_offset. open(slot, n) -> payload
    length: the packet was at wire_offset, the payload is at HEADROOM. Both answer 0 for a packet
    that is dropped and counted, and never raise for what a peer sent.
    """

    COUNTERS = (
        "data_too_short",
        "data_too_long",
        "data_replay",
        "data_bad_auth",
        "data_bad_padding",
        "data_compressed",
        "data_ids_used_up",
    )
    # Of P_DATA_V2 and AEAD, as nearly all servers have it.
    DEFAULT_OVERHEAD = 24

    def __init__(
        self, keys, key_id, options, provider, counters, auth="SHA1", window=64, server=False
    ):
        peer_id = options.peer_id
        opcode = opcodes.DATA_V1 if peer_id is None else opcodes.DATA_V2
        self.first_octet = opcode << 3 | key_id
        header = bytes([self.first_octet])
        if peer_id is not None:
            header += peer_id.to_bytes(3, "big")
        parts = [_direction(keys, 0), _direction(keys, 128)]
        if server:
            parts.reverse()
        make = _cbc_format if options.cipher[-4:] == "-CBC" else _aead_format
        self._format = make(header, parts, options.cipher, auth, provider, window, counters)
        self._gcm = options.cipher[-4:] == "-GCM"
        self.wire_offset = self._format.wire_offset
        self.overhead = self._format.overhead  # at most; with CBC it varies with the length
        self.seal = self._format.seal
        self.open = self._format.open
        self._framing = FRAMINGS.get(options.compress)
        # Octets that the framing adds to a packet.
        self.framing_size = self._framing[0] if self._framing else 0
        if self._framing:
            self._bump = counters.bump
            self.seal = self._seal_framed
            self.open = self._open_framed

    def _seal_framed(self, slot, n):
        if not 0 < n <= slot.capacity:
            self._bump("data_too_long")
            return 0
        return self._format.seal(slot, self._framing[1](slot, n))

    def _open_framed(self, slot, n):
        n = self._format.open(slot, n)
        if n:
            n = self._framing[2](slot, n)
            if not n:
                self._bump("data_compressed")
        return n

    def max_payload(self, size):
        """The largest payload whose packet has at most `size` octets."""
        return self._format.max_payload(size) - self.framing_size

    @property
    def tx_packets(self):
        """The number of packets sealed."""
        return packet_id.last_id(self._format.sender)

    @property
    def rx_packets(self):
        """The number of packets opened."""
        return packet_id.packets_received(self._format.window)

    @property
    def tx_octets(self):
        """The octets of payload sealed, with the framing of `compress`."""
        return packet_id.octets(self._format.sender)

    @property
    def rx_octets(self):
        """The octets of payload opened, with the framing of `compress`."""
        return packet_id.octets(self._format.window)

    @property
    def needs_rekey(self):
        """Whether this key comes near its limit of packets or, for AES-GCM, of blocks."""
        if packet_id.nearly_used_up(self._format.sender):
            return True
        # A packet has a partial block and one of additional data, and counts itself.
        used = max(
            (self.tx_octets >> 4) + 3 * self.tx_packets,
            (self.rx_octets >> 4) + 3 * self.rx_packets,
        )
        return self._gcm and used >= _GCM_LIMIT

    def close(self):
        """Frees the keys; the channel is of no use after it."""
        self._format.close()


def _direction(keys, start):
    """(cipher key, HMAC key or IV), 64 octets each, of the direction whose keys begin there."""
    return keys[start : start + 64], keys[start + 64 : start + 128]


# Each format's code is loaded when the first key needs it: a small heap holds one of them.


def _aead_format(header, parts, cipher, auth, provider, window, counters):
    from branchline.openvpn.data_aead import AeadFormat

    size = KEY_SIZES.get(cipher)
    if size is None:
        raise Unsupported("cipher " + cipher)
    aeads = [provider.aead(cipher, key[:size]) for key, _ in parts]
    return AeadFormat(header, aeads, [iv for _, iv in parts], window, counters)


def _cbc_format(header, parts, cipher, auth, provider, window, counters):
    from branchline.openvpn.data_cbc import CbcFormat

    if cipher not in KEY_SIZES or auth not in DIGEST_SIZES:
        raise Unsupported("cipher " + cipher + " with auth " + auth)
    size = KEY_SIZES[cipher]
    cbcs = [provider.cbc(cipher, key[:size]) for key, _ in parts]
    macs = [provider.hmac(auth, key[: DIGEST_SIZES[auth]]) for _, key in parts]
    return CbcFormat(header, cbcs, macs, window, counters)
