"""Reading of DER (ITU-T X.690), strictly: one tag octet, definite and shortest lengths.

Everything reads from a wire.cursor.Reader and raises ProtocolError for what DER does not allow.
"""

from micropython import const

from branchline.wire.calendar import unix_time
from branchline.wire.cursor import Reader
from branchline.wire.errors import ProtocolError

BOOLEAN = const(0x01)
INTEGER = const(0x02)
BIT_STRING = const(0x03)
OCTET_STRING = const(0x04)
OID = const(0x06)
UTC_TIME = const(0x17)
GENERALIZED_TIME = const(0x18)
SEQUENCE = const(0x30)
SET = const(0x31)

_MAX_LENGTH_OCTETS = const(3)
_MAX_ARC_OCTETS = const(5)


def element(reader):
    """The next element as (tag, Reader of its content)."""
    tag = reader.u8()
    if tag & 0x1F == 0x1F:
        raise ProtocolError("DER: long tag")
    size = reader.u8()
    if size & 0x80:
        count = size & 0x7F
        if not 0 < count <= _MAX_LENGTH_OCTETS:
            raise ProtocolError("DER: bad length")
        size = 0
        for _ in range(count):
            size = size << 8 | reader.u8()
        if size < 0x80 or size >> 8 * (count - 1) == 0:
            raise ProtocolError("DER: length is not the shortest")
    return tag, reader.sub(size)


def expect(reader, tag):
    """The content (a Reader) of the next element, which must have that tag."""
    found, content = element(reader)
    if found != tag:
        raise ProtocolError("DER: unexpected tag")
    return content


def _next_is(reader, tags):
    start = reader.pos
    found = reader.remaining() and reader.u8() in tags
    reader.pos = start
    return found


def optional(reader, tag):
    """The content of the next element if it has that tag; otherwise None, and nothing is read."""
    return element(reader)[1] if _next_is(reader, (tag,)) else None


def document(data):
    """The content of a document (bytes-like) that must be one SEQUENCE and nothing else."""
    reader = Reader(data)
    content = expect(reader, SEQUENCE)
    finish(reader)
    return content


def finish(reader):
    """Raises ProtocolError if anything is left."""
    if reader.remaining():
        raise ProtocolError("DER: trailing octets")


def oid(content):
    """An object identifier's content as dotted text, such as "2.5.4.3"."""
    arcs = []
    while content.remaining() or not arcs:
        arc = 0
        for count in range(_MAX_ARC_OCTETS + 1):
            octet = content.u8()
            if count == _MAX_ARC_OCTETS or (count == 0 and octet == 0x80):
                raise ProtocolError("DER: bad object identifier")
            arc = arc << 7 | octet & 0x7F
            if not octet & 0x80:
                break
        if not arcs:
            arcs.append(min(arc // 40, 2))
            arc -= 40 * arcs[0]
        arcs.append(arc)
    return ".".join(str(arc) for arc in arcs)


def serial(content):
    """An INTEGER's content as octets without sign padding."""
    data = content.rest()
    if not data:
        raise ProtocolError("DER: empty integer")
    return data[1:] if data[0] == 0 and len(data) > 1 else data


def time(reader):
    """The next element, a UTCTime or GeneralizedTime in RFC 5280's form, in Unix seconds."""
    tag, content = element(reader)
    if tag not in (UTC_TIME, GENERALIZED_TIME):
        raise ProtocolError("DER: not a time")
    text = content.rest()
    for octet in text[:-1]:
        if not 0x30 <= octet <= 0x39:
            raise ProtocolError("DER: bad time")
    digits = 12 if tag == UTC_TIME else 14
    if len(text) != digits + 1 or text[digits] != 0x5A:  # Z
        raise ProtocolError("DER: bad time")
    year = int(text[: digits - 10])
    if tag == UTC_TIME:
        year += 1900 if year >= 50 else 2000  # RFC 5280 4.1.2.5.1
    month, day, hour, minute, second = [
        int(text[at : at + 2]) for at in range(digits - 10, digits, 2)
    ]
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 61):
        raise ProtocolError("DER: bad time")
    return unix_time(year, month, day, hour, minute, second)


def optional_time(reader):
    """time(reader) if a time is next; otherwise None, and nothing is read."""
    return time(reader) if _next_is(reader, (UTC_TIME, GENERALIZED_TIME)) else None
