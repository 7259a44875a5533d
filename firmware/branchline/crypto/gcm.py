"""AES-GCM (NIST SP 800-38D) in Python: AES-ECB of cryptolib, and GHASH in viper.

GHASH multiplies by table look-up: for each position of a 4-bit or 8-bit digit in the block, the
products of all its values with the hash key. That is 8 KB or 64 KB for each key; the large ones
are twice as fast. Nothing is allocated after construction.
"""

import gc
from array import array

import cryptolib
import micropython
from micropython import const

from branchline.wire.errors import StateError, Unsupported

_ECB = const(1)
_CHUNK = const(48)  # blocks of keystream made at a time
_MAX_AAD = const(32)
_ROOMY = const(400_000)  # octets of free heap from which the large tables are taken

_stream = bytearray(_CHUNK * 16)  # counters, then keystream: one for all keys
_whole = memoryview(_stream)
_streams = [_whole[: 16 * n] for n in range(_CHUNK + 1)]


@micropython.viper
def _fill_tables(words: ptr32, end: int, power: ptr8, size: int):
    """Fills words[:end // 4] with tables of size entries each, of 16 octets; power holds the hash
    key H, in turn each H x^i."""
    tables = ptr8(words)
    base = 0
    while base < end:
        digit = size >> 1
        while digit:
            i = 0
            while i < 16:
                tables[base + digit * 16 + i] = power[i]
                i += 1
            # Times x: a right shift, as GCM numbers a block's bits from the left.
            carry = int(power[15]) & 1
            i = 15
            while i:
                power[i] = int(power[i]) >> 1 | (int(power[i - 1]) & 1) << 7
                i -= 1
            power[0] = int(power[0]) >> 1 ^ 0xE1 * carry
            digit >>= 1
        digit = 3
        while digit < size:
            low = digit & (0 - digit)
            i = 0
            while i < 4 and digit != low:
                at = (base >> 2) + i
                words[at + digit * 4] = int(words[at + (digit ^ low) * 4]) ^ int(
                    words[at + low * 4]
                )
                i += 1
            digit += 1
        base += size * 16


@micropython.viper
def _ghash4(tables: ptr32, y: ptr32, data: ptr8, blocks: int):
    """Hashes whole blocks into y, by tables of 4-bit digits."""
    digits = ptr8(y)
    p = 0
    end = blocks << 4
    while p < end:
        a = b = c = d = k = o = 0
        while k < 16:
            x = int(digits[k]) ^ int(data[p + k])
            t = o + (x >> 4 << 2)
            u = o + 64 + ((x & 15) << 2)
            a ^= int(tables[t]) ^ int(tables[u])
            b ^= int(tables[t + 1]) ^ int(tables[u + 1])
            c ^= int(tables[t + 2]) ^ int(tables[u + 2])
            d ^= int(tables[t + 3]) ^ int(tables[u + 3])
            o += 128
            k += 1
        y[0] = a
        y[1] = b
        y[2] = c
        y[3] = d
        p += 16


@micropython.viper
def _ghash8(tables: ptr32, y: ptr32, data: ptr8, blocks: int):
    """Hashes whole blocks into y, by tables of 8-bit digits."""
    digits = ptr8(y)
    p = 0
    end = blocks << 4
    while p < end:
        a = b = c = d = k = o = 0
        while k < 16:
            t = o + ((int(digits[k]) ^ int(data[p + k])) << 2)
            a ^= int(tables[t])
            b ^= int(tables[t + 1])
            c ^= int(tables[t + 2])
            d ^= int(tables[t + 3])
            o += 1024
            k += 1
        y[0] = a
        y[1] = b
        y[2] = c
        y[3] = d
        p += 16


@micropython.viper
def _begin(y: ptr32, block: ptr8, aad: ptr8, aad_len: int):
    """Starts a hash: zero in y, and the additional data padded with zeros in block."""
    y[0] = 0
    y[1] = 0
    y[2] = 0
    y[3] = 0
    i = 0
    while i < 32:
        block[i] = int(aad[i]) if i < aad_len else 0
        i += 1


@micropython.viper
def _end(block: ptr8, text: ptr8, n: int, aad_len: int) -> int:
    """Writes GHASH's last blocks: the text's partial block, if any, padded with zeros, and both
    lengths in bits. Returns the number of blocks."""
    size = n & 15
    i = 0
    while i < 32:
        block[i] = int(text[n - size + i]) if i < size else 0
        i += 1
    end = 31 if size else 15
    aad_len <<= 3
    n <<= 3
    i = 0
    while i < 4:
        block[end - 8 - i] = aad_len >> i * 8 & 255
        block[end - i] = n >> i * 8 & 255
        i += 1
    return 2 if size else 1


@micropython.viper
def _counters(out: ptr8, nonce: ptr8, counter: int, blocks: int):
    """Writes counter blocks: the 12-octet nonce and a 32-bit counter."""
    p = 0
    while blocks:
        i = 0
        while i < 12:
            out[p + i] = nonce[i]
            i += 1
        out[p + 12] = 0
        out[p + 13] = counter >> 16 & 255
        out[p + 14] = counter >> 8 & 255
        out[p + 15] = counter & 255
        counter += 1
        p += 16
        blocks -= 1


@micropython.viper
def _xor(text: ptr8, start: int, n: int, stream: ptr8, skip: int):
    """XORs the stream from its offset skip on into text[start:n]; both are multiples of 16."""
    words = ptr32(text)
    keys = ptr32(stream)
    i = start >> 2
    k = skip >> 2
    end = n >> 2
    while i < end:
        words[i] = int(words[i]) ^ int(keys[k])
        i += 1
        k += 1
    i <<= 2
    k <<= 2
    while i < n:
        text[i] = int(text[i]) ^ int(stream[k])
        i += 1
        k += 1


@micropython.viper
def _mask(out: ptr8, y: ptr32, mask: ptr8):
    """Writes the tag: the hash under the first keystream block."""
    octets = ptr8(y)
    i = 0
    while i < 16:
        out[i] = int(octets[i]) ^ int(mask[i])
        i += 1


@micropython.viper
def _differ(tag: ptr8, y: ptr32, mask: ptr8) -> int:
    """0 if the tag is right; looks at all its octets, for constant time."""
    octets = ptr8(y)
    i = 0
    difference = 0
    while i < 16:
        difference |= int(tag[i]) ^ int(octets[i]) ^ int(mask[i])
        i += 1
    return difference


@micropython.viper
def _copy(out: ptr8, block: ptr8):
    i = 0
    while i < 16:
        out[i] = block[i]
        i += 1


def _free_heap():
    gc.collect()
    return gc.mem_free() if hasattr(gc, "mem_free") else _ROOMY


class Gcm:
    """One key. digit is 4 or 8, the tables' bits; 0 picks it by the free heap.

    Raises Unsupported for a key that is not of 16 or 32 octets. The text's first octet must be
    aligned to 4 octets on the processors that need it; additional data are at most 32 octets.
    """

    def __init__(self, key, digit=0):
        try:
            ecb = cryptolib.aes(key, _ECB)
        except ValueError:
            raise Unsupported("AES-GCM with such a key") from None
        if not digit:
            digit = 8 if _free_heap() >= _ROOMY else 4
        self._encrypt = ecb.encrypt
        self._ghash = _ghash8 if digit == 8 else _ghash4
        size = 2048 // digit << digit
        self._tables = array("I", bytes(size))
        self._y = array("I", bytes(16))
        self._tag_mask = bytearray(16)
        self._block = bytearray(32)
        power = bytearray(ecb.encrypt(bytes(16)))
        _fill_tables(self._tables, size, power, 1 << digit)

    def _crypt(self, nonce, text, n):
        """Encrypts or decrypts; keeps the first block of the keystream for the tag."""
        counter = 1
        done = 0
        skip = 16
        while True:
            blocks = min(_CHUNK, (n - done + skip + 15) >> 4)
            stream = _streams[blocks]
            _counters(_stream, nonce, counter, blocks)
            self._encrypt(stream, stream)
            end = min(n, done + blocks * 16 - skip)
            _xor(text, done, end, _stream, skip)
            if skip:
                _copy(self._tag_mask, _stream)
            if end == n:
                return
            done = end
            skip = 0
            counter += blocks

    def _hash(self, aad, aad_len, text, n):
        """GHASH of the additional data and the ciphertext."""
        if aad_len > _MAX_AAD:
            raise StateError("more than 32 octets of additional data")
        y = self._y
        block = self._block
        ghash = self._ghash
        _begin(y, block, aad, aad_len)
        ghash(self._tables, y, block, (aad_len + 15) >> 4)
        ghash(self._tables, y, text, n >> 4)
        ghash(self._tables, y, block, _end(block, text, n, aad_len))

    def seal(self, nonce, aad, aad_len, text, n, tag):
        """Encrypts text[:n] in place and writes the tag, 16 octets."""
        self._crypt(nonce, text, n)
        self._hash(aad, aad_len, text, n)
        _mask(tag, self._y, self._tag_mask)

    def open(self, nonce, aad, aad_len, text, n, tag):
        """Decrypts text[:n] in place; False, and the text worthless, if the tag is wrong."""
        self._hash(aad, aad_len, text, n)
        self._crypt(nonce, text, n)
        return not _differ(tag, self._y, self._tag_mask)

    def close(self):
        """Zeroes the tables, which tell the hash key, and drops the key."""
        tables = self._tables
        for i in range(len(tables)):
            tables[i] = 0
        self._encrypt = None
