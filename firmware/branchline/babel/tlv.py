"""Babel packets, received: TLVs, sub-TLVs and the parser state (RFC 8966 section 4)."""

from micropython import const

from branchline.babel.prefix import prefix_key
from branchline.wire.cursor import Reader
from branchline.wire.errors import ProtocolError

MAGIC = const(42)
VERSION = const(2)
HEADER = const(4)
PORT = const(6696)
INFINITY = const(0xFFFF)

PAD1 = const(0)
ACK_REQUEST = const(2)
ACK = const(3)
HELLO = const(4)
IHU = const(5)
ROUTER_ID = const(6)
NEXT_HOP = const(7)
UPDATE = const(8)
ROUTE_REQUEST = const(9)
SEQNO_REQUEST = const(10)
MAC = const(16)
PC = const(17)
CHALLENGE_REQUEST = const(18)
CHALLENGE_REPLY = const(19)

# Address encodings; 4 is an IPv4 prefix whose next hop is IPv6 (RFC 9229).
AE_WILDCARD = const(0)
AE_IPV4 = const(1)
AE_IPV6 = const(2)
AE_LINK_LOCAL = const(3)
AE_V4_VIA_V6 = const(4)

FLAG_PREFIX = const(0x80)
FLAG_ROUTER_ID = const(0x40)
FLAG_UNICAST = const(0x8000)

SUB_TIMESTAMP = const(3)
_SUB_MANDATORY = const(128)

_LINK_LOCAL = b"\xfe\x80\x00\x00\x00\x00\x00\x00"


def body_end(buf, n):
    """Checks the header of the packet buf[:n]; answers the offset behind its body. Raises
    ProtocolError."""
    r = Reader(buf, 0, n)
    if r.u8() != MAGIC or r.u8() != VERSION:
        raise ProtocolError("not Babel version 2")
    end = HEADER + r.u16()
    if end > n:
        raise ProtocolError("truncated")
    return end


def tlvs(buf, start, end):
    """Yields (type, Reader of the value) for each TLV but Pad1. Raises ProtocolError."""
    r = Reader(buf, start, end)
    while r.remaining():
        kind = r.u8()
        if kind != PAD1:
            yield kind, r.sub(r.u8())


class Parser:
    """Hands a packet's TLVs to a sink, one method call each.

    The sink has the methods ack_request(opaque), hello(unicast, seqno, interval, sent_us),
    ihu(address, rxcost, interval, origin_us, receive_us), route_request(key),
    seqno_request(key, seqno, hop_count, router_id) and update(key, interval, seqno, metric,
    router_id, next_hop). Intervals are in centiseconds, times in microseconds or None,
    addresses in octets, keys as in branchline.babel.prefix or None for the wildcard.
    What is malformed or not understood is counted, never raised.
    """

    def __init__(self, sink, counters):
        self._sink = sink
        self._counters = counters
        self._router_id = None
        self._next_hop4 = None
        self._next_hop6 = None
        self._defaults = {}
        self._times = None

    def parse(self, buf, end, source):
        """Parses the body buf[4:end] of a packet that came from source (16 octets)."""
        self._router_id = self._next_hop4 = None
        self._next_hop6 = source
        self._defaults.clear()
        try:
            for kind, r in tlvs(buf, HEADER, end):
                read = _READERS.get(kind)
                if read:
                    try:
                        read(self, r)
                    except ProtocolError:
                        self._counters.bump("malformed")
        except ProtocolError:
            self._counters.bump("truncated")

    def _understood(self, r):
        """Reads the sub-TLVs that fill the rest of a TLV; False if one forbids its use (4.4)."""
        self._times = None
        allowed = True
        while r.remaining():
            kind = r.u8()
            if kind == PAD1:
                continue
            value = r.sub(r.u8())
            if kind == SUB_TIMESTAMP:
                self._times = value
            elif kind >= _SUB_MANDATORY:
                allowed = False
        if not allowed:
            self._counters.bump("mandatory")
        return allowed

    def _time(self):
        """The next microsecond time of the timestamp sub-TLV, or None."""
        times = self._times
        return times.u32() if times and times.remaining() >= 4 else None

    def _ack_request(self, r):
        r.skip(2)
        opaque = r.u16()
        if not r.u16():
            raise ProtocolError("interval 0")
        if self._understood(r):
            self._sink.ack_request(opaque)

    def _hello(self, r):
        flags = r.u16()
        seqno = r.u16()
        interval = r.u16()
        if self._understood(r):
            self._sink.hello(flags & FLAG_UNICAST != 0, seqno, interval, self._time())

    def _ihu(self, r):
        ae = r.u8()
        r.skip(1)
        rxcost = r.u16()
        interval = r.u16()
        if not interval:
            raise ProtocolError("interval 0")
        if ae > AE_LINK_LOCAL:
            return
        address = _address(r, ae)
        if self._understood(r):
            self._sink.ihu(address, rxcost, interval, self._time(), self._time())

    # RFC 8966 4.5: parser state changes even where the TLV is otherwise to be ignored.
    def _set_router_id(self, r):
        r.skip(2)
        self._router_id = None
        router_id = r.octets(8)
        if router_id == bytes(8) or router_id == b"\xff" * 8:
            raise ProtocolError("reserved router-id")
        self._router_id = router_id
        self._understood(r)

    def _set_next_hop(self, r):
        ae = r.u8()
        r.skip(1)
        if ae == AE_IPV4:
            self._next_hop4 = r.octets(4)
        elif ae == AE_IPV6 or ae == AE_LINK_LOCAL:
            self._next_hop6 = _address(r, ae)

    def _update(self, r):
        ae = r.u8()
        flags = r.u8()
        plen = r.u8()
        omitted = r.u8()
        interval = r.u16()
        seqno = r.u16()
        metric = r.u16()
        key = None
        if ae != AE_WILDCARD:
            key = self._update_key(r, ae, flags, plen, omitted)
            if key is None:
                return
        elif metric != INFINITY or plen or omitted:
            raise ProtocolError("wildcard update that retracts nothing")
        if not interval:
            raise ProtocolError("interval 0")
        if not self._understood(r):
            return
        if key is None:
            self._sink.update(None, interval, seqno, metric, None, None)
            return
        next_hop = self._next_hop4 if ae == AE_IPV4 else self._next_hop6
        self._sink.update(key, interval, seqno, metric, self._router_id, next_hop)

    def _update_key(self, r, ae, flags, plen, omitted):
        """The key of an update's compressed prefix (4.6.9), or None where the AE is not for us."""
        size = _PREFIX_SIZES.get(ae)
        if size is None:
            return None
        octets = (plen + 7) >> 3
        if octets > size or omitted > octets:
            raise ProtocolError("prefix too long")
        start = b""
        if omitted:
            start = self._defaults.get(ae)
            if start is None:
                raise ProtocolError("no default prefix")
            start = start[:omitted]
        prefix = start + r.octets(octets - omitted) + bytes(size - octets)
        key = prefix_key(prefix, plen)
        if flags & FLAG_PREFIX:
            self._defaults[ae] = prefix
        if flags & FLAG_ROUTER_ID:
            router_id = (bytes(8) + prefix)[-8:]
            self._router_id = None if router_id == bytes(8) else router_id
        return key

    def _route_request(self, r):
        ae = r.u8()
        key = _request_key(r, ae, r.u8())
        if (key or ae == AE_WILDCARD) and self._understood(r):
            self._sink.route_request(key)

    def _seqno_request(self, r):
        ae = r.u8()
        plen = r.u8()
        seqno = r.u16()
        hop_count = r.u8()
        r.skip(1)
        router_id = r.octets(8)
        key = _request_key(r, ae, plen)
        if key and self._understood(r):
            if not hop_count:
                raise ProtocolError("hop count 0")
            self._sink.seqno_request(key, seqno, hop_count, router_id)


_PREFIX_SIZES = {AE_IPV4: 4, AE_IPV6: 16, AE_V4_VIA_V6: 4}
_READERS = {
    ACK_REQUEST: Parser._ack_request,
    HELLO: Parser._hello,
    IHU: Parser._ihu,
    ROUTER_ID: Parser._set_router_id,
    NEXT_HOP: Parser._set_next_hop,
    UPDATE: Parser._update,
    ROUTE_REQUEST: Parser._route_request,
    SEQNO_REQUEST: Parser._seqno_request,
}


def _address(r, ae):
    """An address by its encoding; None for the wildcard."""
    if ae == AE_LINK_LOCAL:
        return _LINK_LOCAL + r.octets(8)
    return r.octets(16) if ae == AE_IPV6 else r.octets(4) if ae == AE_IPV4 else None


def _request_key(r, ae, plen):
    """The key of a request's uncompressed prefix; None for the wildcard and unknown encodings."""
    size = _PREFIX_SIZES.get(ae)
    if size is None:
        return None
    octets = (plen + 7) >> 3
    if octets > size:
        raise ProtocolError("prefix too long")
    return prefix_key(r.octets(octets) + bytes(size - octets), plen)
