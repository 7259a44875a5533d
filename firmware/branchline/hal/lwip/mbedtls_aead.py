"""AEAD ciphers by the board's own mbedtls: a provider (docs/architecture.md)."""

import aead

from branchline.wire.errors import Unsupported


class MbedtlsAead:
    """AES-GCM and ChaCha20-Poly1305, in place and without allocation."""

    name = "mbedtls"

    def aead(self, cipher, key):
        """The module's Aead, which has seal(), open() and close()."""
        try:
            return aead.Aead(cipher, key)
        except ValueError:
            raise Unsupported(cipher)

    def cbc(self, cipher, key):
        """None of these."""
        raise Unsupported(cipher)

    def hmac(self, digest, key):
        """None of these."""
        raise Unsupported(digest)
