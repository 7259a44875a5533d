"""Chooses the provider for each cipher and digest, and has it prove itself first."""

from branchline.wire.errors import Unsupported

KEY_SIZES = {
    "AES-128-GCM": 16,
    "AES-192-GCM": 24,
    "AES-256-GCM": 32,
    "CHACHA20-POLY1305": 32,
    "AES-128-CBC": 16,
    "AES-192-CBC": 24,
    "AES-256-CBC": 32,
}

DIGEST_SIZES = {"SHA1": 20, "SHA256": 32, "SHA384": 48, "SHA512": 64}

# Known answers. The key, the nonce or IV, the additional data (8 octets) and the text (48 octets,
# for AEAD 45) count from 0; a digest's key is of 32 octets. The answer is the AEAD's tag, the last
# block of CBC, or the first 16 octets of the HMAC; each depends on all the octets before it.
_ANSWERS = {
    "AES-128-GCM": b"\x72\xc0\x6d\x9e\xca\xb7\x3a\x87\xa6\x15\xa1\x9a\x89\x7a\xef\xc3",
    "AES-192-GCM": b"\xf0\x6e\x34\x2a\x01\xa7\x58\xe2\x9b\xbf\xd7\x63\x75\x91\xca\x3e",
    "AES-256-GCM": b"\xaa\x66\x17\x85\x71\x91\x41\xc6\xeb\x14\xa6\x17\x56\xa4\x27\x8f",
    "CHACHA20-POLY1305": b"\x7a\x1e\x9b\x85\x0b\x2d\x75\x2c\x92\x41\x4a\xb2\xf6\xb3\xdf\x93",
    "AES-128-CBC": b"\x7b\x30\x46\x46\x05\xf0\x2a\x09\x4c\x0a\xf7\xad\x98\x4f\x61\xfc",
    "AES-192-CBC": b"\xb4\x1e\xee\x4c\x09\x68\x4a\xda\xa2\x42\x90\x64\x90\x87\xa0\x27",
    "AES-256-CBC": b"\xa1\x44\xfc\x25\x5a\xad\x45\xbf\x68\x1d\x3a\x37\x73\xa3\x25\xc2",
    "SHA1": b"\xc9\xdb\x27\x12\xc7\xcd\x14\xf8\xc3\x64\x57\xf7\x7c\x31\xd3\xc6",
    "SHA256": b"\xc3\x1a\x7f\xb7\x64\x8a\x83\x0a\x81\x04\x43\x4c\xd9\xcc\x3f\xda",
    "SHA384": b"\x77\xa8\xd0\x6f\x03\xfd\xf1\x0e\x07\x16\x33\x68\x84\x85\x60\xab",
    "SHA512": b"\x58\xe1\x4a\x68\xf4\x1a\x2b\x00\xa7\x31\xc8\xe3\xbf\x0e\xc0\xc7",
}


def _check_aead(aead, answer):
    text = bytearray(range(45))
    tag = bytearray(16)
    counting = bytearray(range(12))
    aead.seal(counting, counting, 8, text, 45, tag)
    sealed = bytearray(text)
    right = tag == answer and aead.open(counting, counting, 8, text, 45, tag)
    tag[15] ^= 1
    return (
        right
        and text == bytearray(range(45))
        and not aead.open(counting, counting, 8, sealed, 45, tag)
    )


def _check_cbc(cbc, answer):
    text = bytearray(range(48))
    iv = bytearray(range(16))
    cbc.encrypt(iv, text, 48)
    right = text[32:] == answer
    cbc.decrypt(iv, text, 48)
    return right and text == bytearray(range(48))


def _check_hmac(mac, answer):
    code = bytearray(64)
    text = bytearray(range(48))
    mac.compute(text, 48, code)
    right = code[:16] == answer and mac.verify(text, 48, code)
    code[mac.size - 1] ^= 1
    return right and not mac.verify(text, 48, code)


class Providers:
    """A provider made of several: for each algorithm the first that has it and gets it right.

    candidates: callables (classes) that return a provider or raise Unsupported, the preferred one
    first; log(level, message) is told, in words, what is used and what failed its check.
    """

    def __init__(self, candidates, log):
        self._log = log
        self._chosen = {}
        self._candidates = list(candidates)
        self._providers = []

    def _made(self, kind, name, key, check):
        """kind(name, key) of the provider for `name`, which is chosen at the first call."""
        if name not in self._chosen:
            self._chosen[name] = self._choose(kind, name, check)
        return getattr(self._chosen[name], kind)(name, key)

    def _each(self):
        """The providers in turn; those that nobody needed before are made now."""
        yield from self._providers
        while self._candidates:
            candidate = self._candidates.pop(0)
            try:
                provider = candidate()
            except Unsupported as error:
                self._log("debug", str(error))
                continue
            self._providers.append(provider)
            yield provider

    def _choose(self, kind, name, check):
        answer = _ANSWERS.get(name)
        key = bytes(range(KEY_SIZES.get(name, 32)))
        for provider in self._each() if answer else ():
            try:
                subject = getattr(provider, kind)(name, key)
            except Unsupported:
                continue
            right = check(subject, answer)
            subject.close()
            if right:
                self._log("info", name + " by " + provider.name)
                return provider
            self._log("warning", provider.name + " gets " + name + " wrong; not used")
        raise Unsupported("no provider of " + name)

    def has(self, cipher):
        """Whether there is a provider of this cipher, one of KEY_SIZES."""
        try:
            make = self.cbc if cipher[-4:] == "-CBC" else self.aead
            make(cipher, bytes(KEY_SIZES.get(cipher, 0))).close()
        except Unsupported:
            return False
        return True

    def aead(self, cipher, key):
        """An Aead of the chosen provider; raises Unsupported."""
        return self._made("aead", cipher, key, _check_aead)

    def cbc(self, cipher, key):
        """A Cbc of the chosen provider; raises Unsupported."""
        return self._made("cbc", cipher, key, _check_cbc)

    def hmac(self, digest, key):
        """A Mac of the chosen provider; raises Unsupported."""
        return self._made("hmac", digest, key, _check_hmac)
