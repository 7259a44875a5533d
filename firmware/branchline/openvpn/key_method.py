"""Key method 2: the exchange inside TLS from which both sides derive the data-channel keys.

The client's message is `u32 0 | u8 2 | pre-master 48 | random1 32 | random2 32 | options |
username | password | peer info`, each string as `u16 length with NUL | text | NUL`; the server's
has no pre-master.
"""

from micropython import const

from branchline.crypto.prf import prf
from branchline.wire.cursor import Reader
from branchline.wire.errors import ProtocolError

CLIENT_RANDOM_SIZE = const(112)
_PRE_MASTER_SIZE = const(48)
_RANDOM_SIZE = const(32)
_HEADER = b"\0\0\0\0\2"
_KEY_BLOCK_SIZE = const(256)


def _string(text):
    """A length-prefixed string; without text just the zero length."""
    if not text:
        return b"\0\0"
    return (len(text) + 1).to_bytes(2, "big") + text + b"\0"


def build_client(source, options, user, password, peer_info):
    """The client's message. source: 112 random octets; the rest bytes, b"" when absent."""
    return b"".join(
        (_HEADER, source, _string(options), _string(user), _string(password), _string(peer_info))
    )


def parse_server(data):
    """(server random 64 octets, options text as bytes, octets consumed), or None if incomplete.

    Raises ProtocolError for another key method.
    """
    if len(data) < 71:
        return None
    reader = Reader(data)
    if reader.octets(5) != _HEADER:
        raise ProtocolError("not key method 2")
    random = reader.octets(2 * _RANDOM_SIZE)
    size = reader.u16()
    if reader.remaining() < size:
        return None
    options = reader.octets(size)
    # Username, password and peer info follow where the server is recent enough.
    for _ in range(3):
        if reader.remaining() >= 2:
            here = reader.pos
            size = reader.u16()
            if size > reader.remaining():
                reader.pos = here
                break
            reader.skip(size)
    return random, options.rstrip(b"\0"), reader.pos


def derive_keys(source, server_random, client_session_id, server_session_id):
    """The 256-octet key block: cipher 64 | HMAC 64, the client's direction first."""
    pre_master = source[:_PRE_MASTER_SIZE]
    client_random = source[_PRE_MASTER_SIZE:]
    master = prf(
        pre_master,
        b"OpenVPN master secret",
        client_random[:_RANDOM_SIZE] + server_random[:_RANDOM_SIZE],
        48,
    )
    return prf(
        master,
        b"OpenVPN key expansion",
        client_random[_RANDOM_SIZE:]
        + server_random[_RANDOM_SIZE:]
        + client_session_id
        + server_session_id,
        _KEY_BLOCK_SIZE,
    )
