"""The crypto provider over OpenSSL's libcrypto: EVP contexts, with the key set once.

The caller vouches that the buffers hold the octets that it names; nothing in C checks it.
Nothing is allocated after construction.
"""

import micropython
from micropython import const

from branchline.hal.linux.libc import Library
from branchline.wire.errors import StateError, Unsupported

_KEEP = const(-1)  # of EVP_CipherInit_ex: the direction as it was
_GET_TAG = const(16)
_SET_TAG = const(17)
_TAG = const(16)
# Where EVP names a cipher otherwise than OpenVPN.
_NAMES = {"CHACHA20-POLY1305": "ChaCha20-Poly1305"}


def _closed(*arguments):
    raise StateError("the key has been closed")


class _Cipher:
    """A context for each direction, as some key schedules differ."""

    def __init__(self, library, algorithm, key):
        func = library.func
        if func("i", "EVP_CIPHER_get_key_length", "p")(algorithm) != len(key):
            raise Unsupported("libcrypto: a key of this size")
        self._start = func("i", "EVP_CipherInit_ex", "pppppi")
        self._update = func("i", "EVP_CipherUpdate", "ppppi")
        self._free = func("v", "EVP_CIPHER_CTX_free", "p")
        self._size = bytearray(4)  # where libcrypto writes lengths, which are known
        new = func("P", "EVP_CIPHER_CTX_new", "")
        self._encrypt = new()
        self._decrypt = new()
        for context, direction in ((self._encrypt, 1), (self._decrypt, 0)):
            if not context or self._start(context, algorithm, None, key, None, direction) != 1:
                self.close()
                raise Unsupported("libcrypto: the cipher")

    def close(self):
        """Frees the keys; any later use raises StateError."""
        self._start = self._update = _closed
        for context in (self._encrypt, self._decrypt):
            self._free(context)
        self._encrypt = self._decrypt = None


class _Aead(_Cipher):
    def __init__(self, library, algorithm, key):
        self._finish = library.func("i", "EVP_CipherFinal_ex", "ppp")
        self._control = library.func("i", "EVP_CIPHER_CTX_ctrl", "piip")
        super().__init__(library, algorithm, key)

    @micropython.native
    def seal(self, nonce, aad, aad_len, text, n, tag):
        context = self._encrypt
        size = self._size
        update = self._update
        if (
            self._start(context, None, None, None, nonce, _KEEP) != 1
            or update(context, None, size, aad, aad_len) != 1
            or update(context, text, size, text, n) != 1
            or self._finish(context, tag, size) != 1
            or self._control(context, _GET_TAG, _TAG, tag) != 1
        ):
            raise StateError("libcrypto cannot encrypt")

    @micropython.native
    def open(self, nonce, aad, aad_len, text, n, tag):
        context = self._decrypt
        size = self._size
        update = self._update
        return (
            self._start(context, None, None, None, nonce, _KEEP) == 1
            and update(context, None, size, aad, aad_len) == 1
            and update(context, text, size, text, n) == 1
            and self._control(context, _SET_TAG, _TAG, tag) == 1
            and self._finish(context, size, size) == 1
        )


class _Cbc(_Cipher):
    def __init__(self, library, algorithm, key):
        super().__init__(library, algorithm, key)
        set_padding = library.func("i", "EVP_CIPHER_CTX_set_padding", "pi")
        set_padding(self._encrypt, 0)
        set_padding(self._decrypt, 0)

    def _run(self, context, iv, text, n):
        if (
            self._start(context, None, None, None, iv, _KEEP) != 1
            or self._update(context, text, self._size, text, n) != 1
        ):
            raise StateError("libcrypto: the length")

    def encrypt(self, iv, text, n):
        self._run(self._encrypt, iv, text, n)

    def decrypt(self, iv, text, n):
        self._run(self._decrypt, iv, text, n)


class _Mac:
    def __init__(self, library, digest, key):
        func = library.func
        self._hmac = func("P", "HMAC", "ppipLpp")
        self._equal = func("i", "CRYPTO_memcmp", "ppL")
        self._digest = digest
        self._key = bytearray(key)
        self.size = func("i", "EVP_MD_get_size", "p")(digest)
        self._code = bytearray(self.size)
        self._size = bytearray(4)

    def compute(self, data, n, out):
        key = self._key
        if not self._hmac(self._digest, key, len(key), data, n, out, self._size):
            raise StateError("libcrypto cannot authenticate")

    def verify(self, data, n, mac):
        self.compute(data, n, self._code)
        return not self._equal(self._code, mac, self.size)

    def close(self):
        """Zeroes the key; any later use raises StateError."""
        key = self._key
        for i in range(len(key)):
            key[i] = 0
        self._hmac = _closed


class Libcrypto:
    """A provider (docs/architecture.md); Unsupported is raised where the library is missing."""

    name = "libcrypto"

    def __init__(self, file="libcrypto.so.3"):
        self._library = Library(file)
        self._find_cipher = self._library.func("P", "EVP_get_cipherbyname", "s")
        self._find_digest = self._library.func("P", "EVP_get_digestbyname", "s")

    def _new(self, kind, find, name, key):
        algorithm = find(name)
        if not algorithm:
            raise Unsupported("libcrypto: " + name)
        return kind(self._library, algorithm, key)

    def aead(self, cipher, key):
        """AES-128-GCM, AES-192-GCM, AES-256-GCM or CHACHA20-POLY1305."""
        return self._new(_Aead, self._find_cipher, _NAMES.get(cipher, cipher), key)

    def cbc(self, cipher, key):
        """AES-128-CBC, AES-192-CBC or AES-256-CBC."""
        return self._new(_Cbc, self._find_cipher, cipher, key)

    def hmac(self, digest, key):
        """SHA1, SHA256, SHA384 or SHA512."""
        return self._new(_Mac, self._find_digest, digest, key)
