"""AES in counter mode (NIST SP 800-38A 6.5), for tls-crypt."""

import cryptolib
import micropython
from micropython import const

_ECB = const(1)
_CTR = const(6)


@micropython.viper
def _count(blocks: ptr8, n: int):
    """Fills blocks[16:n], each block one more than that before it (SP 800-38A appendix B.1)."""
    i = 16
    while i < n:
        carry = 1
        j = i + 15
        while j >= i:
            carry += int(blocks[j - 16])
            blocks[j] = carry & 255
            carry >>= 8
            j -= 1
        i += 16


@micropython.viper
def _xor(data: ptr8, stream: ptr8, n: int):
    i = 0
    while i < n:
        data[i] = int(data[i]) ^ int(stream[i])
        i += 1


def _by_ecb(key, iv, data):
    """Counter mode for the builds whose cryptolib has ECB alone."""
    stream = bytearray((len(data) + 15) & -16)
    if stream:
        stream[:16] = iv
        _count(stream, len(stream))
        cryptolib.aes(key, _ECB).encrypt(stream, stream)
        _xor(data, stream, len(data))


class AesCtr:
    """One key, of 16 or 32 octets (ValueError otherwise)."""

    def __init__(self, key):
        cryptolib.aes(key, _ECB)
        self._key = key

    def crypt(self, iv, data):
        """The octets of data encrypted, or decrypted; iv: the first counter block, 16 octets."""
        out = bytearray(data)
        try:
            cipher = cryptolib.aes(self._key, _CTR, iv)
        except ValueError:
            _by_ecb(self._key, iv, out)
        else:
            cipher.encrypt(out, out)
        return bytes(out)
