"""The Babel agent: interfaces, neighbours and timers around the routing decisions (RFC 8966)."""

from micropython import const

from branchline.babel.filters import Policy
from branchline.babel.listener import Listener
from branchline.babel.outbox import Alarm, Outbox
from branchline.babel.packet import retraction
from branchline.babel.prefix import prefix_key
from branchline.babel.router import Router
from branchline.babel.speaker import Speaker
from branchline.babel.table import Table
from branchline.babel.tlv import INFINITY
from branchline.wire.counters import Counters
from branchline.wire.errors import ProtocolError, StateError
from branchline.wire.ticks import earliest, ticks_add, ticks_diff

_MAX_INTERFACES = const(64)

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
        self._listener = Listener(
            self._router, self._interfaces, random, self.counters, max_neighbours
        )
        self._now = 0
        self._timer = None
        self._sweep_due = None

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
                self._listener.forget(neighbour, now)
            interface.up = False

    def set_penalty(self, name, penalty, now):
        """Makes an interface worse, by a cost that is added in both directions, or (0) as good
        as it is; StateError unless it is 0 to INFINITY.

        INFINITY: it carries nothing. The routes by it are lost at once, and its neighbours are
        told so, but they stay neighbours: any other penalty makes it usable at once.
        """
        interface = self._interfaces[name]
        if not 0 <= penalty <= INFINITY:
            raise StateError("no penalty: " + str(penalty))
        if penalty == interface.penalty:
            return
        self._now = now
        is_worse = penalty > interface.penalty
        interface.set_penalty(penalty, now)
        if interface.up:
            self._listener.reprice(interface, now)
            self._arm(interface.next_timer())
            if is_worse:
                # The ways around it are longer than this one was: feasible only with a new seqno.
                self.refresh(now)

    def set_trust(self, name, trusted, lossy, now):
        """Says that packets get through by an interface (trusted), as its owner will say at once
        when they no longer do, and that some get lost (lossy): see interface.Interface."""
        interface = self._interfaces[name]
        self._now = now
        interface.lossy = lossy
        if trusted != interface.trusted:
            interface.trusted = trusted
            if interface.up:
                self._listener.reprice(interface, now)
                self._arm(interface.next_timer())

    def refresh(self, now):
        """A link of ours was lost: has the network find the other ways to our prefixes now,
        rather than when the link's other end has missed our Hellos. A penalty that rises does
        it, too."""
        self._now = now
        self._router.refresh(now)
        self._arm(self._router.next_timer())

    def shut_down(self, now):
        """Has the neighbours forget all that we announced: the last packets to be sent."""
        self._now = now
        for interface in self._interfaces.values():
            if interface.up:
                # Nothing that waits may be told after this.
                for neighbour in interface.neighbours.values():
                    neighbour.outbox = Outbox(self._alarm)
                interface.outbox = Outbox(self._alarm)
                interface.outbox.add(retraction(), now)

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
            self._listener.receive(name, source, destination, buf, n, now, now_us)
        except ProtocolError:
            self.counters.bump("not_babel")
        # What was received may have brought forward what is to be done; looking early is cheap.
        self._arm(self._listener.next_timer())
        self._arm(self._router.next_timer())

    def handle_timer(self, now):
        """Does what is due."""
        self._now = now
        if self._timer is None or ticks_diff(now, self._timer) < 0:
            return
        for interface in self._interfaces.values():
            if interface.up:
                self._beat(interface, now)
        self._listener.handle_timer(now)
        self._router.handle_timer(now)
        if self._sweep_due is None or _is_due(self._sweep_due, now):
            self._sweep_due = ticks_add(now, self._router.sweep(now))
        self._timer = earliest(
            self._sweep_due,
            self._listener.next_timer(),
            self._router.next_timer(),
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
        return self._router.news.next_event()

    # -- the state, for those who show it

    @property
    def seqno(self):
        """Our seqno; kept over a restart, it spares the network a round of requests."""
        return self._router.seqno

    @property
    def refused(self):
        """A dict (key, neighbour address) -> reason of prefixes that were not learned."""
        return self._router.news.refused

    def neighbours(self):
        """The neighbour.Neighbour objects, as an iterator."""
        return self._listener.neighbours()

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

    # -- time

    def _arm(self, due):
        self._timer = earliest(self._timer, due)

    def _beat(self, interface, now):
        """Hellos and full updates, in their intervals less some random time."""
        if _is_due(interface.hello_due, now):
            interface.beat(now)
            interface.hello_due = ticks_add(now, self._jittered(interface.hello_ms))
        if _is_due(interface.update_due, now):
            if interface.neighbours:
                interface.outbox.want_dump(now)
            interface.update_due = ticks_add(now, self._jittered(interface.update_ms))

    def _jittered(self, interval_ms):
        return interval_ms - (self._random(1)[0] * interval_ms >> 12)


def _is_due(due, now):
    return due is not None and ticks_diff(now, due) >= 0
