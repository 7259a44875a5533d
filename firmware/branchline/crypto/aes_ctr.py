"""AES in counter mode (NIST SP 800-38A 6.5), for tls-crypt."""

import cryptolib
from micropython import const

_ECB = const(1)
_CTR = const(6)


def _by_ecb(key, iv, data):
    """Counter mode for the builds whose cryptolib has ECB alone."""
    cipher = cryptolib.aes(key, _ECB)
    counter = bytearray(iv)
    stream = bytearray(16)
    for start in range(0, len(data), 16):
        cipher.encrypt(counter, stream)
        for i in range(min(16, len(data) - start)):
            data[start + i] ^= stream[i]
        i = 15
        while i >= 0 and counter[i] == 255:
            counter[i] = 0
            i -= 1
        if i >= 0:
            counter[i] += 1


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
