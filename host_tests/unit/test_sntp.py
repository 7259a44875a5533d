"""wire.sntp: what is asked, and which answers are believed (RFC 4330)."""

import struct

from branchline.wire import sntp
from branchline.wire.errors import ProtocolError

_NONCE = b"\x11\x22\x33\x44\x55\x66\x77\x88"
_BUILT = 1795392000
_FROM_1900 = 2208988800


def _answer(seconds, mode=4, leap=0, stratum=2, nonce=_NONCE):
    head = struct.pack(">BB", leap << 6 | 4 << 3 | mode, stratum) + bytes(22)
    stamp = struct.pack(">II", (seconds + _FROM_1900) & 0xFFFFFFFF, 0)
    return bytearray(head + nonce + stamp + stamp)


def test_a_request_is_a_clients_and_bears_the_nonce():
    buf = bytearray(b"\xff" * 60)
    sntp.write_request(buf, _NONCE)
    assert buf[0] == 0x23 and buf[1:40] == bytes(39) and buf[40:48] == _NONCE
    assert buf[48:] == b"\xff" * 12


def test_the_time_is_read():
    for name, seconds in (
        ("now", _BUILT + 100),
        ("the very moment of the build", _BUILT),
        ("after the counter has begun anew in 2036", 2085978496 + 5),
        ("in sixty years", _BUILT + 60 * 365 * 86400),
    ):
        assert sntp.read_answer(_answer(seconds), 48, _NONCE, _BUILT) == seconds, name


def test_what_is_no_good_answer_is_refused():
    for name, buf, n in (
        ("short", _answer(_BUILT), 47),
        ("another question's", _answer(_BUILT, nonce=bytes(8)), 48),
        ("a client's", _answer(_BUILT, mode=3), 48),
        ("a broadcast", _answer(_BUILT, mode=5), 48),
        ("an unsynchronised server's", _answer(_BUILT, leap=3), 48),
        ("kiss of death", _answer(_BUILT, stratum=0), 48),
        ("stratum 16", _answer(_BUILT, stratum=16), 48),
        ("before the build", _answer(_BUILT - 1), 48),
        ("long before the build", _answer(0), 48),
    ):
        try:
            sntp.read_answer(buf, n, _NONCE, _BUILT)
        except ProtocolError:
            continue
        raise AssertionError(name)
