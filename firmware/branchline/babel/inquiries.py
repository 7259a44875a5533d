"""Route and seqno requests: asked, forwarded and answered (RFC 8966 3.8)."""

from micropython import const

from branchline.babel.packet import retraction, route_request, seqno_request
from branchline.babel.records import NONE
from branchline.babel.requests import HOP_COUNT, Requests
from branchline.babel.source import newer
from branchline.babel.tlv import INFINITY
from branchline.wire.ticks import ticks_add, ticks_diff

# How long the neighbour of a selected route has to show a seqno that another one has shown.
# Stock babeld tells what is urgent after 75 to 137 ms, so that two that heard of it at once
# tell it less than that apart.
_GRACE_MS = const(75)
_MAX_DOUBTS = const(64)


class Inquiries:
    """What the router (a router.Router) asks of neighbours, and answers when they ask it.

    interfaces: the agent's dict of Interface by name.
    """

    def __init__(self, router, interfaces, counters):
        self.pending = Requests(counters)
        self._router = router
        self._interfaces = interfaces
        self._counters = counters
        # Prefix row -> the tick at which its selected route is taken for lost.
        self._doubts = {}

    # -- asked by us

    def ask(self, prefix, router_id, neighbour, now):
        """Sends a seqno request, to a neighbour or (None) to all, unless one is under way."""
        table = self._router.table
        source = table.sources.find(prefix, router_id)
        if source == NONE:
            return
        key = table.prefixes.key[prefix]
        seqno = (table.sources.seqno[source] + 1) & 0xFFFF
        if self.pending.add(key, router_id, seqno, now, False):
            self._send(key, router_id, seqno, neighbour, now)

    def ask_any(self, prefix, now):
        """Asks again for a starving prefix whose routes are all unfeasible (3.8.2.1)."""
        routes = self._router.table.routes
        row = self._router.table.prefixes.route[prefix]
        while row != NONE:
            if routes.total(row) < INFINITY:
                self.ask(prefix, routes.router_id[row], routes.neighbour[row], now)
            row = routes.link[row]

    def ask_for_route(self, prefix, neighbour, now):
        """Asks a neighbour for the update of a prefix row."""
        self._queue(neighbour.outbox, route_request(self._router.table.prefixes.key[prefix]), now)

    def ask_all_for_route(self, prefix, now):
        """Asks all neighbours for the update of a prefix row."""
        self._tell_all(route_request(self._router.table.prefixes.key[prefix]), now)

    def ask_for_ourselves(self, prefix, now):
        """Asks all for our own seqno for our own prefix row: who has another way to us passes
        that on, and then tells at once what we announce with that seqno (3.8.1.2)."""
        router = self._router
        self._send(router.table.prefixes.key[prefix], router.router_id, router.seqno, None, now)

    def retry(self, now):
        """Sends our unanswered seqno requests again, where they are still needed."""
        prefixes = self._router.table.prefixes
        for key, router_id, seqno in self.pending.due(now):
            row = prefixes.find(key)
            if row == NONE or prefixes.local[row] or prefixes.selected[row] != NONE:
                self.pending.forget(key)
            else:
                self._send(key, router_id, seqno, None, now)

    def _send(self, key, router_id, seqno, neighbour, now):
        tlv = seqno_request(key, seqno, HOP_COUNT, router_id)
        if neighbour:
            self._queue(neighbour.outbox, tlv, now)
        else:
            self._tell_all(tlv, now)

    def _tell_all(self, tlv, now):
        for interface in self._interfaces.values():
            if interface.up and interface.neighbours and interface.penalty < INFINITY:
                self._queue(interface.outbox, tlv, now)

    def _queue(self, outbox, tlv, now):
        if not outbox.add(tlv, now):
            self._counters.bump("outbox_full")

    # -- selected routes that others have overtaken

    def doubt(self, prefix, seqno, now):
        """Asks the neighbour of a prefix row's selected route for a seqno that another one has
        shown: it may have lost the way, and not know it."""
        if prefix in self._doubts or len(self._doubts) >= _MAX_DOUBTS:
            return
        self._doubts[prefix] = ticks_add(now, _GRACE_MS)
        table = self._router.table
        selected = table.prefixes.selected[prefix]
        router_id = table.routes.router_id[selected]
        neighbour = table.routes.neighbour[selected]
        self._send(table.prefixes.key[prefix], router_id, seqno, neighbour, now)

    def ripe_doubts(self, now):
        """The prefix rows whose selected route has had its time to answer."""
        if not self._doubts:
            return ()
        ripe = [row for row, due in self._doubts.items() if ticks_diff(now, due) >= 0]
        for row in ripe:
            del self._doubts[row]
        return ripe

    def next_timers(self):
        """The deadlines, some None, of requests and doubts."""
        return [self.pending.next_timer()] + list(self._doubts.values())

    # -- asked by neighbours

    def route_requested(self, neighbour, key, now):
        """A Route Request (3.8.1.1); key None asks for all routes."""
        if key is None:
            neighbour.outbox.want_dump(now)
            return
        prefix = self._router.table.prefixes.find(key)
        if prefix == NONE:
            interval = max(1, neighbour.interface.update_ms // 10)
            self._queue(neighbour.outbox, retraction(key, interval), now)
        else:
            neighbour.outbox.want_update(prefix, 1, now)

    def seqno_requested(self, neighbour, key, seqno, hop_count, router_id, now):
        """A Seqno Request (3.8.1.2): answered, or forwarded towards the prefix's router."""
        router = self._router
        table = router.table
        prefix = table.prefixes.find(key)
        if prefix == NONE:
            return
        if table.prefixes.local[prefix]:
            if router_id == router.router_id and newer(seqno, router.seqno):
                # Never by more than one, whatever is asked for.
                router.raise_seqno()
                router.tell(prefix, now, True)
            else:
                neighbour.outbox.want_update(prefix, 1, now)
            return
        row = table.prefixes.selected[prefix]
        routes = table.routes
        if router.stub or row == NONE:
            return
        if routes.router_id[row] != router_id or not newer(seqno, routes.seqno[row]):
            neighbour.outbox.want_update(prefix, 1, now)
        elif hop_count > 1 and router_id != router.router_id:
            self._forward(prefix, neighbour, seqno, hop_count - 1, router_id, now)

    def _forward(self, prefix, requester, seqno, hop_count, router_id, now):
        table = self._router.table
        routes = table.routes
        chosen = None
        row = table.prefixes.route[prefix]
        while row != NONE:
            if routes.neighbour[row] is not requester and routes.total(row) < INFINITY:
                chosen = routes.neighbour[row]
                if table.is_feasible(row):
                    break
            row = routes.link[row]
        key = table.prefixes.key[prefix]
        if chosen and self.pending.add(key, router_id, seqno, now, True):
            self._queue(chosen.outbox, seqno_request(key, seqno, hop_count, router_id), now)
