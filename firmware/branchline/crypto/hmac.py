"""HMAC (RFC 2104), with the interface of CPython's hmac.

MicroPython's hashes can be read only once and cannot be copied, so a digest ends the message.
"""

import hashlib

from branchline.wire.errors import StateError, Unsupported


def _named(name):
    try:
        return getattr(hashlib, name.lower())
    except AttributeError:
        raise Unsupported("no digest " + name) from None


class HMAC:
    """One message's code. digestmod is a hashlib constructor, or its name in either case, for
    which Unsupported is raised where hashlib lacks it."""

    def __init__(self, key, msg=None, digestmod=None):
        if isinstance(digestmod, str):
            digestmod = _named(digestmod)
        # MicroPython's hashes do not tell, but all it has are of 64-octet blocks.
        size = getattr(digestmod(), "block_size", 64)
        if len(key) > size:
            key = digestmod(key).digest()
        padded = bytearray(size)
        padded[: len(key)] = key
        self._inner = digestmod(bytes(octet ^ 0x36 for octet in padded))
        self._outer = digestmod(bytes(octet ^ 0x5C for octet in padded))
        self._result = None
        if msg is not None:
            self.update(msg)

    def update(self, msg):
        """Adds octets to the message; raises StateError after digest()."""
        if self._result is not None:
            raise StateError("the digest has been taken")
        self._inner.update(msg)

    def digest(self):
        """The code of the whole message."""
        if self._result is None:
            self._outer.update(self._inner.digest())
            self._result = self._outer.digest()
        return self._result

    def hexdigest(self):
        """The code in hexadecimal."""
        return "".join("%02x" % octet for octet in self.digest())


def new(key, msg=None, digestmod=None):
    """An HMAC object for the key, holding msg if given."""
    return HMAC(key, msg, digestmod)


def compare_digest(a, b):
    """Whether two bytes-like values are equal, in a time that depends on their lengths alone."""
    if len(a) != len(b):
        return False
    difference = 0
    for i in range(len(a)):
        difference |= a[i] ^ b[i]
    return not difference
