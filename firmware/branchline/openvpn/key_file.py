"""OpenVPN's own key files: static keys (tls-auth, tls-crypt) and tls-crypt-v2 client keys."""

from binascii import a2b_base64, unhexlify

from micropython import const

_KEY_SIZE = const(256)
# Tag 32, length 2, and the key; the stock limit of a wrapped key with its metadata.
_MIN_WKC = const(32 + 256 + 2)
_MAX_WKC = const(1024)


def _body(data, kind):
    """The text between the BEGIN and END lines without white space; ValueError without them."""
    begin = b"-----BEGIN " + kind + b"-----"
    start = data.find(begin)
    end = data.find(b"-----END " + kind + b"-----", max(start, 0))
    if start < 0 or end < 0:
        raise ValueError("no '" + kind.decode() + "' in it")
    return b"".join(data[start + len(begin) : end].split())


def parse_static_key(data):
    """The 256 octets of a static key file; ValueError says what is wrong."""
    text = _body(data, b"OpenVPN Static key V1")
    try:
        key = unhexlify(text)
    except ValueError:
        raise ValueError("the key is not hexadecimal")
    if len(key) != _KEY_SIZE:
        raise ValueError("the key has not 256 octets")
    return key


def parse_tls_crypt_v2_client_key(data):
    """(client key 256 octets, wrapped key) of a tls-crypt-v2 client key; ValueError if bad."""
    text = _body(data, b"OpenVPN tls-crypt-v2 client key")
    try:
        octets = a2b_base64(text)
    except ValueError:
        raise ValueError("the key is not base64")
    key, wkc = octets[:_KEY_SIZE], octets[_KEY_SIZE:]
    if not _MIN_WKC <= len(wkc) <= _MAX_WKC or wkc[-2] << 8 | wkc[-1] != len(wkc):
        raise ValueError("the wrapped key's length is wrong")
    return key, wkc
