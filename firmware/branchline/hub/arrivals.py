"""What hubs tell each other: which clients have arrived at them, and when.

A client that has moved leaves a session behind at its former hub, which OpenVPN there believes in
for as long as its keepalive says. So the hub where the client arrives tells the others, in
datagrams between the hubs' own addresses:

    4 octets "BLA" and the version 1; then, up to the datagram's end, for each client
    4 octets  how long ago it has connected, in ms, so that clocks need not agree
    1 octet, name    the certificate's name
    1 octet, keys    the number of its prefixes; each as a key (babel.prefix): family 1 or 2,
                     length, and as many octets as the length needs

An arrival is told at once, soon again, and each second until all keepalives are over, so lost
datagrams do not matter. While there are none, an empty one each 5 s tells that the hub is there.
"""

from micropython import const

from branchline.babel.prefix import IPV4, IPV6, address, prefix_key
from branchline.hub.clients import MAX_AGE_MS
from branchline.hub.status import MAX_NAME, MAX_PREFIXES
from branchline.wire.counters import Counters
from branchline.wire.cursor import Reader, Writer
from branchline.wire.errors import ProtocolError
from branchline.wire.ticks import earliest, ticks_add, ticks_diff

PORT = const(6697)
MAX_DATAGRAM = const(1232)  # the longest client fits, and every link of IPv6 carries it

# Longer than the keepalive of servers, 20 s with branchctl's kits.
TOLD_MS = const(30_000)
_SOON_MS = const(200)
_AGAIN_MS = const(1000)
_IDLE_MS = const(5000)
_JITTER_MS = const(20)
# Not heard of for so long, an arrival is over: nobody can still have the session before it.
_HELD_MS = const(35_000)
_MAX_CLAIMS = const(4096)
_MAX_TOLD = const(4096)
_HEADER = b"BLA\x01"
_SPACE = const(32)
_TILDE = const(126)


class Claim:
    """A client at another hub: `hub` its name, `since` the tick of its arrival there, `keys` its
    prefixes, `heard` the tick of the last datagram about it."""

    def __init__(self, hub, since, keys, heard):
        self.hub = hub
        self.since = since
        self.keys = keys
        self.heard = heard


def encode(told, start, now, out):
    """Writes a datagram about told[start:], as many as fit; (octets, the first left out).

    told: of (name, since, keys).
    """
    writer = Writer(out, 0, min(len(out), MAX_DATAGRAM))
    writer.octets(_HEADER)
    n = writer.written()
    while start < len(told):
        name, since, keys = told[start]
        try:
            writer.u32(min(max(0, ticks_diff(now, since)), MAX_AGE_MS))
            writer.u8(len(name))
            writer.octets(name.encode())
            writer.u8(len(keys))
            for key in keys:
                writer.octets(key)
        except ProtocolError:
            break
        n = writer.written()
        start += 1
    return n, start


def decode(buf, n):
    """A list of (age in ms, name, keys) of the datagram buf[:n]; ProtocolError if it is none."""
    reader = Reader(buf, 0, n)
    if reader.octets(len(_HEADER)) != _HEADER:
        raise ProtocolError("no arrivals, or of another version")
    found = []
    while reader.remaining():
        age = reader.u32()
        name = reader.octets(reader.u8())
        if not 0 < len(name) <= MAX_NAME or age > MAX_AGE_MS:
            raise ProtocolError("bad name or age")
        for octet in name:
            if not _SPACE <= octet <= _TILDE:
                raise ProtocolError("bad name")
        count = reader.u8()
        if count > MAX_PREFIXES:
            raise ProtocolError("too many prefixes")
        found.append((age, name.decode(), [_key(reader) for _ in range(count)]))
    return found


def _key(reader):
    family = reader.u8()
    plen = reader.u8()
    if family not in (IPV4, IPV6) or plen > (32 if family == IPV4 else 128):
        raise ProtocolError("bad prefix")
    key = bytes((family, plen)) + reader.octets((plen + 7) >> 3)
    if prefix_key(address(key), plen) != key:
        raise ProtocolError("bits behind the prefix length")
    return key


class Hub:
    """Another hub: its name, address (octets), and the tick at which it was heard last."""

    def __init__(self, name, address):
        self.name = name
        self.address = address
        self.heard = None


class Arrivals:
    """Tells the other hubs (of (name, address)) of our arrivals, and hears of theirs.

    `claims`: name -> Claim; `changed` is set whenever they change, and cleared by whoever has
    looked. Counters: "stranger" for datagrams from elsewhere than the hubs' addresses,
    "malformed", "full" for what there was no room for, "sent" and "heard".
    """

    def __init__(self, hubs, now):
        self.hubs = [Hub(name, address) for name, address in hubs]
        self.claims = {}
        self.changed = False
        self.counters = Counters(("stranger", "malformed", "full", "sent", "heard"))
        self.out_address = None
        self._by_address = {hub.address: hub for hub in self.hubs}
        self._own = {}  # name -> (since, keys)
        self._told = []  # of (name, since, keys), in the datagrams under way
        self._start = self._end = 0  # of those in the datagram that goes to one hub after another
        self._hub = len(self.hubs)
        self._due = now if hubs else None
        self._soon = False
        self._claims_due = None

    def tell(self, arrivals, now):
        """arrivals: name -> (since, keys) of all our clients; what is too old is left out."""
        if not self.hubs:
            return
        before, self._own = self._own, {}
        for name, told in arrivals.items():
            if ticks_diff(now, told[0]) < TOLD_MS:
                if len(self._own) == _MAX_TOLD:
                    self.counters.bump("full")
                    break
                self._own[name] = told
                if before.get(name) != told:
                    self._soon = True
                    self._due = now

    # ---- the five calls ----

    def receive_datagram(self, source, buf, n, now):
        """Takes the datagram buf[:n] from an address (octets)."""
        hub = self._by_address.get(source)
        if hub is None:
            self.counters.bump("stranger")
            return
        try:
            found = decode(buf, n)
        except ProtocolError:
            self.counters.bump("malformed")
            return
        self.counters.bump("heard")
        hub.heard = now
        for age, name, keys in found:
            self._heard(hub, ticks_add(now, -age), name, keys, now)

    def _heard(self, hub, since, name, keys, now):
        claim = self.claims.get(name)
        if claim is None and len(self.claims) >= _MAX_CLAIMS:
            self.counters.bump("full")
        elif claim is None or claim.hub == hub.name or ticks_diff(since, claim.since) > 0:
            moved = claim is None or claim.hub != hub.name or claim.keys != keys
            # A later session at the same hub, or a datagram that took a little longer.
            if moved or ticks_diff(since, claim.since) > _JITTER_MS:
                self.changed = True
            elif ticks_diff(since, claim.since) > 0:
                since = claim.since
            self.claims[name] = Claim(hub.name, since, keys, now)
            if self._claims_due is None:
                self._claims_due = ticks_add(now, _HELD_MS)

    def handle_timer(self, now):
        """Time has passed."""
        if self._due is not None and ticks_diff(now, self._due) >= 0:
            self._begin(now)
        if self._claims_due is not None and ticks_diff(now, self._claims_due) >= 0:
            self._expire(now)

    def _begin(self, now):
        """Has everything told to everybody."""
        self._told = [
            (name, since, keys)
            for name, (since, keys) in self._own.items()
            if ticks_diff(now, since) < TOLD_MS
        ]
        self._start = self._end = self._hub = 0
        if self._soon:
            wait = _SOON_MS
        else:
            wait = _AGAIN_MS if self._told else _IDLE_MS
        self._soon = False
        self._due = ticks_add(now, wait)

    def _expire(self, now):
        self._claims_due = None
        for name, claim in list(self.claims.items()):
            until = ticks_add(claim.heard, _HELD_MS)
            if ticks_diff(now, until) >= 0:
                del self.claims[name]
                self.changed = True
            else:
                self._claims_due = earliest(self._claims_due, until)

    def next_timer(self):
        """The tick of the earliest deadline, or None."""
        return earliest(self._due, self._claims_due)

    def next_datagram(self, out, now):
        """Writes the next datagram into out, for PORT of `out_address`; its length, or 0."""
        if self._hub == len(self.hubs):
            if self._end >= len(self._told):
                return 0
            self._start = self._end
            self._hub = 0
        n, self._end = encode(self._told, self._start, now, out)
        self.out_address = self.hubs[self._hub].address
        self._hub += 1
        self.counters.bump("sent")
        return n
