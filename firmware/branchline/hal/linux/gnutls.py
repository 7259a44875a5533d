"""The crypto provider over libgnutls: one foreign call for each packet.

The caller vouches that the buffers hold the octets that it names; nothing in C checks it. On
64-bit processors nothing is allocated after construction.
"""

import struct
from array import array

import micropython
from micropython import const

from branchline.hal.linux.libc import WORD, Library, addressof
from branchline.wire.errors import StateError, Unsupported

_NONCE = const(12)
_TAG = const(16)
_BLOCK = const(16)
_ZERO_IV = bytes(16)


def _datum(octets):
    """A gnutls_datum_t: the caller keeps the octets."""
    return struct.pack("PI", addressof(octets), len(octets))


def _closed(*arguments):
    raise StateError("the key has been closed")


class _Key:
    """What the three kinds of object share: a handle, and how it is freed."""

    def _make(self, init, *arguments):
        handle = bytearray(WORD)
        if init(handle, *arguments) < 0:
            raise Unsupported("gnutls: a key of this size")
        self._handle = struct.unpack("P", handle)[0]

    def close(self):
        """Frees the key; any later use raises StateError."""
        handle, self._handle = self._handle, None
        self._do = self._undo = _closed
        if handle:
            self._free(handle)


class _Aead(_Key):
    def __init__(self, library, algorithm, key):
        func = library.func
        self._do = func("i", "gnutls_aead_cipher_encryptv2", "ppLpipipp")
        self._undo = func("i", "gnutls_aead_cipher_decryptv2", "ppLpipipL")
        self._free = func("v", "gnutls_aead_cipher_deinit", "p")
        init = func("i", "gnutls_aead_cipher_init", "pip")
        self._make(init, algorithm, _datum(key))
        # Two struct iovec, of the additional data and of the text.
        self._iov = array("L", bytes(4 * WORD))
        self._aad = addressof(self._iov)
        self._text = self._aad + 2 * WORD
        self._tag_size = struct.pack("P", _TAG)

    @micropython.native
    def seal(self, nonce, aad, aad_len, text, n, tag):
        iov = self._iov
        iov[0] = addressof(aad)
        iov[1] = aad_len
        iov[2] = addressof(text)
        iov[3] = n
        if self._do(self._handle, nonce, _NONCE, self._aad, 1, self._text, 1, tag, self._tag_size):
            raise StateError("gnutls cannot encrypt")

    @micropython.native
    def open(self, nonce, aad, aad_len, text, n, tag):
        iov = self._iov
        iov[0] = addressof(aad)
        iov[1] = aad_len
        iov[2] = addressof(text)
        iov[3] = n
        return not self._undo(self._handle, nonce, _NONCE, self._aad, 1, self._text, 1, tag, _TAG)


class _Cbc(_Key):
    def __init__(self, library, algorithm, key):
        func = library.func
        self._set_iv = func("v", "gnutls_cipher_set_iv", "ppL")
        self._do = func("i", "gnutls_cipher_encrypt2", "ppLpL")
        self._undo = func("i", "gnutls_cipher_decrypt2", "ppLpL")
        self._free = func("v", "gnutls_cipher_deinit", "p")
        init = func("i", "gnutls_cipher_init", "pipp")
        self._make(init, algorithm, _datum(key), _datum(_ZERO_IV))

    def _run(self, function, iv, text, n):
        if not self._handle:
            _closed()
        self._set_iv(self._handle, iv, _BLOCK)
        if function(self._handle, text, n, text, n):
            raise StateError("gnutls: the length")

    def encrypt(self, iv, text, n):
        self._run(self._do, iv, text, n)

    def decrypt(self, iv, text, n):
        self._run(self._undo, iv, text, n)


class _Mac(_Key):
    def __init__(self, library, algorithm, key):
        func = library.func
        self._do = func("i", "gnutls_hmac", "ppL")
        self._output = func("v", "gnutls_hmac_output", "pp")
        self._equal = func("i", "gnutls_memcmp", "ppL")
        deinit = func("v", "gnutls_hmac_deinit", "pp")
        self._free = lambda handle: deinit(handle, None)
        self._make(func("i", "gnutls_hmac_init", "pipL"), algorithm, key, len(key))
        self.size = func("I", "gnutls_hmac_get_len", "i")(algorithm)
        self._code = bytearray(self.size)

    def compute(self, data, n, out):
        if self._do(self._handle, data, n):
            raise StateError("gnutls cannot authenticate")
        self._output(self._handle, out)

    def verify(self, data, n, mac):
        self.compute(data, n, self._code)
        return not self._equal(self._code, mac, self.size)


class Gnutls:
    """A provider (docs/architecture.md); Unsupported is raised where the library is missing."""

    name = "libgnutls"

    def __init__(self, file="libgnutls.so.30"):
        self._library = Library(file)
        self._cipher = self._library.func("i", "gnutls_cipher_get_id", "s")
        self._digest = self._library.func("i", "gnutls_mac_get_id", "s")

    def _new(self, kind, find, name, key):
        algorithm = find(name)
        if algorithm <= 0:
            raise Unsupported("gnutls: " + name)
        return kind(self._library, algorithm, key)

    def aead(self, cipher, key):
        """AES-128-GCM, AES-192-GCM, AES-256-GCM or CHACHA20-POLY1305."""
        return self._new(_Aead, self._cipher, cipher, key)

    def cbc(self, cipher, key):
        """AES-128-CBC, AES-192-CBC or AES-256-CBC."""
        return self._new(_Cbc, self._cipher, cipher, key)

    def hmac(self, digest, key):
        """SHA1, SHA256, SHA384 or SHA512."""
        return self._new(_Mac, self._digest, digest, key)
