"""The clients of one OpenVPN server, through its management interface; without I/O.

A client that has connected is told by OpenVPN at once (>CLIENT:ESTABLISHED), who has left is not
(it would be under `management-client-auth`): so the number of clients is asked for all the time,
which costs OpenVPN a line, and the list when that has changed.
"""

from micropython import const

from branchline.hub.status import Status
from branchline.openvpn.management import NOTICE, Management
from branchline.wire.counters import Counters
from branchline.wire.ticks import earliest, ticks_add, ticks_diff

# Ticks are good for 6 days; who is connected for longer than 3 counts as just that.
MAX_AGE_MS = const(1 << 28)

_COUNT_MS = const(250)
# In case that a change did not show in the number.
_LIST_MS = const(10_000)
# Lists in close succession are slow to read where clients are many.
_GAP_MS = const(20)
_CLIENTS_PER_MS = const(2)
# So long the clients of a server that cannot be asked are believed to be there.
_TRUST_MS = const(8000)
# client-kill leaves the session for 5 s, for the word to reach the client.
_END_AGAIN_MS = const(10_000)
_MAX_ENDS = const(8)  # commands under way
_MAX_FRESH = const(512)
_LIST = "status 3"
_PLAIN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.@/"


class Session:
    """A client's session: `name` by its certificate, `cid` OpenVPN's number, `real` where it comes
    from, `since` the tick of its beginning, `prefixes` a dict of keys, `server` the Server.

    `ended`: the tick at which it was told to end, or None. `note`: for people, what became of it.
    """

    def __init__(self, server, row, since):
        self.server = server
        self.name = row.name
        self.cid = row.cid
        self.created = row.created
        self.real = row.real
        self.prefixes = row.prefixes
        self.since = since
        self.ended = None
        self.note = ""


class Server:
    """One server: name, and the device by which its clients are reached; password: octets that its
    management interface wants, or None.

    The owner makes connections and tells connected() and disconnected(); `broken` is None, or why
    the connection is of no use and has to be made anew. `changed` is set whenever other clients,
    or other prefixes, are there; whoever has looked at `sessions` clears it.
    """

    def __init__(self, name, device, password, now):
        self.name = name
        self.device = device
        self.sessions = {}  # by cid
        self.changed = False
        self.is_known = False  # whether `sessions` is to be believed
        self.problem = "has not been reached yet"
        self.counters = Counters(
            ("malformed", "overfull", "refused", "connected", "unknown", "unexpected", "overlong")
        )
        self._password = password
        self._management = None
        self._status = None
        self._asked = now  # for the list, the last time
        self._list_due = self._count_due = None
        self._count = None  # as OpenVPN said last
        self._counting = False
        self._fresh = {}  # cid -> tick of >CLIENT:ESTABLISHED
        self._ends = []  # commands
        self._refusal = None
        self._trust_until = ticks_add(now, _TRUST_MS)

    # ---- the connection ----

    @property
    def is_connected(self):
        """Whether it answers."""
        return self._management is not None and self.problem is None

    @property
    def broken(self):
        """Why the connection is of no use, or None."""
        return self._management.broken if self._management else None

    def connected(self, now):
        """There is a connection: the conversation begins."""
        self._management = management = Management()
        self._status = None
        self._counting = False
        self._fresh = {}
        self._ends = []
        self.counters.bump("connected")
        if self._password is not None:
            management.password(self._password, now)
        # Of what it says about a client only the id matters.
        management.command("env-filter 2", now)
        self._count = None
        self._list_due = now
        self._count_due = ticks_add(now, _COUNT_MS)
        self._give(now)

    def disconnected(self, problem, nobody, now):
        """The connection is at its end, or could not be made. nobody: no server runs there, so
        that its clients are gone as well; else they are believed in for a while."""
        if self._management:
            self._add_counters()
        self._management = self._status = None
        self._list_due = self._count_due = None
        self.problem = self._refusal or problem
        if nobody:
            self._forget()
        elif self.is_known and self._trust_until is None:
            self._trust_until = ticks_add(now, _TRUST_MS)

    def _add_counters(self):
        for name, n in self._management.counters.nonzero().items():
            for _ in range(min(n, 1000)):
                self.counters.bump(name)

    def _forget(self):
        """Nobody is connected, as far as is known."""
        self._trust_until = None
        if self.sessions or not self.is_known:
            self.sessions = {}
            self.is_known = self.changed = True

    def receive(self, octets, now):
        """Octets that the server has sent."""
        management = self._management
        management.receive(octets)
        while event := management.next_event():
            kind, word, detail = event
            if kind == NOTICE:
                if word == "CLIENT":
                    self._noticed(detail, now)
            else:
                self._replied(word, detail[0], detail[1], now)
        self._give(now)

    def next_octets(self):
        """What is to be sent, b"" for nothing; sent() says how much of it was taken."""
        return self._management.next_octets() if self._management else b""

    def sent(self, n):
        """n octets of next_octets() are under way."""
        self._management.sent(n)

    # ---- time ----

    def next_timer(self):
        """The tick of the earliest deadline, or None."""
        management = self._management
        if management is None or management.broken:
            return self._trust_until
        due = None if self._status else self._list_due
        count = None if self._counting else self._count_due
        return earliest(management.next_timer(), due, count, self._trust_until)

    def handle_timer(self, now):
        """Time has passed."""
        if self._trust_until is not None and ticks_diff(now, self._trust_until) >= 0:
            self._forget()
        if self._management:
            self._management.handle_timer(now)
            self._give(now)

    # ---- what is asked ----

    def end(self, session, now, for_ever=False):
        """Ends a session; for_ever: of somebody who is not to come back."""
        session.ended = now
        if self._management is None or self.broken:
            return
        if for_ever and all([char in _PLAIN for char in session.name]):
            # At once, and all that have this name. For others it takes OpenVPN 5 s.
            self._ends.append("kill " + session.name)
        else:
            self._ends.append("client-kill %d%s" % (session.cid, " HALT" if for_ever else ""))
        self._give(now)

    def _give(self, now):
        """Gives the commands that it is time for."""
        management = self._management
        if management.broken:
            return
        for _ in range(min(_MAX_ENDS, len(self._ends))):
            if not management.has_room():
                break
            management.command(self._ends.pop(0), now)
        if self._is_due(self._list_due, now) and not self._status and management.has_room():
            self._status = Status(self.counters)
            self._asked = now
            self._list_due = ticks_add(now, _LIST_MS)
            management.command(_LIST, now, self._status.take)
        if self._is_due(self._count_due, now) and not self._counting and management.has_room():
            self._counting = True
            self._count_due = ticks_add(now, _COUNT_MS)
            management.command("load-stats", now)

    @staticmethod
    def _is_due(due, now):
        return due is not None and ticks_diff(now, due) >= 0

    def _want_list(self, now):
        gap = _GAP_MS + len(self.sessions) // _CLIENTS_PER_MS
        earliest_due = ticks_add(self._asked, gap)
        if ticks_diff(earliest_due, now) < 0:
            earliest_due = now
        self._list_due = earliest(self._list_due, earliest_due)

    # ---- what it says ----

    def _noticed(self, text, now):
        word, _, rest = text.partition(",")
        if word == "ESTABLISHED" and rest.isdigit() and len(rest) < 12:
            if len(self._fresh) < _MAX_FRESH:
                self._fresh[int(rest)] = now
            self._want_list(now)

    def _replied(self, command, succeeded, lines, now):
        if command == "load-stats":
            self._counting = False
            count = lines[0].partition(",")[0] if succeeded else None
            if count != self._count or count is None:
                self._count = count
                self._want_list(now)
        elif command == _LIST:
            status, self._status = self._status, None
            if succeeded:
                self._take(status, now)
            else:
                self._refused(lines)
        elif not succeeded and command != "env-filter 2":
            self.counters.bump("refused")
            if command == "password":
                self.problem = self._refusal = "it refuses the password"
            self._want_list(now)

    def _refused(self, lines):
        """It does not list its clients, most likely for want of the right password."""
        self.counters.bump("refused")
        if self.problem is not None and not self._refusal:
            self.problem = self._refusal = "it does not list its clients: " + lines[0][:80]

    def _take(self, status, now):
        """The list is complete: it is compared with what was known."""
        known, self.sessions = self.sessions, {}
        for cid, row in status.rows.items():
            session = known.pop(cid, None)
            fresh = self._fresh.get(cid)
            if (
                session is None
                or session.created != row.created
                or session.name != row.name
                or (fresh is not None and session.since != fresh)
            ):
                age = min(max(0, status.time - row.created) * 1000, MAX_AGE_MS)
                session = Session(self, row, ticks_add(now, -age) if fresh is None else fresh)
                self.changed = True
            elif session.prefixes != row.prefixes:
                session.prefixes = row.prefixes
                self.changed = True
            session.real = row.real
            self._age(session, now)
            self.sessions[cid] = session
        if known or not self.is_known:
            self.changed = True
        self._fresh = {
            cid: tick for cid, tick in self._fresh.items() if ticks_diff(tick, self._asked) >= 0
        }
        self.is_known = True
        self.problem = self._refusal = self._trust_until = None

    def _age(self, session, now):
        if ticks_diff(now, session.since) > MAX_AGE_MS:
            session.since = ticks_add(now, -MAX_AGE_MS)
        if session.ended is not None and ticks_diff(now, session.ended) > _END_AGAIN_MS:
            self.end(session, now)
