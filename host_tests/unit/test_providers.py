"""Every provider against published vectors, and the choice among several."""

from branchline.crypto.aead import DIGEST_SIZES, KEY_SIZES, Providers
from branchline.crypto.pure import Pure
from branchline.hal.linux.gnutls import Gnutls
from branchline.hal.linux.libc import Library
from branchline.hal.linux.libcrypto import Libcrypto
from branchline.wire.errors import StateError, Unsupported
from crypto_vectors import AEAD, CBC, HMAC, octets
from support import MACHINE_CODE, SMALL_ADDRESSES, heap_lock, heap_unlock, raises

_LIBRARIES = (Gnutls, Libcrypto)
_PURE = ("AES-128-GCM", "AES-256-GCM", "AES-128-CBC", "AES-256-CBC", "MD5", "SHA1", "SHA256")


def _having(name):
    """The providers that must have an algorithm."""
    return [kind() for kind in _LIBRARIES + ((Pure,) if name in _PURE else ())]


def test_aead_vectors():
    for row in AEAD:
        name, cipher, key, nonce, aad, text, sealed, tag = octets(row)
        for provider in _having(cipher):
            aead = provider.aead(cipher, key)
            buf = bytearray(text + b"\xee" * 16)
            got = bytearray(16)
            aad = bytearray(aad or b"-")
            size = 0 if aad == b"-" else len(aad)
            aead.seal(nonce, aad, size, buf, len(text), got)
            assert (buf[: len(text)], got) == (sealed, tag), (provider.name, name)
            assert aead.open(nonce, aad, size, buf, len(text), got), (provider.name, name)
            assert buf == text + b"\xee" * 16, (provider.name, name)
            aead.close()


def test_aead_refuses_every_single_wrong_octet():
    for cipher in KEY_SIZES:
        if cipher[-4:] == "-CBC":
            continue
        for provider in _having(cipher):
            aead = provider.aead(cipher, bytes(KEY_SIZES[cipher]))
            good = [bytearray(12), bytearray(8), bytearray(33), bytearray(16)]
            aead.seal(good[0], good[1], 8, good[2], 33, good[3])
            for part in range(4):
                for i in range(len(good[part])):
                    nonce, aad, text, tag = [bytearray(octets) for octets in good]
                    (nonce, aad, text, tag)[part][i] ^= 1 << i % 8
                    assert not aead.open(nonce, aad, 8, text, 33, tag), (provider.name, part, i)
            assert aead.open(good[0], good[1], 8, good[2], 33, good[3])
            assert good[2] == bytes(33)


def test_cbc_vectors():
    for cipher, key, iv, text, sealed in map(octets, CBC):
        for provider in _having(cipher):
            cbc = provider.cbc(cipher, key)
            buf = bytearray(text + b"\xee" * 16)
            for _ in range(2):
                cbc.encrypt(bytearray(iv), buf, 64)
                assert buf == sealed + b"\xee" * 16, provider.name
                cbc.decrypt(bytearray(iv), buf, 64)
                assert buf == text + b"\xee" * 16, provider.name
            cbc.close()


def test_hmac_vectors():
    for digest, key, message, code in map(octets, HMAC):
        for provider in _having(digest):
            mac = provider.hmac(digest, key)
            out = bytearray(80)
            for _ in range(2):
                mac.compute(message + b"--", len(message), out)
                assert (out[: mac.size], out[mac.size :]) == (code, bytes(80 - mac.size))
            assert mac.verify(message, len(message), out)
            for i in range(mac.size):
                out[i] ^= 0x80
                assert not mac.verify(message, len(message), out), (provider.name, i)
                out[i] ^= 0x80
            mac.close()


def test_the_tables_of_sizes_hold():
    assert all(Gnutls().hmac(name, b"").size == size for name, size in DIGEST_SIZES.items())
    for provider in (Gnutls(), Libcrypto()):
        for cipher, size in KEY_SIZES.items():
            make = provider.cbc if cipher[-4:] == "-CBC" else provider.aead
            make(cipher, bytes(size)).close()
            for wrong in (0, 15, size - 1, size + 1, 64):
                raises(Unsupported, make, cipher, bytes(wrong))


def test_what_a_provider_lacks_is_unsupported():
    for kind in _LIBRARIES + (Pure,):
        provider = kind()
        raises(Unsupported, provider.aead, "AES-257-GCM", bytes(32))
        raises(Unsupported, provider.hmac, "SHA1024", bytes(32))
    raises(Unsupported, Pure().aead, "CHACHA20-POLY1305", bytes(32))
    raises(Unsupported, Pure().cbc, "AES-192-CBC", bytes(24))


def test_a_missing_library_or_function_is_unsupported():
    for kind in _LIBRARIES:
        raises(Unsupported, kind, "libmissing.so.99")
        raises(Unsupported, kind, "libc.so.6")
    raises(Unsupported, Library(None).func, "i", "no_such_function", "")


def test_a_closed_key_cannot_be_used():
    for kind in _LIBRARIES:
        provider = kind()
        buf = bytearray(64)
        for made, uses in (
            (
                provider.aead("AES-128-GCM", bytes(16)),
                (("seal", (buf, buf, 8, buf, 16, buf)), ("open", (buf, buf, 8, buf, 16, buf))),
            ),
            (
                provider.cbc("AES-128-CBC", bytes(16)),
                (("encrypt", (buf, buf, 16)), ("decrypt", (buf, buf, 16))),
            ),
            (
                provider.hmac("SHA256", bytes(16)),
                (("compute", (buf, 16, buf)), ("verify", (buf, 16, buf))),
            ),
        ):
            made.close()
            made.close()
            for method, arguments in uses:
                raises(StateError, getattr(made, method), *arguments)


def test_library_providers_allocate_nothing():
    buf = bytearray(1500)
    for kind in _LIBRARIES:
        provider = kind()
        aead = provider.aead("AES-256-GCM", bytes(32))
        cbc = provider.cbc("AES-256-CBC", bytes(32))
        mac = provider.hmac("SHA256", bytes(32))
        code = bytearray(64)
        heap_lock(strict=MACHINE_CODE and SMALL_ADDRESSES)
        try:
            aead.seal(code, code, 8, buf, 1500, code)
            cbc.encrypt(code, buf, 1488)
            mac.compute(buf, 1500, code)
            right = mac.verify(buf, 1500, code)
            cbc.decrypt(code, buf, 1488)
            aead.open(code, code, 8, buf, 1500, code)
        finally:
            heap_unlock()
        assert right, provider.name


class _Lying:
    """A provider that answers wrongly: with keys of its own."""

    name = "lying"

    def __init__(self):
        self._true = Pure()

    def aead(self, cipher, key):
        return self._true.aead(cipher, b"\x01" + key[1:])

    def cbc(self, cipher, key):
        return self._true.cbc(cipher, b"\x01" + key[1:])

    def hmac(self, digest, key):
        return self._true.hmac(digest, b"\x01" + key[1:])


class _Gullible(Pure):
    """A provider that computes rightly and accepts everything."""

    name = "gullible"

    def aead(self, cipher, key):
        aead = super().aead(cipher, key)
        true_open = aead.open
        aead.open = lambda *arguments: true_open(*arguments) or True
        return aead

    def hmac(self, digest, key):
        mac = super().hmac(digest, key)
        mac.verify = lambda *arguments: True
        return mac


def _missing():
    raise Unsupported("no library libmissing")


def test_the_first_provider_that_has_it_and_gets_it_right_is_used():
    log = []
    providers = Providers([_missing, _Lying, _Gullible, Pure, Gnutls],
                          lambda level, text: log.append((level, text)))  # fmt: skip
    assert log == [], "a provider is made when those before it lack something"
    providers.aead("AES-256-GCM", bytes(32)).close()
    assert log[0] == ("debug", "no library libmissing")
    del log[:]
    for kind, name, wrong, chosen in (
        ("aead", "AES-128-GCM", ("lying", "gullible"), "pure Python"),
        ("cbc", "AES-128-CBC", ("lying",), "gullible"),
        ("hmac", "SHA256", ("lying", "gullible"), "pure Python"),
        ("aead", "CHACHA20-POLY1305", (), "libgnutls"),
        ("aead", "AES-192-GCM", (), "libgnutls"),
        ("hmac", "SHA512", ("lying", "gullible"), "pure Python"),
    ):
        getattr(providers, kind)(name, bytes(KEY_SIZES.get(name, 32))).close()
        if (kind, name) == ("hmac", "SHA512") and log[0][0] == "info":
            wrong, chosen = (), "libgnutls"  # MicroPython's hashlib has no SHA512
        warnings = [("warning", bad + " gets " + name + " wrong; not used")
                    for bad in wrong]  # fmt: skip
        assert log == warnings + [("info", name + " by " + chosen)]
        del log[:]
        getattr(providers, kind)(name, bytes(KEY_SIZES.get(name, 32))).close()
        assert log == [], "a choice is made once"


def test_what_nobody_has_is_unsupported():
    providers = Providers([Pure], lambda level, text: None)
    for make, name in (
        (providers.aead, "CHACHA20-POLY1305"),
        (providers.aead, "none"),
        (providers.cbc, "BF-CBC"),
        (providers.hmac, "BLAKE2S"),
    ):
        raises(Unsupported, make, name, bytes(32))
    assert providers.has("AES-256-GCM") and providers.has("AES-128-CBC")
    assert not providers.has("CHACHA20-POLY1305") and not providers.has("BF-CBC")
