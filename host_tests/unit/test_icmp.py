"""wire.icmp: echo requests and replies, RFC 792 and RFC 4443 section 4."""

from branchline.wire.icmp import checksum, read_reply, write_request
from support import unhex

# What `ping -p 5a` sends and gets: type, code, checksum, identifier 0x1234, sequence 0x00ff.
_REQUEST = unhex("0800 7b63 1234 00ff 5a5a 5a5a 5a5a 5a5a")
_REPLY = unhex("0000 8363 1234 00ff 5a5a 5a5a 5a5a 5a5a")
_REQUEST_6 = unhex("8000 0000 1234 00ff 5a5a 5a5a 5a5a 5a5a")
_REPLY_6 = unhex("8100 abcd 1234 00ff 5a5a 5a5a 5a5a 5a5a")


def test_the_internet_checksum():
    """RFC 1071 section 3 has the first one."""
    for data, expected in (
        ("0001 f203 f4f5 f6f7", 0x220D),
        ("", 0xFFFF),
        ("ffff", 0),
        ("0000", 0xFFFF),
        ("01", 0xFEFF),
        ("ffff ffff ffff 0001", 0xFFFE),
        ("0001 f2", 0x0DFE),
    ):
        assert checksum(unhex(data), 0, len(unhex(data))) == expected, data
    assert checksum(b"\xff" * 65535, 0, 65535) == 0x00FF
    assert checksum(b"??" + unhex("0001 f203 f4f5 f6f7") + b"?", 2, 10) == 0x220D


def test_requests():
    for size, expected in ((4, _REQUEST), (16, _REQUEST_6)):
        buf = bytearray(b"\xee" * 8 + b"Z" * 8 + b"behind")
        write_request(buf, 16, size, 0x1234, 0x00FF)
        assert bytes(buf) == expected + b"behind"
        write_request(buf, 16, size, 0xFFFF, 0)
        write_request(buf, 16, size, 0x1234, 0x00FF)
        assert bytes(buf) == expected + b"behind"


def test_replies():
    for size, reply in ((4, _REPLY), (16, _REPLY_6)):
        assert read_reply(reply, 0, 16, size, 0x1234) == 0xFF
        # Behind an IP header, in a larger buffer.
        assert read_reply(b"E" * 20 + reply + b"rest", 20, 36, size, 0x1234) == 0xFF


def test_every_sequence_comes_back():
    buf = bytearray(16)
    for sequence in (0, 1, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF):
        for identifier in (0, 0x00FF, 0xFF00, 0xFFFF):
            write_request(buf, 16, 4, identifier, sequence)
            # A reply differs in its type: 0x0800 more in the checksum (RFC 1624).
            code = (buf[2] << 8 | buf[3]) + 0x0800
            code = (code & 0xFFFF) + (code >> 16)
            buf[0], buf[2], buf[3] = 0, code >> 8, code & 0xFF
            assert read_reply(buf, 0, 16, 4, identifier) == sequence
            assert read_reply(buf, 0, 16, 4, identifier ^ 1) == -1


def _changed(packet, at, value):
    return packet[:at] + bytes([value]) + packet[at + 1 :]


def test_what_is_no_reply_to_us():
    for name, size, packet in (
        ("our own request", 4, _REQUEST),
        ("our own request", 16, _REQUEST_6),
        ("the other version's reply", 16, _REPLY),
        ("the other version's reply", 4, _REPLY_6),
        ("unreachable", 4, _changed(_REPLY, 0, 3)),
        ("a code", 4, _changed(_REPLY, 1, 1)),
        ("a code", 16, _changed(_REPLY_6, 1, 1)),
        ("another's identifier", 4, _changed(_REPLY, 4, 0x13)),
        ("another's identifier", 16, _changed(_REPLY_6, 5, 0x35)),
        ("a bad checksum", 4, _changed(_REPLY, 2, 0x84)),
        ("a damaged body", 4, _changed(_REPLY, 15, 0x5B)),
    ):
        assert read_reply(packet, 0, len(packet), size, 0x1234) == -1, name


def test_lengths():
    for size, reply in ((4, _REPLY), (16, _REPLY_6)):
        for n in range(8):
            assert read_reply(reply, 0, n, size, 0x1234) == -1, n
        # A header length that points behind the packet.
        assert read_reply(reply, 60, 16, size, 0x1234) == -1
    assert read_reply(unhex("0000 eccc 1234 00ff"), 0, 8, 4, 0x1234) == 0xFF
    for n in range(8, 16):
        assert read_reply(_REPLY, 0, n, 4, 0x1234) == -1, n
    # ICMPv6 has its checksum checked by the kernel; eight octets are a whole reply.
    assert read_reply(_REPLY_6, 0, 8, 16, 0x1234) == 0xFF
