"""Links, addresses and routes of this network namespace, through one rtnetlink socket."""

import struct

from micropython import const

from branchline.hal.linux import rtnetlink as rt
from branchline.hal.linux.descriptor import LIBC, Descriptor, error_text, failure
from branchline.hal.linux.tun import check_name
from branchline.wire import ip

_AF_NETLINK = const(16)
_SOCK_RAW_CLOEXEC = const(0x80003)
_SOL_NETLINK = const(270)
_CAP_ACK = const(10)
_EXT_ACK = const(11)
_MSG_DONTWAIT = const(0x40)
_MSG_PEEK_DONTWAIT_TRUNC = const(0x62)
_EPERM = const(1)
_NO_ROUTE = (101, 113)  # ENETUNREACH, EHOSTUNREACH
_ENODEV = const(19)
_EOPNOTSUPP = const(95)

_socket = LIBC.func("i", "socket", "iii")
_setsockopt = LIBC.func("i", "setsockopt", "iiipI")
_send = LIBC.func("l", "send", "ipLi")
_recv = LIBC.func("l", "recv", "ipLi")
_if_nametoindex = LIBC.func("I", "if_nametoindex", "s")


class Netlink(Descriptor):
    """Requests to the kernel; each is answered at once, so none waits.

    Addresses are octets, devices interface indices. Every method raises OSError(errno, text), the
    text saying what was attempted and why the kernel refused. Nothing is remembered here: Ledger
    does that.
    """

    def __init__(self, protocol=0):
        super().__init__(_socket(_AF_NETLINK, _SOCK_RAW_CLOEXEC, protocol))
        if self._fd < 0:
            raise failure("open a netlink socket")
        on = struct.pack("@i", 1)
        for option in (_CAP_ACK, _EXT_ACK):  # ask for explanations; older kernels have none
            _setsockopt(self._fd, _SOL_NETLINK, option, on, 4)
        self._seq = 0

    def _request(self, what, kind, flags, body, take=None):
        """Sends one request and hands each message of the answer to take(buf, start, end).

        what: a text that says what is attempted, or (its start, a Route): routes are many, and
        the text is needed only where one fails.
        """
        self._exchange(what, rt.request(kind, flags, self._next(), body), take)

    def _next(self):
        """The sequence number of the next request."""
        self._seq = self._seq % 0xFFFF + 1
        return self._seq

    def _exchange(self, what, message, take=None):
        """As _request, with a message that is made already and has the last _next()."""
        if _send(self._fd, message, len(message), 0) < 0:
            raise failure(_words(what))
        while not self._receive(what, take):
            pass

    def _receive(self, what, take):
        """Reads one part of the answer; whether it was the last."""
        n = _recv(self._fd, None, 0, _MSG_PEEK_DONTWAIT_TRUNC)
        if n < 0:
            raise failure(what)
        buf = bytearray(n)
        _recv(self._fd, buf, n, _MSG_DONTWAIT)
        for kind, flags, seq, start, end in rt.messages(buf, n):
            if seq != self._seq:
                continue  # the rest of an answer whose reading failed
            if kind == rt.DONE:
                return True
            if kind == rt.ERROR:
                code, text = rt.read_error(buf, flags, start, end)
                if code:
                    raise self._refusal(what, code, text)
                return True
            if take:
                take(buf, start, end)
        return False

    def _refusal(self, what, code, text):
        text = text or error_text(code)
        if code == _EPERM:
            text += " (needs root or CAP_NET_ADMIN)"
        return OSError(code, _words(what) + ": " + text)

    def index(self, name):
        """The index of a link; ENODEV (19) if there is none. Much cheaper than `link`."""
        index = _if_nametoindex(name)
        if not index:
            raise OSError(_ENODEV, "no device " + name)
        return index

    def link(self, name):
        """The Link (index, name, up, mtu) of a name, or None if there is none."""
        check_name(name)
        found = []
        try:
            self._request(
                "find the link " + name, rt.GETLINK, 0, rt.named_link_body(name),
                lambda buf, start, end: found.append(rt.read_link(buf, start, end)),
            )
        except OSError as error:
            if error.args[0] != _ENODEV:
                raise
        return found[0] if found else None

    def set_link(self, dev, up=None, mtu=None, txqueuelen=None):
        """Brings a link up or down and sets its MTU and queue length; what is None stays."""
        body = rt.link_body(dev, up, mtu, txqueuelen)
        self._request("change the link #%d" % dev, rt.NEWLINK, 0, body)

    def add_dummy(self, name):
        """Makes a dummy link, down, to hold static addresses; returns its index. A kernel without
        the dummy module gets a bridge without ports, which serves as well."""
        check_name(name)
        for kind in ("dummy", "bridge"):
            what = "make the %s link %s" % (kind, name)
            body = rt.named_link_body(name, kind.encode())
            try:
                self._request(what, rt.NEWLINK, rt.CREATE | rt.EXCL, body)
                break
            except OSError as error:
                if error.args[0] != _EOPNOTSUPP or kind == "bridge":
                    raise
        return self.link(name).index

    def delete_link(self, dev):
        """Deletes a link, and with it its addresses and routes."""
        self._request("delete the link #%d" % dev, rt.DELLINK, 0, rt.link_body(dev))

    def add_address(self, dev, local, plen, peer=None):
        """Gives a link an address; plen is that of the peer where there is one."""
        what = "add the address %s to the link #%d" % (ip.format_prefix(local, plen), dev)
        body = rt.address_body(dev, local, plen, peer)
        self._request(what, rt.NEWADDR, rt.CREATE | rt.EXCL, body)

    def delete_address(self, dev, local, plen, peer=None):
        """Takes an address from a link."""
        what = "delete the address %s of the link #%d" % (ip.format_prefix(local, plen), dev)
        self._request(what, rt.DELADDR, 0, rt.address_body(dev, local, plen, peer))

    def first_ipv4(self, dev):
        """The first IPv4 address (octets) of a link, or None."""
        found = []

        def take(buf, start, end):
            address = rt.read_address(buf, start, end)
            if address.dev == dev and len(address.local) == 4:
                found.append(address.local)

        self._request("list the addresses", rt.GETADDR, rt.DUMP, rt.addresses_body(), take)
        return found[0] if found else None

    def add_route(self, route):
        """Adds a Route; EEXIST (17) if there is one to the same prefix with the same metric."""
        what = ("add the route ", route)
        self._request(what, rt.NEWROUTE, rt.CREATE | rt.EXCL, rt.route_body(route))

    def replace_route(self, route):
        """Puts a Route in the place of the one to the same prefix with the same metric, whoever
        made that, or adds it."""
        what = ("replace the route ", route)
        self._request(what, rt.NEWROUTE, rt.CREATE | rt.REPLACE, rt.route_body(route))

    def delete_route(self, route):
        """Deletes a Route; only one of its own protocol number. ESRCH (3) if there is none."""
        what = ("delete the route ", route)
        self._request(what, rt.DELROUTE, 0, rt.route_body(route, deleting=True))

    def routes(self, family, protocol=None):
        """All Routes of AF_INET (2) or AF_INET6 (10), of any table; of one protocol number."""
        found = []

        def take(buf, start, end):
            route = rt.read_route(buf, start, end)
            if protocol is None or route.protocol == protocol:
                found.append(route)

        self._request("list the routes", rt.GETROUTE, rt.DUMP, rt.routes_body(family), take)
        return found

    def dump(self, what, kind, body, take):
        """Hands each message of the answer to a GET request for everything to take(buf, start,
        end); `what` is attempted, for the error."""
        self._request(what, kind, rt.DUMP, body, take)

    def create(self, what, kind, body):
        """Sends the body of a NEW message as it is; EEXIST (17) if there is such a thing."""
        self._request(what, kind, rt.CREATE | rt.EXCL, body)

    def lookup(self, address):
        """The Route (its via, dev and source) that packets to `address` take now, or None."""
        found = []
        try:
            self._request(
                "look up the route to " + ip.format_address(address), rt.GETROUTE, 0,
                rt.lookup_body(address),
                lambda buf, start, end: found.append(rt.read_route(buf, start, end)),
            )
        except OSError as error:
            if error.args[0] not in _NO_ROUTE:
                raise
        return found[0] if found else None


def _words(what):
    return what if isinstance(what, str) else what[0] + rt.route_text(what[1])
