"""rtnetlink messages: building requests and reading the kernel's answers (rtnetlink(7)).

Nothing here does I/O. Numbers are in the host's byte order; addresses are octets.
"""

import struct
import sys
from collections import namedtuple

from micropython import const

from branchline.wire import ip
from branchline.wire.errors import ProtocolError

NEWLINK = const(16)
DELLINK = const(17)
GETLINK = const(18)
NEWADDR = const(20)
DELADDR = const(21)
GETADDR = const(22)
NEWROUTE = const(24)
DELROUTE = const(25)
GETROUTE = const(26)
ERROR = const(2)
DONE = const(3)

REPLACE = const(0x100)
EXCL = const(0x200)
CREATE = const(0x400)
DUMP = const(0x300)

TABLE_MAIN = const(254)
UNICAST = const(1)
UNREACHABLE = const(7)
# Unused in iproute2's rt_protos; "ip route show proto 201" lists the gateway's routes.
PROTOCOL = const(201)

_HEADER = const(16)
_REQUEST_ACK = const(0x5)
_ACK_TLVS = const(0x200)
_IFF_UP = const(0x1)
_IFF_UP_LOWER_UP = const(0x10001)
_IFLA_IFNAME = const(3)
_IFLA_MTU = const(4)
_IFLA_TXQLEN = const(13)
_IFLA_LINKINFO = const(18)
_IFLA_INFO_KIND = const(1)
_IFA_ADDRESS = const(1)
_IFA_LOCAL = const(2)
_IFA_FLAGS = const(8)
_IFA_F_NODAD = const(0x02)
_RTA_DST = const(1)
_RTA_OIF = const(4)
_RTA_GATEWAY = const(5)
_RTA_PRIORITY = const(6)
_RTA_PREFSRC = const(7)
_RTA_TABLE = const(15)
_RTA_VIA = const(18)
_RTNH_F_ONLINK = const(4)
_SCOPE_LINK = const(253)
_SCOPE_ANY = const(255)
_NLMSGERR_ATTR_MSG = const(1)

_E = "<" if sys.byteorder == "little" else ">"
_MESSAGE = _E + "IHHII"
_ATTRIBUTE = _E + "HH"
_LINK = _E + "BBHiII"
_ADDRESS = _E + "BBBBI"
_ROUTE = _E + "BBBBBBBBI"

Link = namedtuple("Link", ("index", "name", "up", "mtu"))

# flags: IFA_F_*, 32 bits.
Address = namedtuple("Address", ("dev", "local", "plen", "flags"))

# dst: octets; via: the gateway's octets or None; dev: an interface index, 0 for none;
# metric 0: the kernel's choice; kind: UNICAST or UNREACHABLE; source: the preferred one or None.
Route = namedtuple(
    "Route",
    ("dst", "plen", "via", "dev", "metric", "source", "kind", "onlink", "table", "protocol"),
)


def make_route(
    dst, plen, via=None, dev=0, metric=0, source=None, kind=UNICAST, onlink=False,
    table=TABLE_MAIN, protocol=PROTOCOL,
):
    """A Route, ours unless said otherwise. An IPv4 dst may have an IPv6 via (RFC 9229)."""
    return Route(dst, plen, via, dev, metric, source, kind, onlink, table, protocol)


def family_of(octets):
    """AF_INET or AF_INET6 by the number of octets."""
    return 2 if len(octets) == 4 else 10


def route_text(route):
    """What a route is, for messages; the device is a number here."""
    text = "unreachable " if route.kind == UNREACHABLE else ""
    text += ip.format_prefix(route.dst, route.plen)
    if route.via:
        text += " via " + ip.format_address(route.via)
    if route.dev:
        text += " dev #%d" % route.dev
    return text + " metric %d" % route.metric if route.metric else text


def attribute(kind, value):
    """One attribute: its header, its value (octets, or an integer as 32 bits) and padding."""
    if isinstance(value, int):
        value = struct.pack(_E + "I", value)
    n = len(value)
    return struct.pack(_ATTRIBUTE, 4 + n, kind) + value + bytes(-n & 3)


def message(kind, flags, seq, body):
    """A whole message with just those flags."""
    return struct.pack(_MESSAGE, _HEADER + len(body), kind, flags, seq, 0) + body


def request(kind, flags, seq, body):
    """A whole request that the kernel is to acknowledge."""
    return message(kind, flags | _REQUEST_ACK, seq, body)


def link_body(index, up=None, mtu=None, txqueuelen=None):
    """The body that changes a link; what is None stays."""
    change = 0 if up is None else _IFF_UP
    body = struct.pack(_LINK, 0, 0, 0, index, _IFF_UP if up else 0, change)
    if mtu is not None:
        body += attribute(_IFLA_MTU, mtu)
    if txqueuelen is not None:
        body += attribute(_IFLA_TXQLEN, txqueuelen)
    return body


def named_link_body(name, kind=None):
    """The body that asks for the link of a name, or makes it, of a kind such as b"dummy"."""
    body = struct.pack(_LINK, 0, 0, 0, 0, 0, 0) + attribute(_IFLA_IFNAME, name.encode() + b"\0")
    return body + attribute(_IFLA_LINKINFO, attribute(_IFLA_INFO_KIND, kind)) if kind else body


def address_body(index, local, plen, peer=None):
    """The body that adds or deletes an address; peer: the other end of a point-to-point link.

    IPv6 addresses skip duplicate address detection: they are assigned by their owner, and must
    be usable at once.
    """
    flags = _IFA_F_NODAD if len(local) == 16 else 0
    body = struct.pack(_ADDRESS, family_of(local), plen, flags, 0, index)
    return body + attribute(_IFA_LOCAL, local) + attribute(_IFA_ADDRESS, peer or local)


def _gateway(route):
    if len(route.via) == len(route.dst):
        return attribute(_RTA_GATEWAY, route.via)
    return attribute(_RTA_VIA, struct.pack(_E + "H", family_of(route.via)) + route.via)


def route_body(route, deleting=False):
    """The body that adds, replaces or (whatever its scope) deletes a Route."""
    scope = 0
    if deleting:
        scope = _SCOPE_ANY
    elif route.via is None and route.kind == UNICAST:
        scope = _SCOPE_LINK
    body = struct.pack(
        _ROUTE, family_of(route.dst), route.plen, 0, 0, route.table if route.table < 256 else 0,
        route.protocol, scope, route.kind, _RTNH_F_ONLINK if route.onlink else 0,
    )
    body += attribute(_RTA_TABLE, route.table)
    if route.plen:
        body += attribute(_RTA_DST, route.dst)
    if route.via is not None:
        body += _gateway(route)
    if route.dev:
        body += attribute(_RTA_OIF, route.dev)
    if route.metric:
        body += attribute(_RTA_PRIORITY, route.metric)
    if route.source is not None:
        body += attribute(_RTA_PREFSRC, route.source)
    return body


def links_body():
    """The body that asks for all links."""
    return struct.pack(_LINK, 0, 0, 0, 0, 0, 0)


def addresses_body():
    """The body that asks for all addresses of both families."""
    return struct.pack(_ADDRESS, 0, 0, 0, 0, 0)


def routes_body(family):
    """The body that asks for all routes of AF_INET or AF_INET6."""
    return struct.pack(_ROUTE, family, 0, 0, 0, 0, 0, 0, 0, 0)


def lookup_body(address):
    """The body that asks for the route that packets to `address` take."""
    plen = 8 * len(address)
    body = struct.pack(_ROUTE, family_of(address), plen, 0, 0, 0, 0, 0, 0, 0)
    return body + attribute(_RTA_DST, address)


def _unpack(form, buf, start, end):
    if start + struct.calcsize(form) > end:
        raise ProtocolError("truncated")
    return struct.unpack_from(form, buf, start)


def messages(buf, n):
    """Yields (kind, flags, seq, start, end of the body) of each message in buf[:n]."""
    pos = 0
    while pos < n:
        size, kind, flags, seq, _ = _unpack(_MESSAGE, buf, pos, n)
        if size < _HEADER or pos + size > n:
            raise ProtocolError("bad message length")
        yield kind, flags, seq, pos + _HEADER, pos + size
        pos += (size + 3) & ~3


def attributes(buf, start, end):
    """A dict of the attributes in buf[start:end]: kind -> octets; of equal kinds the last."""
    found = {}
    while start + 4 <= end:
        size, kind = struct.unpack_from(_ATTRIBUTE, buf, start)
        if size < 4 or start + size > end:
            raise ProtocolError("bad attribute length")
        found[kind & 0x3FFF] = bytes(buf[start + 4 : start + size])
        start += (size + 3) & ~3
    return found


def _u32(found, kind):
    value = found.get(kind)
    return _unpack(_E + "I", value, 0, len(value))[0] if value is not None else 0


def _text(octets):
    return "".join([chr(o) if o < 128 else "?" for o in octets.rstrip(b"\0")])


def read_error(buf, flags, start, end):
    """(error number, 0 for an acknowledgement; the kernel's explanation or "") of an ERROR."""
    code = -_unpack(_E + "i", buf, start, end)[0]
    text = b""
    # NETLINK_CAP_ACK: only the header of the request comes back before the attributes.
    if flags & _ACK_TLVS and start + 4 + _HEADER <= end:
        text = attributes(buf, start + 4 + _HEADER, end).get(_NLMSGERR_ATTR_MSG, b"")
    return code, _text(text)


def read_link(buf, start, end):
    """The Link of a NEWLINK message."""
    _, _, _, index, flags, _ = _unpack(_LINK, buf, start, end)
    found = attributes(buf, start + 16, end)
    name = _text(found.get(_IFLA_IFNAME, b""))
    return Link(index, name, flags & _IFF_UP != 0, _u32(found, _IFLA_MTU))


def read_link_state(buf, start, end):
    """(index, whether it is up and has a carrier) of a NEWLINK or DELLINK message."""
    _, _, _, index, flags, _ = _unpack(_LINK, buf, start, end)
    return index, flags & _IFF_UP_LOWER_UP == _IFF_UP_LOWER_UP


def read_address(buf, start, end):
    """The Address of a NEWADDR or DELADDR message."""
    family, plen, flags, _, dev = _unpack(_ADDRESS, buf, start, end)
    found = attributes(buf, start + 8, end)
    local = found.get(_IFA_LOCAL) or found.get(_IFA_ADDRESS)
    if local is None or len(local) != (4 if family == 2 else 16):
        raise ProtocolError("no address")
    return Address(dev, local, plen, _u32(found, _IFA_FLAGS) or flags)


def read_route(buf, start, end):
    """The Route of a NEWROUTE message; of a multipath route without its hops."""
    family, plen, _, _, table, protocol, _, kind, flags = _unpack(_ROUTE, buf, start, end)
    found = attributes(buf, start + 12, end)
    via = found.get(_RTA_GATEWAY)
    if via is None and _RTA_VIA in found:
        via = found[_RTA_VIA][2:]
    return Route(
        found.get(_RTA_DST, bytes(4 if family == 2 else 16)), plen, via, _u32(found, _RTA_OIF),
        _u32(found, _RTA_PRIORITY), found.get(_RTA_PREFSRC), kind, flags & _RTNH_F_ONLINK != 0,
        _u32(found, _RTA_TABLE) or table, protocol,
    )
