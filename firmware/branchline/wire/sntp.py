"""The time of day from a server: SNTP version 4 (RFC 4330), client mode."""

from micropython import const

from branchline.wire.errors import ProtocolError

SIZE = const(48)
_VERSION_4_CLIENT = const(0x23)
_SERVER = const(4)
_UNSYNCHRONISED = const(3)
_MAX_STRATUM = const(15)
_ORIGINATE = const(24)
_TRANSMIT = const(40)
_TO_UNIX = 2208988800  # seconds from 1900 to 1970
_ERA = 1 << 32


def write_request(buf, nonce):
    """Makes buf[:SIZE] a request; nonce: 8 octets that the answer must repeat."""
    for i in range(SIZE):
        buf[i] = 0
    buf[0] = _VERSION_4_CLIENT
    buf[_TRANSMIT:SIZE] = nonce


def read_answer(buf, n, nonce, not_before):
    """The time in seconds since 1970 that an answer in buf[:n] tells, which is taken to be within
    136 years after `not_before`. Raises ProtocolError for what is no answer to that nonce, or of a
    server that does not know the time."""
    if n < SIZE or bytes(buf[_ORIGINATE : _ORIGINATE + 8]) != nonce:
        raise ProtocolError("not the answer")
    if buf[0] & 7 != _SERVER or buf[0] >> 6 == _UNSYNCHRONISED or not 0 < buf[1] <= _MAX_STRATUM:
        raise ProtocolError("the server does not know the time")
    seconds = int.from_bytes(bytes(buf[_TRANSMIT : _TRANSMIT + 4]), "big") - _TO_UNIX
    # The counter began anew in 2036 (RFC 4330 section 3).
    while seconds < not_before:
        seconds += _ERA
    if seconds - not_before > _ERA // 2:
        raise ProtocolError("a time before this firmware was built")
    return seconds
