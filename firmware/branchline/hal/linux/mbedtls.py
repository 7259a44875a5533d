"""What MicroPython's `tls` module does not offer of the mbedtls that it is linked with, by ffi.

The functions want mbedtls' own structures, which lie inside MicroPython's objects. Where they lie
is checked against what must be in their neighbourhood before anything is written; a build that
looks different is refused.
"""

import struct

from micropython import const
from uctypes import bytearray_at

from branchline.hal.linux.libc import WORD, Library
from branchline.wire.errors import TlsError, Unsupported

# MicroPython's SSLSocket: three words, which are its type, SSLContext and stream, and then the
# mbedtls_ssl_context, aligned as 64-bit integers are. That starts with a pointer to the
# configuration, a part of the SSLContext.
_CONTEXT = WORD
_ALIGNMENT = struct.calcsize("@BQ") - 8
_SSL = (3 * WORD + _ALIGNMENT - 1) // _ALIGNMENT * _ALIGNMENT
_MAX_CONTEXT_SIZE = const(4096)
_TLS_1_2 = const(0x0303)
_TLS_1_3 = const(0x0304)


def load():
    """An Mbedtls, or None where the interpreter does not give access to one."""
    try:
        return Mbedtls()
    except Unsupported:
        return None


class Mbedtls:
    """Access to the interpreter's own mbedtls. Raises Unsupported where there is none."""

    def __init__(self):
        library = Library(None)
        self._set_hostname = library.func("i", "mbedtls_ssl_set_hostname", "LL")
        try:
            self._export = library.func("i", "mbedtls_ssl_export_keying_material", "LpLsLLLi")
        except Unsupported:
            self._export = None

    @property
    def can_export(self):
        """Whether export() works."""
        return self._export is not None

    def clear_hostname(self, ssl, context):
        """Makes a connection verify the server's chain without a name; False if it cannot."""
        address = locate(ssl, context)
        return bool(address) and self._set_hostname(address, 0) == 0

    def forbid_tls13(self, ssl, context):
        """Limits the context's later connections to TLS 1.2; False if it cannot."""
        if not locate(ssl, context):
            return False
        bytearray_at(_word(id(ssl) + _SSL), 4)[:] = struct.pack("I", _TLS_1_2)
        return True

    def export(self, ssl, context, label, n):
        """n octets of keying material (RFC 5705); label: str. Raises TlsError."""
        out = bytearray(n)
        address = locate(ssl, context)
        if not address or self._export(address, out, n, label, len(label), 0, 0, 0):
            raise TlsError("the export of keying material failed")
        return bytes(out)


def _word(address):
    return struct.unpack("P", bytearray_at(address, WORD))[0]


def locate(ssl, context):
    """The address of the mbedtls_ssl_context in an SSLSocket; 0 if it does not lie there."""
    if _word(id(ssl) + _CONTEXT) != id(context):
        return 0
    address = id(ssl) + _SSL
    configuration = _word(address)
    if not id(context) < configuration < id(context) + _MAX_CONTEXT_SIZE:
        return 0
    highest, lowest = struct.unpack("II", bytearray_at(configuration, 8))
    return address if _TLS_1_2 <= lowest <= highest <= _TLS_1_3 else 0
