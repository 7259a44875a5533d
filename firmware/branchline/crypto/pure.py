"""The provider that every board has: AES of cryptolib, digests of hashlib, the rest in Python."""

from branchline.crypto import cbc_hmac, gcm
from branchline.wire.errors import Unsupported


def _check(cipher, key, mode):
    if cipher != "AES-" + str(len(key) * 8) + mode:
        raise Unsupported(cipher)


class Pure:
    """A provider (docs/architecture.md); each of its methods raises Unsupported."""

    name = "pure Python"

    def aead(self, cipher, key):
        """AES-128-GCM or AES-256-GCM."""
        _check(cipher, key, "-GCM")
        return gcm.Gcm(key)

    def cbc(self, cipher, key):
        """AES-128-CBC or AES-256-CBC."""
        _check(cipher, key, "-CBC")
        return cbc_hmac.Cbc(key)

    def hmac(self, digest, key):
        """HMAC over what hashlib has; on MicroPython SHA1 and SHA256."""
        return cbc_hmac.Mac(digest, key)
