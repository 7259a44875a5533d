"""CBC (over cryptolib) and HMAC (over hashlib) as a provider offers them; both allocate."""

import cryptolib
from micropython import const

from branchline.crypto import hmac
from branchline.wire.errors import Unsupported

_CBC = const(2)


class Cbc:
    """AES-CBC without padding; the key has 16 or 32 octets, else Unsupported is raised."""

    def __init__(self, key):
        self._key = bytes(key)
        try:
            cryptolib.aes(self._key, _CBC, bytes(16))
        except ValueError:
            raise Unsupported("AES-CBC with such a key") from None

    def encrypt(self, iv, text, n):
        """Encrypts text[:n] in place; n is a multiple of 16."""
        text = memoryview(text)[:n]
        cryptolib.aes(self._key, _CBC, bytes(memoryview(iv)[:16])).encrypt(text, text)

    def decrypt(self, iv, text, n):
        """Decrypts text[:n] in place."""
        text = memoryview(text)[:n]
        cryptolib.aes(self._key, _CBC, bytes(memoryview(iv)[:16])).decrypt(text, text)

    def close(self):
        """Drops the key."""
        self._key = None


class Mac:
    """HMAC with one key over many messages; raises Unsupported for a digest hashlib lacks."""

    def __init__(self, digest, key):
        self._digest = digest
        self._key = bytes(key)
        self.size = len(hmac.new(b"", b"", digest).digest())

    def compute(self, data, n, out):
        """Writes out[:size] = HMAC(data[:n])."""
        out[: self.size] = hmac.new(self._key, memoryview(data)[:n], self._digest).digest()

    def verify(self, data, n, mac):
        """Whether mac[:size] is the code of data[:n], in constant time."""
        right = hmac.new(self._key, memoryview(data)[:n], self._digest).digest()
        return hmac.compare_digest(right, memoryview(mac)[: self.size])

    def close(self):
        """Drops the key."""
        self._key = None
