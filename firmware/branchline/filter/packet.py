"""The headers of one IP packet, read in place, and what of a rule's services they match.

Whatever is cut short, or hides where it goes or what it is, cannot be judged. Later fragments have
no ports; they match by addresses and protocol alone, as nobody can put a packet together whose
first fragment was dropped (RFC 1858).
"""

import micropython
from micropython import const

# What read() writes, by its place in an array("I").
SOURCE = const(0)  # the offset of the source address
TARGET = const(1)  # that of the destination
SIZE = const(2)  # octets of an address: 4 or 16
PROTOCOL = const(3)  # that of the transport; ICMPv6 counts as ICMP
SPORT = const(4)
DPORT = const(5)  # of ICMP: its type
KIND = const(6)
FIELDS = const(7)

# What a service names: 0 stands for any protocol.
ANY = const(0)
ICMP = const(1)
TCP = const(6)
UDP = const(17)
# Octets of a service: protocol, first port, last port.
SERVICE = const(5)

# KIND: a packet that may begin something, one that goes on with it, and a later fragment.
BEGINS = const(0)
GOES_ON = const(1)
LATER = const(2)

# Private, too: what is imported is no constant to viper.
_SOURCE = const(0)
_TARGET = const(1)
_SIZE = const(2)
_PROTOCOL = const(3)
_SPORT = const(4)
_DPORT = const(5)
_KIND = const(6)
_ANY = const(0)
_ICMP = const(1)
_TCP = const(6)
_UDP = const(17)
_GOES_ON = const(1)
_LATER = const(2)
_SERVICE = const(5)

_IPV4 = const(20)
_IPV6 = const(40)
_HOP_BY_HOP = const(0)
_ROUTING = const(43)
_FRAGMENT = const(44)
_AUTHENTICATION = const(51)
_ICMPV6 = const(58)
_DESTINATION = const(60)
_MAX_EXTENSIONS = const(8)
# ICMP over the wrong version of IP, which is nothing that a rule names.
_FOREIGN = const(256)
_FIN_SYN_RST_ACK = const(0x17)
_SYN = const(0x02)


def read(buf, at, n, fields):
    """Reads the headers of the packet buf[at : at + n] into fields, an array("I") of FIELDS;
    whether it can be judged."""
    if n < _IPV4:
        return False
    version = buf[at] >> 4
    if version == 4:
        return _read_ipv4(buf, at, n, fields)
    return version == 6 and _read_ipv6(buf, at, n, fields)


@micropython.viper
def _read_ipv4(buf: ptr8, at: int, n: int, fields: ptr32) -> bool:
    header = (int(buf[at]) & 15) << 2
    total = int(buf[at + 2]) << 8 | int(buf[at + 3])
    if header < _IPV4 or total < header or total > n:
        return False
    protocol = int(buf[at + 9])
    if protocol == _ICMPV6:
        protocol = _FOREIGN
    fields[_SOURCE] = at + 12
    fields[_TARGET] = at + 16
    fields[_SIZE] = 4
    fields[_PROTOCOL] = protocol
    offset = (int(buf[at + 6]) & 0x1F) << 8 | int(buf[at + 7])
    return bool(_read_transport(buf, at + header, at + total, offset, fields))


@micropython.viper
def _read_ipv6(buf: ptr8, at: int, n: int, fields: ptr32) -> bool:
    if n < _IPV6:
        return False
    total = _IPV6 + (int(buf[at + 4]) << 8 | int(buf[at + 5]))
    if total > n:
        return False
    end = at + total
    fields[_SOURCE] = at + 8
    fields[_TARGET] = at + 24
    fields[_SIZE] = 16
    protocol = int(buf[at + 6])
    at += _IPV6
    offset = 0
    left = _MAX_EXTENSIONS
    while offset == 0:
        if protocol == _FRAGMENT or protocol == _AUTHENTICATION:
            pass
        elif not (protocol == _HOP_BY_HOP or protocol == _ROUTING or protocol == _DESTINATION):
            break
        if left == 0 or at + 8 > end:
            return False
        left -= 1
        size = (int(buf[at + 1]) + 1) << 3
        if protocol == _FRAGMENT:
            size = 8
            offset = (int(buf[at + 2]) << 8 | int(buf[at + 3])) >> 3
        elif protocol == _AUTHENTICATION:
            size = (int(buf[at + 1]) + 2) << 2
        elif protocol == _ROUTING and int(buf[at + 3]):
            return False  # segments are left: it goes elsewhere than its destination says
        protocol = int(buf[at])
        at += size
        if at > end:
            return False
    if protocol == _ICMP:
        protocol = _FOREIGN
    elif protocol == _ICMPV6:
        protocol = _ICMP
    fields[_PROTOCOL] = protocol
    return bool(_read_transport(buf, at, end, offset, fields))


@micropython.viper
def _read_transport(buf: ptr8, at: int, end: int, offset: int, fields: ptr32) -> bool:
    """offset: of the fragment, in units of 8 octets."""
    protocol = int(fields[_PROTOCOL])
    sport = 0
    dport = 0
    kind = 0
    if offset:
        if protocol == _TCP and offset == 1:
            return False  # it could overwrite the flags (RFC 3128)
        kind = _LATER
    elif protocol == _TCP or protocol == _UDP:
        if end - at < (20 if protocol == _TCP else 8):
            return False
        sport = int(buf[at]) << 8 | int(buf[at + 1])
        dport = int(buf[at + 2]) << 8 | int(buf[at + 3])
        if protocol == _TCP and int(buf[at + 13]) & _FIN_SYN_RST_ACK != _SYN:
            kind = _GOES_ON
    elif protocol == _ICMP:
        if end - at < 8:
            return False
        dport = int(buf[at])
    fields[_SPORT] = sport
    fields[_DPORT] = dport
    fields[_KIND] = kind
    return True


@micropython.viper
def is_request(services: ptr8, n: int, fields: ptr32) -> bool:
    """Whether a packet between the right addresses is of one of the services[:n]."""
    protocol = int(fields[_PROTOCOL])
    port = int(fields[_DPORT])
    later = int(fields[_KIND]) == _LATER
    i = 0
    while i < n:
        wanted = int(services[i])
        if wanted == _ANY:
            return True
        if wanted == protocol:
            low = int(services[i + 1]) << 8 | int(services[i + 2])
            high = int(services[i + 3]) << 8 | int(services[i + 4])
            if later or wanted == _ICMP or low <= port and port <= high:
                return True
        i += _SERVICE
    return False


@micropython.viper
def is_answer(services: ptr8, n: int, fields: ptr32) -> bool:
    """The same for the way back: TCP that begins no connection, and UDP, from a service's port;
    of `any`, TCP alone, as nothing tells answers from requests in the rest."""
    protocol = int(fields[_PROTOCOL])
    port = int(fields[_SPORT])
    kind = int(fields[_KIND])
    if kind == 0 and protocol != _UDP:
        return False
    i = 0
    while i < n:
        wanted = int(services[i])
        if wanted == _ANY:
            if kind:
                return True
        elif wanted == protocol:
            low = int(services[i + 1]) << 8 | int(services[i + 2])
            high = int(services[i + 3]) << 8 | int(services[i + 4])
            if kind == _LATER or low <= port and port <= high:
                return True
        i += _SERVICE
    return False
