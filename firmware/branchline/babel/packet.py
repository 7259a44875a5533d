"""Babel packets, sent: TLVs packed into one bounded buffer (RFC 8966 section 4.6)."""

from micropython import const

from branchline.babel.prefix import IPV4, OFFSET
from branchline.babel.tlv import (
    ACK,
    AE_IPV4,
    AE_IPV6,
    AE_LINK_LOCAL,
    AE_V4_VIA_V6,
    AE_WILDCARD,
    FLAG_PREFIX,
    FLAG_UNICAST,
    HEADER,
    HELLO,
    IHU,
    MAGIC,
    NEXT_HOP,
    ROUTE_REQUEST,
    ROUTER_ID,
    SEQNO_REQUEST,
    SUB_TIMESTAMP,
    UPDATE,
    VERSION,
)
from branchline.wire.cursor import Writer

_ROUTER_ID_SIZE = const(12)
_NEXT_HOP_SIZE = const(8)
_UPDATE_SIZE = const(12)


def ack(opaque):
    """An Acknowledgment TLV (4.6.4)."""
    return bytes((ACK, 2, opaque >> 8, opaque & 0xFF))


def unicast_hello(seqno, interval):
    """A unicast Hello TLV (4.6.5) without a timestamp; interval in centiseconds."""
    head = (HELLO, 6, FLAG_UNICAST >> 8, FLAG_UNICAST & 0xFF, seqno >> 8, seqno & 0xFF)
    return bytes(head + (interval >> 8, interval & 0xFF))


def route_request(key):
    """A Route Request TLV (4.6.10) for a key, None meaning all routes."""
    if key is None:
        return bytes((ROUTE_REQUEST, 2, AE_WILDCARD, 0))
    # The keys' family octet is the address encoding.
    return bytes((ROUTE_REQUEST, len(key))) + key


def seqno_request(key, seqno, hop_count, router_id):
    """A Seqno Request TLV (4.6.11)."""
    head = (SEQNO_REQUEST, len(key) + 12, key[0], key[1], seqno >> 8, seqno & 0xFF, hop_count, 0)
    return bytes(head) + router_id + key[OFFSET:]


def retraction(key=None, interval=1):
    """An Update TLV (4.6.9) that retracts a prefix or, without a key, all that we have announced
    on the interface; interval in centiseconds."""
    ae, plen, prefix = (key[0], key[1], key[OFFSET:]) if key else (AE_WILDCARD, 0, b"")
    head = (UPDATE, 10 + len(prefix), ae, 0, plen, 0, interval >> 8, interval & 0xFF)
    return bytes(head) + b"\0\0\xff\xff" + prefix


class Packet:
    """A packet being written to buf[:limit]; each method answers False if its TLV does not fit.

    Router-Id, Next Hop and the default prefix are packet state, sent only where they change.
    """

    def __init__(self, buf, limit):
        self._w = w = Writer(buf, 0, limit)
        w.u8(MAGIC)
        w.u8(VERSION)
        w.u16(0)
        self._router_id = None
        self._next_hop = None
        self._defaults = {}

    def is_empty(self):
        """Whether no TLV was written yet."""
        return self._w.pos == HEADER

    def finish(self, last_tlv):
        """Appends a last TLV or b"", for which room was left behind the limit, and writes the
        body's length into the header; the length of the packet in octets."""
        w = self._w
        w.end += len(last_tlv)
        w.octets(last_tlv)
        w.set_u16(2, w.pos - HEADER)
        return w.pos

    def raw(self, tlv):
        """Appends a TLV that is ready."""
        if self._w.remaining() < len(tlv):
            return False
        self._w.octets(tlv)
        return True

    def hello(self, seqno, interval, unicast, sent_us):
        """Hello (4.6.5) with, unless sent_us is None, its timestamp (RFC 9616 3.3)."""
        extra = 0 if sent_us is None else 6
        if not self._head(HELLO, 6 + extra):
            return False
        w = self._w
        w.u16(FLAG_UNICAST if unicast else 0)
        w.u16(seqno)
        w.u16(interval)
        if extra:
            w.u8(SUB_TIMESTAMP)
            w.u8(4)
            w.u32(sent_us)
        return True

    def ihu(self, address, rxcost, interval, origin_us, receive_us):
        """IHU (4.6.6) to a link-local address; times None or as RFC 9616 3.3 wants them."""
        extra = 0 if origin_us is None else 10
        if not self._head(IHU, 14 + extra):
            return False
        w = self._w
        w.u8(AE_LINK_LOCAL)
        w.u8(0)
        w.u16(rxcost)
        w.u16(interval)
        w.octets(address[8:])
        if extra:
            w.u8(SUB_TIMESTAMP)
            w.u8(8)
            w.u32(origin_us)
            w.u32(receive_us)
        return True

    def update(self, key, interval, seqno, metric, router_id, next_hop):
        """Update (4.6.9), before it Router-Id and Next Hop where the packet does not say so yet.

        router_id None: a retraction, which needs none. next_hop: 4 octets for an IPv4 prefix,
        None for IPv6 and IPv4 over IPv6, where it is this packet's source.
        """
        w = self._w
        ae = AE_IPV6 if key[0] != IPV4 else AE_IPV4 if next_hop else AE_V4_VIA_V6
        last = self._defaults.get(ae, b"")
        size = len(key)
        same = OFFSET
        while same < size and same < len(last) and key[same] == last[same]:
            same += 1
        new_id = router_id is not None and router_id != self._router_id
        new_hop = next_hop is not None and next_hop != self._next_hop
        need = _UPDATE_SIZE + size - same
        need += (_ROUTER_ID_SIZE if new_id else 0) + (_NEXT_HOP_SIZE if new_hop else 0)
        if w.remaining() < need:
            return False
        if new_id:
            self._head(ROUTER_ID, 10)
            w.u16(0)
            w.octets(router_id)
            self._router_id = router_id
        if new_hop:
            self._head(NEXT_HOP, 6)
            w.u8(AE_IPV4)
            w.u8(0)
            w.octets(next_hop)
            self._next_hop = next_hop
        self._head(UPDATE, 10 + size - same)
        w.u8(ae)
        w.u8(FLAG_PREFIX)
        w.u8(key[1])
        w.u8(same - OFFSET)
        w.u16(interval)
        w.u16(seqno)
        w.u16(metric)
        w.octets(key[same:])
        self._defaults[ae] = key
        return True

    def _head(self, kind, size):
        w = self._w
        if w.remaining() < size + 2:
            return False
        w.u8(kind)
        w.u8(size)
        return True
