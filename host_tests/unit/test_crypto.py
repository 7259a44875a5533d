"""HMAC, PRF, AES-CTR and the pure GCM against published vectors."""

import hashlib

from branchline.crypto import aes_ctr, hmac
from branchline.crypto.gcm import Gcm
from branchline.crypto.prf import prf
from branchline.wire.errors import StateError, Unsupported
from crypto_vectors import AEAD, CTR, HMAC, PRF, octets
from support import MACHINE_CODE, heap_lock, heap_unlock, raises


def test_hmac_vectors_of_the_digests_that_hashlib_has():
    tried = 0
    for digest, key, message, code in map(octets, HMAC):
        if hasattr(hashlib, digest.lower()):
            tried += 1
            assert hmac.new(key, message, digest).digest() == code, digest
            mac = hmac.new(key, digestmod=getattr(hashlib, digest.lower()))
            mac.update(message[:5])
            mac.update(message[5:])
            assert mac.digest() == mac.digest() == code
            assert bytes.fromhex(mac.hexdigest()) == code
            raises(StateError, mac.update, b"more")
    assert tried >= 6


def test_hmac_of_an_unknown_digest():
    raises(Unsupported, hmac.new, b"key", b"", "whirlpool")


def test_compare_digest():
    for a, b, equal in (
        (b"", b"", True),
        (b"abc", bytearray(b"abc"), True),
        (b"abc", b"abd", False),
        (b"abc", b"bbc", False),
        (b"abc", b"ab", False),
    ):
        assert hmac.compare_digest(a, b) is equal


def test_prf_of_tls_1_0():
    secret, label, seed, output = octets(PRF)
    for size in (1, 16, 20, 48, len(output)):
        assert prf(secret, label, seed, size) == output[:size]


def test_prf_of_an_odd_secret_shares_its_middle_octet():
    # RFC 2246 section 5: S1 and S2 overlap by an octet.
    assert prf(b"abc", b"", b"seed", 20) == bytes(
        x ^ y for x, y in zip(_p_hash(b"ab", "MD5"), _p_hash(b"bc", "SHA1"))
    )


def _p_hash(secret, digest):
    a = hmac.new(secret, b"seed", digest).digest()
    first = hmac.new(secret, a + b"seed", digest).digest()
    a = hmac.new(secret, a, digest).digest()
    return (first + hmac.new(secret, a + b"seed", digest).digest())[:20]


def _by_ecb(key, iv, text):
    out = bytearray(text)
    aes_ctr._by_ecb(key, iv, out)
    return bytes(out)


def test_aes_ctr_vectors_by_either_way():
    for key, counter, text, sealed in map(octets, CTR):
        cipher = aes_ctr.AesCtr(key)
        for size in (0, 1, 15, 16, 17, 64):
            assert cipher.crypt(counter, text[:size]) == sealed[:size]
            assert cipher.crypt(counter, sealed[:size]) == text[:size]
            assert _by_ecb(key, counter, text[:size]) == sealed[:size]


def test_aes_ctr_carries_over_the_whole_counter():
    key = bytes(32)
    last = b"\xff" * 16
    assert _by_ecb(key, last, bytes(32))[16:] == _by_ecb(key, bytes(16), bytes(16))
    assert aes_ctr.AesCtr(key).crypt(last, bytes(32)) == _by_ecb(key, last, bytes(32))
    raises(ValueError, aes_ctr.AesCtr, bytes(5))


def test_pure_gcm_vectors_with_either_table():
    for row in AEAD:
        name, cipher, key, nonce, aad, text, sealed, tag = octets(row)
        if cipher not in ("AES-128-GCM", "AES-256-GCM"):
            continue
        for digit in (4, 8):
            gcm = Gcm(key, digit)
            buf = bytearray(text + b"\xee" * 32)
            got = bytearray(16)
            gcm.seal(nonce, aad, len(aad), buf, len(text), got)
            assert (buf[: len(text)], got) == (sealed, tag), name
            assert gcm.open(nonce, aad, len(aad), buf, len(text), got), name
            assert buf == text + b"\xee" * 32, name


def test_both_gcm_tables_agree_on_long_texts():
    # 48 blocks are made at a time, one of them for the tag.
    for n in (751, 752, 753, 767, 768, 769, 1400, 1521, 4000):
        sealed = []
        for digit in (4, 8):
            text = bytearray(i * 7 & 255 for i in range(n))
            tag = bytearray(16)
            gcm = Gcm(bytes(range(32)), digit)
            gcm.seal(bytes(12), b"", 0, text, n, tag)
            sealed.append((text, tag))
            copy = bytearray(text)
            assert gcm.open(bytes(12), b"", 0, copy, n, tag)
            assert copy == bytes(i * 7 & 255 for i in range(n))
        assert sealed[0] == sealed[1]


def test_pure_gcm_refuses_what_it_cannot_do():
    raises(Unsupported, Gcm, bytes(24))
    buf = bytearray(64)
    raises(StateError, Gcm(bytes(16)).seal, bytes(12), buf, 33, buf, 16, buf)


def test_pure_gcm_allocates_nothing():
    gcm = Gcm(bytes(32))
    buf = bytearray(1500)
    nonce = bytes(12)
    tag = bytearray(16)
    heap_lock(strict=MACHINE_CODE)
    try:
        gcm.seal(nonce, nonce, 8, buf, 1500, tag)
        right = gcm.open(nonce, nonce, 8, buf, 1500, tag)
    finally:
        heap_unlock()
    assert right
