"""DNS queries for addresses and their answers (RFC 1035; AAAA: RFC 3596), for a stub resolver."""

from micropython import const

from branchline.wire.cursor import Reader, Writer
from branchline.wire.errors import ProtocolError

A = const(1)
CNAME = const(5)
AAAA = const(28)

OK = const(0)
NXDOMAIN = const(3)

_IN = const(1)
_HEADER = const(12)
_MAX_NAME = const(253)  # of the text; 255 octets on the wire (RFC 1035 2.3.4)
_MAX_LABEL = const(63)
_MAX_CHAIN = const(8)
_MAX_RECORDS = const(64)
_QR = const(0x8000)
_TC = const(0x0200)
_RD = const(0x0100)
_OPCODE = const(0x7800)


def write_query(out, ident, name, kind):
    """Writes a query for A or AAAA records of a name (without the final dot) into out; returns its
    length. Raises ValueError for what cannot be a name."""
    if not 0 < len(name) <= _MAX_NAME:
        raise ValueError("a host name has 1 to 253 characters")
    if not all([33 <= ord(char) <= 126 for char in name]):
        raise ValueError("a host name has only printable ASCII (IDN: write its xn-- form)")
    w = Writer(out)
    w.u16(ident)
    w.u16(_RD)
    for count in (1, 0, 0, 0):
        w.u16(count)
    for label in name.split("."):
        octets = label.encode()
        if not 0 < len(octets) <= _MAX_LABEL:
            raise ValueError("a part of a host name has 1 to 63 characters")
        w.u8(len(octets))
        w.octets(octets)
    w.u8(0)
    w.u16(kind)
    w.u16(_IN)
    return w.written()


def _read_name(buf, r):
    """The name at the Reader r, lower case and without the final dot; compression in buf is
    followed. A pointer must point before where its name, or the last pointer's target, began
    (RFC 1035 4.1.4: "a prior occurrence"), so no chain of them is endless."""
    labels = []
    size = 0
    first = r.pos
    while True:
        n = r.u8()
        if n >= 0xC0:
            target = (n & 0x3F) << 8 | r.u8()
            if not _HEADER <= target < first:
                raise ProtocolError("bad compression")
            first = target
            r = Reader(buf, target, r.end)
        elif n > _MAX_LABEL:
            raise ProtocolError("bad label")
        elif n:
            size += n + 1
            if size > _MAX_NAME + 1:
                raise ProtocolError("name too long")
            labels.append(r.octets(n).lower())
        else:
            return b".".join(labels)


def _records(buf, r, count, kind):
    """(aliases, addresses) among the count records at r: a dict of the CNAMEs, and a list of
    (owner, octets) of the records of that kind."""
    aliases = {}
    addresses = []
    length = 4 if kind == A else 16
    for _ in range(count):
        owner = _read_name(buf, r)
        this_kind = r.u16()
        this_class = r.u16()
        r.skip(4)
        body = r.sub(r.u16())
        if this_class != _IN:
            continue
        if this_kind == kind and body.remaining() == length:
            addresses.append((owner, body.rest()))
        elif this_kind == CNAME:
            aliases[owner] = _read_name(buf, body)
    return aliases, addresses


def read_answer(buf, n, ident, name, kind):
    """(rcode, truncated, addresses) of the answer in buf[:n] to that query.

    addresses: the list of the octets of the A or AAAA records of the name, or of that which its
    CNAMEs lead to. Raises ProtocolError for what is malformed or answers another query.
    """
    r = Reader(buf, 0, n)
    flags_of = r.u16()
    flags = r.u16()
    questions = r.u16()
    answers = r.u16()
    r.skip(4)
    if flags_of != ident or flags & (_QR | _OPCODE) != _QR or questions != 1:
        raise ProtocolError("not the answer")
    owner = name.lower().encode()
    if _read_name(buf, r) != owner or r.u16() != kind or r.u16() != _IN:
        raise ProtocolError("not the answer")
    if answers > _MAX_RECORDS:
        raise ProtocolError("too many records")
    truncated = flags & _TC != 0
    aliases, addresses = _records(buf, r, answers, kind)
    for _ in range(_MAX_CHAIN):
        if owner not in aliases:
            break
        owner = aliases[owner]
    return flags & 0xF, truncated, [octets for holder, octets in addresses if holder == owner]
