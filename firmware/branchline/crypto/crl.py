"""Certificate revocation lists (RFC 5280 5), searched where they lie.

A list is a local file that the user trusts: its signature is not verified.
"""

from binascii import a2b_base64

from micropython import const

from branchline.crypto import der
from branchline.wire.errors import ProtocolError

_BEGIN = b"-----BEGIN X509 CRL-----"
_END = b"-----END X509 CRL-----"
_VERSION_2 = b"\1"
_MAX_LISTS = const(16)


def decode(data):
    """Yields each list in a PEM file (bytes) as DER. Raises ProtocolError if there is none."""
    at = 0
    for count in range(_MAX_LISTS + 1):
        start = data.find(_BEGIN, at)
        if start < 0 and count:
            return
        at = data.find(_END, start)
        if start < 0 or at < 0 or count == _MAX_LISTS:
            raise ProtocolError("CRL: no list, an incomplete one, or too many")
        try:
            yield a2b_base64(data[start + len(_BEGIN) : at])
        except ValueError:
            raise ProtocolError("CRL: bad base64")


class Crl:
    """A list in DER (bytes). issuer: raw DER of the issuer's name; this_update, next_update: Unix
    seconds (next_update None without one). Raises ProtocolError if it cannot be read."""

    def __init__(self, data):
        body = der.expect(der.document(data), der.SEQUENCE)
        version = der.optional(body, der.INTEGER)
        if version and version.rest() != _VERSION_2:
            raise ProtocolError("CRL: unknown version")
        der.expect(body, der.SEQUENCE)  # signature algorithm
        self.issuer = der.expect(body, der.SEQUENCE).rest()
        self.this_update = der.time(body)
        self.next_update = der.optional_time(body)
        self._revoked = der.optional(body, der.SEQUENCE)

    def revokes(self, serial):
        """Whether the list names that serial number (octets). Reads the list once: the second
        question needs a new Crl."""
        entries = self._revoked
        while entries and entries.remaining():
            entry = der.expect(entries, der.SEQUENCE)
            if der.serial(der.expect(entry, der.INTEGER)) == serial:
                return True
        return False
