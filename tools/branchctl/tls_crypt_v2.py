"""Keys of OpenVPN's tls-crypt-v2, as its document doc/tls-crypt-v2.txt specifies them."""

import base64
import re
import secrets
import struct

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_SERVER, _CLIENT = "OpenVPN tls-crypt-v2 server key", "OpenVPN tls-crypt-v2 client key"
_STATIC = "OpenVPN Static key V1"
_SERVER_SIZE, _CLIENT_SIZE, _STATIC_SIZE = 128, 256, 256
_TAG, _LENGTH = 32, 2
_ENCRYPTION, _AUTHENTICATION = slice(0, 32), slice(64, 96)  # of the server key's two halves
_TIMESTAMP = 1  # type of metadata: seconds since 1970


def server_key() -> str:
    """A new server key, as PEM."""
    return _pem(_SERVER, secrets.token_bytes(_SERVER_SIZE))


def client_key(server: str, seconds: int) -> str:
    """A new client key wrapped with the server's, as PEM; `seconds`: when it was made."""
    return wrap(server, secrets.token_bytes(_CLIENT_SIZE), struct.pack(">BQ", _TIMESTAMP, seconds))


def wrap(server: str, key: bytes, metadata: bytes) -> str:
    """A client key with these octets and metadata."""
    encryption, authentication = _halves(server)
    length = struct.pack(">H", _TAG + len(key) + len(metadata) + _LENGTH)
    tag = _hmac(authentication, length + key + metadata)
    body = _ctr(encryption, tag, key + metadata)
    return _pem(_CLIENT, key + tag + body + length)


def unwrap(server: str, client: str) -> tuple[bytes, bytes]:
    """The octets and the metadata of a client key. Raises ValueError if the server key did not
    wrap it."""
    encryption, authentication = _halves(server)
    data = _octets(_CLIENT, client)
    wrapped = data[_CLIENT_SIZE:]
    if len(wrapped) < _TAG + _CLIENT_SIZE + _LENGTH:
        raise ValueError("the client key is too short")
    tag, body, length = wrapped[:_TAG], wrapped[_TAG:-_LENGTH], wrapped[-_LENGTH:]
    clear = _ctr(encryption, tag, body)
    if tag != _hmac(authentication, length + clear) or clear[:_CLIENT_SIZE] != data[:_CLIENT_SIZE]:
        raise ValueError("the client key was wrapped with another server key")
    return clear[:_CLIENT_SIZE], clear[_CLIENT_SIZE:]


def static_key() -> str:
    """A new key for tls-crypt, in OpenVPN's hexadecimal form."""
    text = secrets.token_hex(_STATIC_SIZE)
    lines = [text[start:start + 32] for start in range(0, len(text), 32)]
    return "\n".join([f"-----BEGIN {_STATIC}-----", *lines, f"-----END {_STATIC}-----", ""])


def check_server_key(text: str) -> None:
    """Raises ValueError for anything but a server key."""
    _halves(text)


def _halves(server: str) -> tuple[bytes, bytes]:
    data = _octets(_SERVER, server)
    if len(data) != _SERVER_SIZE:
        raise ValueError("the server key has a wrong length")
    return data[_ENCRYPTION], data[_AUTHENTICATION]


def _hmac(key: bytes, message: bytes) -> bytes:
    mac = hmac.HMAC(key, hashes.SHA256())
    mac.update(message)
    return mac.finalize()


def _ctr(key: bytes, tag: bytes, data: bytes) -> bytes:
    """AES-256-CTR, which is its own inverse; the start is the tag's first 128 bits."""
    return Cipher(algorithms.AES(key), modes.CTR(tag[:16])).encryptor().update(data)


def _pem(label: str, data: bytes) -> str:
    text = base64.b64encode(data).decode()
    lines = [text[start:start + 64] for start in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])


def _octets(label: str, pem: str) -> bytes:
    found = re.search(f"-----BEGIN {label}-----\n(.*?)-----END {label}-----", pem, re.DOTALL)
    if not found:
        raise ValueError(f"it holds no {label}")
    return base64.b64decode(found[1])
