"""Hears the neighbours: packets are checked, their TLVs acted on, silence noticed."""

from micropython import const

from branchline.babel.mac import (
    ACCEPT,
    CHALLENGE,
    CounterTlvs,
    PeerAuth,
    pseudo_header,
)
from branchline.babel.neighbour import Neighbour
from branchline.babel.packet import ack, retraction, route_request
from branchline.babel.tlv import INFINITY, Parser, body_end
from branchline.wire.ip import is_link_local
from branchline.wire.ticks import earliest, ticks_add, ticks_diff

# A changed link cost is acted on with others that change about then; a lost link at once.
_RECOST_MS = const(250)
# Neighbours' deadlines are looked at no more often.
_NEIGHBOURS_MS = const(50)
# A neighbour whose Hellos fail to come is forgotten.
_MUTE_MS = const(30_000)


class Listener:
    """Receives packets for the agent and keeps the neighbours.

    It is the parser's sink: each kind of TLV has a method, which acts for the neighbour whose
    packet is being received.
    """

    def __init__(self, router, interfaces, random, counters, max_neighbours):
        self._router = router
        self._interfaces = interfaces
        self._random = random
        self._counters = counters
        self._max_neighbours = max_neighbours
        self._parser = Parser(self, counters)
        self._neighbours_due = None
        self._recost_due = None
        self._recosted = set()
        self._now = 0
        # The packet being received.
        self._peer = None
        self._now_us = None
        self._hello_us = None
        self._echo = None

    def neighbours(self):
        """Yields all neighbours."""
        for interface in self._interfaces.values():
            yield from interface.neighbours.values()

    def next_timer(self):
        """The tick of the next deadline of a neighbour, or None."""
        return earliest(self._neighbours_due, self._recost_due)

    def handle_timer(self, now):
        """Notices Hellos and IHUs that did not come, and acts on changed costs."""
        self._now = now
        if _is_due(self._neighbours_due, now):
            self._check_neighbours(now)
        if _is_due(self._recost_due, now):
            self._recost_due = None
            self._router.neighbour_changed(self._recosted, now)
            self._recosted.clear()

    def receive(self, name, source, destination, buf, n, now, now_us):
        """Takes a packet (see Agent.receive_datagram); raises ProtocolError if it is no Babel."""
        self._now = now
        interface = self._interfaces.get(name)
        counters = self._counters
        if interface is None or not interface.up:
            counters.bump("no_interface")
            return
        # 4: the source must be link-local.
        if not is_link_local(source):
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
        is_unicast = destination[0] != 0xFF
        # Even in a packet that may be a replay (RFC 8967 4.3.1.2), and at once.
        if tlvs.request is not None and is_unicast:
            tlv = auth.reply(tlvs.request, self._now)
            if tlv:
                neighbour.outbox.add(tlv, self._now)
        verdict = auth.check(tlvs, is_unicast, self._now)
        if verdict == ACCEPT:
            return True
        if verdict == CHALLENGE:
            self._counters.bump("challenged")
            tlv = auth.challenge(self._random, self._now)
            if tlv:
                neighbour.outbox.add(tlv, self._now)
        else:
            self._counters.bump("replayed")
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
        known = history.bits or peer.is_dead()
        if history.heard(seqno, interval * 10, self._now) and known:
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
        self._router.inquiries.route_requested(self._peer, key, self._now)

    def seqno_request(self, key, seqno, hop_count, router_id):
        """Seqno Request (3.8.1.2)."""
        self._router.inquiries.seqno_requested(
            self._peer, key, seqno, hop_count, router_id, self._now
        )

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
                self._counters.bump("bad_rtt")
        rtt.heard(self._hello_us, self._now_us)

    def _check_by(self, due):
        self._neighbours_due = earliest(self._neighbours_due, due)

    def _check_neighbours(self, now):
        due = None
        for neighbour in list(self.neighbours()):
            soonest = earliest(neighbour.next_timer(), neighbour.mute_due)
            if not _is_due(soonest, now):
                due = earliest(due, soonest)
                continue
            neighbour.expire(now)
            self._relink(neighbour)
            if not neighbour.is_dead():
                neighbour.mute_due = ticks_add(now, _MUTE_MS)
            if _is_due(neighbour.mute_due, now):
                self.forget(neighbour, now)
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
            return
        neighbour.ihu_skip = 0
        self._router.neighbour_changed((neighbour,), self._now)
        self._notice(neighbour)

    def reprice(self, interface, now):
        """Acts at once on the changed penalty of an interface."""
        self._now = now
        changed = set()
        for neighbour in interface.neighbours.values():
            old = neighbour.cost
            if neighbour.recost():
                changed.add(neighbour)
                if INFINITY in (old, neighbour.cost):
                    self._notice(neighbour)
        self._router.neighbour_judged(changed, now)

    def _notice(self, neighbour):
        name = "neighbour_down" if neighbour.cost == INFINITY else "neighbour_up"
        self._router.news.notice((name, neighbour.interface.name, neighbour.address))

    def forget(self, neighbour, now):
        """Drops a neighbour with its routes."""
        if neighbour.cost < INFINITY:
            neighbour.cost = INFINITY
            self._notice(neighbour)
        self._router.flush(neighbour, now)
        self._recosted.discard(neighbour)
        del neighbour.interface.neighbours[neighbour.address]


def _is_due(due, now):
    return due is not None and ticks_diff(now, due) >= 0
