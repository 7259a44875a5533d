"""Names to addresses without waiting: numbers, /etc/hosts, then DNS over UDP as a stub."""

from micropython import const

from branchline.hal.clock import ticks
from branchline.hal.entropy import random_octets
from branchline.hal.resolv_conf import ResolvConf, find_in_hosts
from branchline.wire import dns, ip
from branchline.wire.errors import ProtocolError
from branchline.wire.ticks import earliest, ticks_add, ticks_diff

_MAX_QUERIES = const(16)
_MESSAGE = const(512)  # RFC 1035 2.3.4: without EDNS no answer over UDP is longer
_BUFFER = const(16384)
_PORT = const(53)
_KINDS = {4: dns.A, 16: dns.AAAA}  # by the octets of an address


class Query:
    """One name being resolved. Once `done`: `addresses` (octets; IPv4 before IPv6) or `error`.

    Each try asks one server from a fresh port with fresh ids; what does not answer the question
    is counted in `ignored`.
    """

    def __init__(self, resolver, host, sizes, on_done):
        self.host = host
        self.done = False
        self.addresses = []
        self.error = ""
        self.ignored = 0
        self._resolver = resolver
        self._on_done = on_done
        self._kinds = [_KINDS[size] for size in sizes]
        self._names = []
        self._tries = 0
        self._socket = None
        self._waiting = {}  # kind -> id of the question
        self._due = None

    def start(self, conf, now):
        """Begins to ask the servers of a ResolvConf."""
        self._conf = conf
        self._names = conf.candidates(self.host)
        self._next_name(now)

    def _next_name(self, now):
        """Asks for the next candidate; done if there is none."""
        if not self._names:
            return self.finish("no such host")
        self._name = self._names.pop(0)
        self._tries = 0
        self._found = {}
        self._next_try(now)

    def _next_try(self, now):
        """Asks the next server; done if all have had their attempts."""
        conf = self._conf
        while self._tries < conf.attempts * len(conf.servers):
            server = conf.servers[self._tries % len(conf.servers)]
            self._tries += 1
            self._close()
            try:
                self._ask(server)
            except OSError:  # that server cannot be reached from here
                continue
            except ValueError as error:
                return self.finish(error.args[0])
            self._due = ticks_add(now, conf.timeout_ms)
            return None
        return self.finish("no name server gives an answer")

    def _ask(self, server):
        resolver = self._resolver
        self._socket = resolver.open_udp(server, resolver.port, rcvbuf=_BUFFER, sndbuf=_BUFFER)
        self._waiting = {}
        for kind in self._kinds:
            if kind not in self._found:
                ident = int.from_bytes(random_octets(2), "big")
                n = dns.write_query(resolver.buf, ident, self._name, kind)
                self._socket.write(resolver.buf, n)
                self._waiting[kind] = ident
        if self._socket.errors:
            raise OSError(self._socket.last_errno)
        resolver.poller.register(self._socket, self._on_ready)

    def _on_ready(self, readable, writable):
        buf = self._resolver.buf
        while not self.done:
            n = self._socket.readinto(buf)
            if n is None:
                # A connected socket learns of a closed port.
                return self._next_try(ticks()) if self._socket.errors else None
            self._take(buf, n, ticks())

    def _take(self, buf, n, now):
        """Takes one datagram of the server."""
        for kind, ident in self._waiting.items():
            try:
                rcode, truncated, addresses = dns.read_answer(buf, n, ident, self._name, kind)
            except ProtocolError:
                continue
            if rcode not in (dns.OK, dns.NXDOMAIN) or (truncated and not addresses):
                return self._next_try(now)
            self._found[kind] = addresses
            del self._waiting[kind]
            return None if self._waiting else self._answered(now)
        self.ignored += 1

    def _answered(self, now):
        for kind in self._kinds:
            self.addresses += self._found.get(kind, [])
        if self.addresses:
            self.finish("")
        else:
            self._next_name(now)

    def next_timer(self):
        """The tick at which the server is given up, or None."""
        return self._due

    def handle_timer(self, now):
        """Goes on with the next server, or with half the answer, when the time is up."""
        if self._due is not None and ticks_diff(now, self._due) >= 0:
            if any(self._found.values()):
                self._answered(now)
            else:
                self._next_try(now)

    def finish(self, error):
        """Ends the query; also how its owner gives it up."""
        if self.done:
            return
        self._close()
        self._due = None
        self.error = error
        self.done = True
        self._resolver.forget(self)
        if self._on_done:
            self._on_done(self)

    def _close(self):
        if self._socket:
            self._resolver.poller.unregister(self._socket)
            self._socket.close()
            self._socket = None


class Resolver:
    """Resolves names on a Poller; the files are read anew for each name. open_udp: hal's;
    servers(): the name servers' addresses, where no file names them."""

    def __init__(
        self, poller, open_udp, hosts="/etc/hosts", conf="/etc/resolv.conf", port=_PORT,
        servers=None,
    ):
        self.poller = poller
        self.open_udp = open_udp
        self.port = port
        self.buf = bytearray(_MESSAGE)
        self._hosts = hosts
        self._conf = conf
        self._servers = servers
        self._queries = []

    def resolve(self, host, family, now, on_done=None):
        """The Query for a host name or address; family AF_INET (2), AF_INET6 (10) or 0 for both.

        It may be done on return, as for addresses; on_done(query) is called once either way.
        """
        sizes = {2: (4,), 10: (16,), 0: (4, 16)}[family]
        query = Query(self, host, sizes, on_done)
        try:
            address = ip.parse_address(host)
        except ValueError:
            query.addresses = find_in_hosts(self._hosts, host, sizes)
        else:
            if len(address) not in sizes:
                query.finish("an address of the other family")
                return query
            query.addresses = [address]
        if query.addresses:
            query.finish("")
        elif len(self._queries) == _MAX_QUERIES:
            query.finish("too many names at once")
        else:
            self._queries.append(query)
            query.start(self._read_conf(), now)
        return query

    def _read_conf(self):
        conf = ResolvConf(self._conf)
        if self._servers:
            conf.servers = self._servers()
        return conf

    def forget(self, query):
        """Drops a query that is done."""
        if query in self._queries:
            self._queries.remove(query)

    def next_timer(self):
        """The earliest deadline of all queries, or None."""
        return earliest(*[query.next_timer() for query in self._queries])

    def handle_timer(self, now):
        """Lets every query go on whose time is up."""
        for query in list(self._queries):
            query.handle_timer(now)
