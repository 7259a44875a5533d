"""The Babel agent: interfaces, neighbours and timers around the routing decisions (RFC 8966)."""

from micropython import const

from branchline.babel.mac import ACCEPT, CHALLENGE, CounterTlvs, PeerAuth, challenge_reply
from branchline.babel.mac import pseudo_header
from branchline.babel.neighbour import Neighbour
from branchline.babel.outbox import Alarm
from branchline.babel.packet import ack, retraction, route_request
from branchline.babel.filters import Policy
from branchline.babel.prefix import prefix_key
from branchline.babel.records import NONE
from branchline.babel.router import Router
from branchline.babel.speaker import Speaker
from branchline.babel.table import Table
from branchline.babel.tlv import INFINITY, Parser, body_end
from branchline.wire.counters import Counters
from branchline.wire.errors import ProtocolError, StateError
from branchline.wire.ticks import earliest, ticks_add, ticks_diff

_MAX_INTERFACES = const(64)
_SWEEP_MS = const(1_000)
# A changed link cost is acted on with others that change about then; a lost link at once.
_RECOST_MS = const(250)
# Neighbours' deadlines are looked at no more often.
_NEIGHBOURS_MS = const(50)
# A neighbour whose Hellos fail to come is forgotten.
_MUTE_MS = const(30_000)
# A neighbour is greeted with all we know, but not more often than this.
_GREET_GAP_MS = const(1_000)

_COUNTERS = (
    # packets dropped
    "no_interface",
    "not_link_local",
    "own_packet",
    "not_babel",
    "bad_mac",
    "replayed",
    "challenged",
    "neighbours_full",
    # TLVs ignored
    "truncated",
    "malformed",
    "mandatory",
    "ihu_for_another",
    "bad_rtt",
    # updates refused
    "no_router_id",
    "no_next_hop",
    "own_router_id",
    "own_prefix",
    "martian",
    "default_route",
    "covers_remote",
    "not_accepted",
    "unfeasible",
    # limits that bit, and what time ended
    "prefixes_full",
    "routes_full",
    "sources_full",
    "requests_full",
    "outbox_full",
    "events_full",
    "expired",
)


class Agent:
    """A Babel router (or with stub=True one that relays nothing), without I/O.

    router_id: 8 octets; random(n): n random octets; log(text): a line for the log;
    policy: a filters.Policy; seqno: that of an earlier run, to go on from, or None;
    margin: by how much a metric must be better before traffic moves.
    When a table is full, what is in it stays, and what is new is counted and dropped; a prefix
    for which there is no room in the source table is not announced.
    """

    def __init__(
        self,
        router_id,
        random,
        log,
        policy=None,
        stub=False,
        seqno=None,
        margin=8,
        max_neighbours=16,
        max_prefixes=256,
        max_routes=1024,
        max_sources=512,
    ):
        if router_id in (bytes(8), b"\xff" * 8) or len(router_id) != 8:
            raise StateError("a router-id has 8 octets, not all zero or all one")
        self.counters = Counters(_COUNTERS)
        self.policy = Policy() if policy is None else policy
        self._random = random
        self._log = log
        self._interfaces = {}
        self._alarm = Alarm()
        seqno = int.from_bytes(random(2), "big") if seqno is None else seqno
        self._router = Router(
            router_id,
            seqno,
            self._interfaces,
            Table(max_prefixes, max_routes, max_sources, margin),
            self.policy,
            stub,
            random,
            self.counters,
            log,
        )
        self._speaker = Speaker(self._router, self._interfaces, self._alarm, self.counters)
        self._parser = Parser(self, self.counters)
        self._max_neighbours = max_neighbours
        self._now = 0
        self._timer = None
        self._sweep_due = None
        self._neighbours_due = None
        self._recost_due = None
        self._recosted = set()
        # The packet being received.
        self._peer = None
        self._now_us = None
        self._hello_us = None
        self._echo = None

    # -- interfaces and prefixes

    def add_interface(self, interface):
        """Adds an interface.Interface, which is down until interface_up; StateError if there is
        one of its name or there are too many."""
        if interface.name in self._interfaces or len(self._interfaces) >= _MAX_INTERFACES:
            raise StateError("cannot add interface " + interface.name)
        self._interfaces[interface.name] = interface

    def remove_interface(self, name, now):
        """Takes an interface down, if it is up, and forgets it."""
        self.interface_down(name, now)
        del self._interfaces[name]

    def interface_up(self, name, now):
        """Starts to speak on an interface."""
        interface = self._interfaces[name]
        if not interface.up:
            self._now = now
            interface.start(self._random, now, self._alarm)
            self._arm(now)

    def interface_down(self, name, now):
        """Ends all talk on an interface; its neighbours' routes are lost at once."""
        interface = self._interfaces[name]
        if interface.up:
            self._now = now
            for neighbour in list(interface.neighbours.values()):
                self._forget(neighbour, now)
            interface.up = False

    def announce(self, prefix, plen, now):
        """Announces prefix (4 or 16 octets) as ours; False if the table is full."""
        self._now = now
        return self._router.announce(prefix_key(prefix, plen), now)

    def withdraw(self, prefix, plen, now):
        """Retracts a prefix that was announced."""
        self._now = now
        self._router.withdraw(prefix_key(prefix, plen), now)

    # -- the five calls

    def receive_datagram(self, name, source, destination, buf, n, now, now_us=None):
        """Takes the packet buf[:n] that came on interface `name` from source to destination.

        Addresses are 16 octets: the sender's link-local one, and ff02::1:6 or ours. now_us is
        the microsecond of arrival modulo 2^32, on the clock that next_datagram is given.
        """
        self._now = now
        try:
            self._receive(name, source, destination, buf, n, now_us)
        except ProtocolError:
            self.counters.bump("not_babel")

    def handle_timer(self, now):
        """Does what is due."""
        self._now = now
        if self._timer is None or ticks_diff(now, self._timer) < 0:
            return
        for interface in self._interfaces.values():
            if interface.up:
                self._beat(interface, now)
        if _is_due(self._neighbours_due, now):
            self._check_neighbours(now)
        if _is_due(self._recost_due, now):
            self._recost_due = None
            self._router.neighbour_changed(self._recosted, now)
            self._recosted.clear()
        self._router.retry_requests(now)
        if self._sweep_due is None or _is_due(self._sweep_due, now):
            self._router.sweep(now)
            self._sweep_due = ticks_add(now, _SWEEP_MS)
        self._timer = earliest(
            self._sweep_due,
            self._neighbours_due,
            self._recost_due,
            self._router.requests.next_timer(),
            *[interface.next_timer() for interface in self._interfaces.values() if interface.up],
        )

    def next_timer(self):
        """The tick of the next deadline, or None before the first interface is up."""
        return earliest(self._timer, self._alarm.due)

    def next_datagram(self, out, now_us=None):
        """Writes the next packet into out (at least an interface's MTU); its length, or 0.

        It is to go to port 6696 of `out_destination` (16 octets) on the interface
        `out_interface`, from port 6696 of our link-local address there. now_us is the
        microsecond of sending modulo 2^32, or None where there is no such clock: no RTT then.
        """
        return self._speaker.next_datagram(out, self._now, now_us)

    @property
    def out_interface(self):
        """The name of the interface of the packet last written."""
        return self._speaker.interface

    @property
    def out_destination(self):
        """The destination, 16 octets, of the packet last written."""
        return self._speaker.destination

    def next_event(self):
        """The next of these, or None; prefixes and addresses are octets.

        ("install", prefix, plen, next_hop, interface, metric)   also replaces what was there
        ("unreachable", prefix, plen)   lost: for a while not to fall back to a shorter prefix
        ("remove", prefix, plen)
        ("neighbour_up", interface, address)   ("neighbour_down", interface, address)
        ("refused", prefix, plen, interface, address, reason)
        ("conflict", prefix, plen, router_id)   another router announces the prefix, too; if the
        router_id is ours, another one uses it
        """
        return self._router.next_event()

    # -- the state, for those who show it

    @property
    def seqno(self):
        """Our seqno; kept over a restart, it spares the network a round of requests."""
        return self._router.seqno

    @property
    def refused(self):
        """A dict (key, neighbour address) -> reason of prefixes that were not learned."""
        return self._router.refused

    def neighbours(self):
        """Yields the neighbour.Neighbour objects."""
        for interface in self._interfaces.values():
            for neighbour in interface.neighbours.values():
                yield neighbour

    def routes(self):
        """Yields (key, next_hop, interface, metric, router_id, seqno, is_selected) of all routes;
        metric is ours, INFINITY for one retracted."""
        prefixes = self._router.table.prefixes
        routes = self._router.table.routes
        for row in range(len(routes)):
            neighbour = routes.neighbour[row]
            if neighbour is not None:
                prefix = routes.prefix[row]
                yield (
                    prefixes.key[prefix],
                    routes.next_hop[row],
                    neighbour.interface.name,
                    routes.total(row),
                    routes.router_id[row],
                    routes.seqno[row],
                    prefixes.selected[prefix] == row,
                )

    # -- receiving

    def _receive(self, name, source, destination, buf, n, now_us):
        interface = self._interfaces.get(name)
        counters = self.counters
        if interface is None or not interface.up:
            counters.bump("no_interface")
            return
        # 4: the source must be link-local.
        if source[0] != 0xFE or source[1] & 0xC0 != 0x80:
            counters.bump("not_link_local")
            return
        if source == interface.link_local:
            counters.bump("own_packet")
            return
        end = body_end(buf, n)
        if interface.signer:
            header = pseudo_header(source, destination)
            if not interface.keyring.verify(header, buf, end, n):
                counters.bump("bad_mac")
                return
        neighbour = self._neighbour(interface, source)
        if neighbour is None:
            counters.bump("neighbours_full")
            return
        if interface.signer and not self._is_fresh(neighbour, destination, buf, end):
            return
        self._peer = neighbour
        self._now_us = now_us
        self._hello_us = self._echo = None
        self._parser.parse(buf, end, source)
        self._measure(neighbour)
        self._relink(neighbour)

    def _neighbour(self, interface, address):
        """The neighbour of that address, made if there is room; else None."""
        neighbour = interface.neighbours.get(address)
        if neighbour is None:
            if sum([len(i.neighbours) for i in self._interfaces.values()]) >= self._max_neighbours:
                return None
            neighbour = Neighbour(interface, bytes(address), ticks_add(self._now, _MUTE_MS))
            interface.neighbours[neighbour.address] = neighbour
            self._check_by(neighbour.mute_due)
        return neighbour

    def _is_fresh(self, neighbour, destination, buf, end):
        """Whether a packet with a right MAC is no replay; answers and sends challenges."""
        tlvs = CounterTlvs(buf, end)
        auth = neighbour.auth
        if auth is None:
            auth = neighbour.auth = PeerAuth()
        # Even in a packet that may be a replay (RFC 8967 4.3.1.2), and at once.
        if tlvs.request is not None:
            neighbour.outbox.add(challenge_reply(tlvs.request), self._now)
        verdict = auth.check(tlvs, destination[0] != 0xFF, self._now)
        if verdict == ACCEPT:
            return True
        if verdict == CHALLENGE:
            self.counters.bump("challenged")
            tlv = auth.challenge(self._random, self._now)
            if tlv:
                neighbour.outbox.add(tlv, self._now)
        else:
            self.counters.bump("replayed")
        return False

    # -- the parser's sink: one method for each kind of TLV

    def ack_request(self, opaque):
        """Acknowledgment Request: answered by unicast, at once."""
        self._peer.outbox.add(ack(opaque), self._now)

    def hello(self, unicast, seqno, interval, sent_us):
        """Hello (3.4.1)."""
        peer = self._peer
        history = peer.unicast if unicast else peer.multicast
        self._hello_us = sent_us
        if history.heard(seqno, interval * 10, self._now):
            # If it is the neighbour that restarted, what it announced before is void; if it is
            # we, our distances are lost, and it must not go on to route through us.
            self._router.retract_all(peer, self._now)
            if peer.txcost == INFINITY:
                peer.outbox.add(retraction(), self._now)
            self._greet(peer)
            if not unicast:
                # It may have to wait long for our next Hello.
                peer.interface.want_hello(self._now)
        self._check_by(history.due)

    def ihu(self, address, rxcost, interval, origin_us, receive_us):
        """IHU (3.4.2)."""
        peer = self._peer
        if address is not None and address != peer.interface.link_local:
            return
        was_deaf = peer.txcost == INFINITY
        peer.heard_ihu(rxcost, interval * 10, self._now)
        self._check_by(peer.ihu_due)
        self._echo = (origin_us, receive_us)
        if was_deaf and rxcost < INFINITY:
            # What was sent before may have been lost, in a challenge for one.
            self._greet(peer)

    def update(self, key, interval, seqno, metric, router_id, next_hop):
        """Update (3.5.3)."""
        self._router.update(
            self._peer, key, interval, seqno, metric, router_id, next_hop, self._now
        )

    def route_request(self, key):
        """Route Request (3.8.1.1)."""
        self._router.route_requested(self._peer, key, self._now)

    def seqno_request(self, key, seqno, hop_count, router_id):
        """Seqno Request (3.8.1.2)."""
        self._router.seqno_requested(self._peer, key, seqno, hop_count, router_id, self._now)
        self._arm(self._router.requests.next_timer())

    def _greet(self, neighbour):
        """Tells a new neighbour all, asks it for all, and says with the next Hello that it is
        heard."""
        neighbour.ihu_skip = 0
        neighbour.outbox.want_dump(self._now)
        neighbour.outbox.add(route_request(None), self._now)

    def _measure(self, neighbour):
        """Takes the packet's timestamps, if it has a Hello's and an IHU's (RFC 9616 3.2)."""
        rtt = neighbour.rtt
        if rtt is None or self._hello_us is None or self._now_us is None:
            return
        if self._echo and self._echo[1] is not None:
            origin_us, receive_us = self._echo
            if not rtt.sample(origin_us, receive_us, self._hello_us, self._now_us):
                self.counters.bump("bad_rtt")
        rtt.heard(self._hello_us, self._now_us)

    # -- time

    def _arm(self, due):
        self._timer = earliest(self._timer, due)

    def _check_by(self, due):
        self._neighbours_due = earliest(self._neighbours_due, due)
        self._arm(due)

    def _beat(self, interface, now):
        """Hellos and full updates, in their intervals less some random time."""
        if _is_due(interface.hello_due, now):
            interface.want_hello(now)
            interface.hello_due = ticks_add(now, self._jittered(interface.hello_ms))
        if _is_due(interface.update_due, now):
            if interface.neighbours:
                interface.outbox.want_dump(now)
            interface.update_due = ticks_add(now, self._jittered(interface.update_ms))

    def _jittered(self, interval_ms):
        return interval_ms - (self._random(1)[0] * interval_ms >> 12)

    def _check_neighbours(self, now):
        due = None
        for neighbour in list(self.neighbours()):
            neighbour.expire(now)
            self._relink(neighbour)
            if not neighbour.is_dead():
                neighbour.mute_due = ticks_add(now, _MUTE_MS)
            if _is_due(neighbour.mute_due, now):
                self._forget(neighbour, now)
            else:
                due = earliest(due, neighbour.next_timer(), neighbour.mute_due)
        if due is not None and ticks_diff(due, ticks_add(now, _NEIGHBOURS_MS)) < 0:
            due = ticks_add(now, _NEIGHBOURS_MS)
        self._neighbours_due = due

    def _relink(self, neighbour):
        """Acts on a neighbour's cost if it has changed."""
        old = neighbour.cost
        if not neighbour.recost():
            return
        if old < INFINITY and neighbour.cost < INFINITY:
            self._recosted.add(neighbour)
            if self._recost_due is None:
                self._recost_due = ticks_add(self._now, _RECOST_MS)
                self._arm(self._recost_due)
            return
        neighbour.ihu_skip = 0
        self._router.neighbour_changed((neighbour,), self._now)
        self._notice(neighbour)

    def _notice(self, neighbour):
        name = "neighbour_down" if neighbour.cost == INFINITY else "neighbour_up"
        self._router.notice((name, neighbour.interface.name, neighbour.address))

    def _forget(self, neighbour, now):
        """Drops a neighbour with its routes."""
        if neighbour.cost < INFINITY:
            neighbour.cost = INFINITY
            self._notice(neighbour)
        self._router.flush(neighbour, now)
        self._recosted.discard(neighbour)
        del neighbour.interface.neighbours[neighbour.address]


def _is_due(due, now):
    return due is not None and ticks_diff(now, due) >= 0
