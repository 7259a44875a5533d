"""What an OpenVPN server answers to `status 3`: who is connected, with which prefixes.

Its lines have fields between tabs; HEADER lines name the columns (doc/management-notes.txt).
"""

from micropython import const

from branchline.babel.prefix import prefix_key
from branchline.wire.ip import parse_prefix

MAX_CLIENTS = const(4096)
MAX_PREFIXES = const(64)  # of one client
MAX_NAME = const(64)

_UNDEFINED = "UNDEF"  # whose TLS handshake is under way
_CACHED = "C"  # behind an address that was only looked up within an iroute
_CLIENT = ("Common Name", "Real Address", "Connected Since (time_t)", "Client ID")
_ADDRESSES = ("Virtual Address", "Virtual IPv6 Address")
_ROUTE = ("Common Name", "Real Address", "Virtual Address")


class Row:
    """A client: its certificate's name, id, address and port outside, Unix time of connecting, and
    a dict with the keys (babel.prefix) of what is its."""

    def __init__(self, name, cid, real, created):
        self.name = name
        self.cid = cid
        self.real = real
        self.created = created
        self.prefixes = {}


class Status:
    """Takes the lines of one answer; after that `rows` (by id) and `time` (Unix) are complete.

    counters: is told "malformed" for each line that cannot be read, and "overfull" for each
    client or prefix too many; MAC addresses of a tap device are passed over.
    """

    def __init__(self, counters):
        self.rows = {}
        self.time = 0
        self._counters = counters
        self._columns = {}
        self._by_route = {}  # (name, real) -> Row

    def take(self, line):
        """One line, without its end."""
        fields = line.split("\t")
        kind = fields[0]
        try:
            if kind == "HEADER":
                self._columns[fields[1]] = fields[2:]
            elif kind == "TIME":
                self.time = int(fields[2])
            elif kind == "CLIENT_LIST":
                self._take_client(self._picked(fields, _CLIENT), self._picked(fields, _ADDRESSES))
            elif kind == "ROUTING_TABLE":
                self._take_route(self._picked(fields, _ROUTE))
        except (ValueError, IndexError, KeyError):
            self._counters.bump("malformed")

    def _picked(self, fields, names):
        columns = self._columns[fields[0]]
        return [fields[1 + columns.index(name)] for name in names]

    def _take_client(self, client, addresses):
        name, real, created, cid = client
        if name == _UNDEFINED:
            return
        if not 0 < len(name) <= MAX_NAME:
            raise ValueError("no name")
        if len(self.rows) == MAX_CLIENTS:
            self._counters.bump("overfull")
            return
        row = Row(name, int(cid), real, int(created))
        self.rows[row.cid] = row
        self._by_route[name, real] = row
        for address in addresses:
            if address:
                self._add(row, address)

    def _take_route(self, route):
        name, real, text = route
        row = self._by_route.get((name, real))
        if row and not text.endswith(_CACHED) and not _is_mac(text):
            self._add(row, text)

    def _add(self, row, text):
        octets, plen = parse_prefix(text)
        if len(row.prefixes) == MAX_PREFIXES:
            self._counters.bump("overfull")
        else:
            row.prefixes[prefix_key(octets, plen)] = None


def _is_mac(text):
    """Such as 00:ff:12:34:56:78, maybe with @VLAN behind it."""
    return text[2:3] == ":" and len(text.partition("@")[0]) == 17
