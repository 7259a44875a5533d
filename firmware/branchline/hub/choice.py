"""Which client's prefixes a hub announces, and whose sessions it ends.

A name is in one place: its latest session, here or at another hub, is the true one.
"""

from micropython import const

from branchline.babel.filters import is_martian
from branchline.babel.prefix import covers, prefix_key
from branchline.wire.counters import Counters
from branchline.wire.ticks import ticks_diff

MAX_ANNOUNCED = const(4096)  # prefixes

REVOKED = "revoked"
SUPERSEDED = "superseded"


class Rules:
    """accept: (octets, length) of the prefixes within which clients' are announced; skip, revoked:
    names; own: addresses (octets) of hubs, which no client may take."""

    def __init__(self, accept, skip, revoked, own):
        self.accept = [prefix_key(prefix, plen) for prefix, plen in accept]
        self.skip = set(skip)
        self.revoked = set(revoked)
        self.own = [prefix_key(octets, len(octets) * 8) for octets in own]

    def allow(self, key):
        """Whether a client's prefix may be announced."""
        if key[1] == 0 or is_martian(key) or any([covers(key, own) for own in self.own]):
            return False
        return any([covers(outer, key) for outer in self.accept])


class Choice:
    """The result of each update(): `routes` (key -> Session), `arrivals` (name -> (since, keys))
    for the other hubs, and `ends`: (Session, REVOKED or SUPERSEDED, by whom).

    Counters: "refused" prefixes that the rules do not allow, "conflict" prefixes that two names
    have, "full" those beyond MAX_ANNOUNCED; as of the last update.
    """

    def __init__(self, rules):
        self.rules = rules
        self.routes = {}
        self.arrivals = {}
        self.ends = []
        self.counters = Counters(("refused", "conflict", "full"))
        self._latest = {}

    def update(self, sessions, claims):
        """sessions: iterable of hub.clients.Session; claims: name -> hub.arrivals.Claim."""
        self.routes = {}
        self.arrivals = {}
        self.ends = []
        self.counters = Counters(("refused", "conflict", "full"))
        self._latest = {}
        for session in sessions:
            self._sort(session)
        for session in list(self._latest.values()):
            claim = claims.get(session.name)
            if claim and ticks_diff(claim.since, session.since) > 0:
                del self._latest[session.name]
                self._end(session, SUPERSEDED, claim.hub)
        for session in self._latest.values():
            session.note = ""
            self.arrivals[session.name] = (session.since, self._allowed(session))
        for name, (_, keys) in self.arrivals.items():
            for key in keys:
                self._route(key, self._latest[name])
        for name, claim in claims.items():
            if name not in self._latest and name not in self.rules.skip:
                self._yield_to(name, claim)
        self._latest = {}

    def _sort(self, session):
        """Finds the latest session of each name here."""
        name = session.name
        if name in self.rules.revoked:
            if session.ended is None:
                self._end(session, REVOKED, "")
        elif name in self.rules.skip:
            session.note = "announces itself"
        elif session.ended is None and session.prefixes:
            # Without a prefix it has yet to be let in, and may never be.
            other = self._latest.get(name)
            if other and ticks_diff(other.since, session.since) > 0:
                session, other = other, session
            self._latest[name] = session
            if other:
                self._end(other, SUPERSEDED, session.server.name)

    def _end(self, session, why, by):
        session.note = why + " by " + by if by else why
        self.ends.append((session, why, by))

    def _allowed(self, session):
        keys = []
        for key in session.prefixes:
            if self.rules.allow(key):
                keys.append(key)
            else:
                self.counters.bump("refused")
        return keys

    def _route(self, key, session):
        other = self.routes.get(key)
        if other is None and len(self.routes) == MAX_ANNOUNCED:
            self.counters.bump("full")
            return
        if other:
            self.counters.bump("conflict")
            session.note = other.note = "a prefix is also that of another name"
        if other is None or ticks_diff(session.since, other.since) > 0:
            self.routes[key] = session

    def _yield_to(self, name, claim):
        """Another name has, at another hub, a prefix that somebody has here: the later one wins,
        but as this is a mistake in what the servers were told, no session ends."""
        for key in claim.keys:
            session = self.routes.get(key)
            if session and ticks_diff(claim.since, session.since) > 0:
                del self.routes[key]
                self.counters.bump("conflict")
                session.note = "a prefix is also that of %s at %s" % (name, claim.hub)
