"""CPython's stand-in for MicroPython's `cryptolib`, over the `cryptography` package."""

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_MODES = {1: lambda iv: modes.ECB(), 2: modes.CBC, 6: modes.CTR}


class aes:
    """One direction of AES: the first call of encrypt or decrypt settles which."""

    def __init__(self, key, mode, iv=None):
        if len(key) not in (16, 32):
            raise ValueError("key")
        if mode not in _MODES or (mode != 1 and (iv is None or len(iv) != 16)):
            raise ValueError("mode")
        self._cipher = Cipher(algorithms.AES(bytes(key)), _MODES[mode](iv and bytes(iv)))
        self._whole_blocks = mode != 6
        self._run = None

    def _process(self, start, data, out):
        if self._whole_blocks and len(data) % 16:
            raise ValueError("blksize % 16")
        self._run = self._run or start().update
        result = self._run(bytes(data))
        if out is None:
            return result
        if len(out) < len(result):
            raise ValueError("output too small")
        memoryview(out)[: len(result)] = result
        return None

    def encrypt(self, data, out=None):
        """Returns the ciphertext, or writes it to out."""
        return self._process(self._cipher.encryptor, data, out)

    def decrypt(self, data, out=None):
        """Returns the plaintext, or writes it to out."""
        return self._process(self._cipher.decryptor, data, out)
