"""The pseudorandom function of TLS 1.0 (RFC 2246 section 5): key method 2 derives keys by it."""

from branchline.crypto import hmac


def _p_hash(digest, secret, seed, size):
    """P_hash: `size` octets of HMAC chained over the seed."""
    out = b""
    a = seed
    while len(out) < size:
        a = hmac.new(secret, a, digest).digest()
        out += hmac.new(secret, a + seed, digest).digest()
    return out[:size]


def prf(secret, label, seed, size):
    """`size` octets derived from secret, label and seed (all bytes)."""
    half = (len(secret) + 1) // 2  # an odd secret's middle octet is in both halves
    seed = label + seed
    md5 = _p_hash("MD5", secret[:half], seed, size)
    sha1 = _p_hash("SHA1", secret[len(secret) - half :], seed, size)
    return bytes(a ^ b for a, b in zip(md5, sha1))
