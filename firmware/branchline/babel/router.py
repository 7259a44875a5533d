"""The routing decisions: updates learned, routes selected, seqnos asked for (RFC 8966 3.5-3.8)."""

from micropython import const

from branchline.babel.inquiries import Inquiries
from branchline.babel.judge import Judge
from branchline.babel.news import News
from branchline.babel.prefix import prefix_text
from branchline.babel.records import NONE
from branchline.babel.source import newer
from branchline.babel.tlv import INFINITY
from branchline.wire.ticks import earliest, ticks_add, ticks_diff

# A change of the metric that the neighbours are told of at once.
_SIGNIFICANT = const(48)
_URGENT_MS = const(20)
_TRIGGERED_MS = const(100)
# A loss is told twice: the first word may itself be lost.
_URGENT_TIMES = const(2)
# Until then our own announcements of before a restart may still echo.
_ECHO_MS = const(60_000)
# Prefixes that are swept at once: what else the owner has to do must not wait for long.
_SWEEP_ROWS = const(128)
_SLICE_MS = const(20)
_SWEEP_MS = const(1_000)
# How often, and how far apart, a refresh is told: the first word may be lost, and BIRD passes
# most of it on only when the next packet wakes it.
_REFRESH_TIMES = const(3)
_REFRESH_MS = const(60)


class Router:
    """The tables and what is done with them; tells neighbours by filling outboxes, the owner
    through `news`. interfaces: the agent's dict of Interface by name.
    """

    def __init__(self, router_id, seqno, interfaces, table, policy, stub, random, counters, log):
        self.router_id = router_id
        self.seqno = seqno
        self.table = table
        self.policy = policy
        self.stub = stub
        self.inquiries = Inquiries(self, interfaces, counters)
        self.news = News(table, counters)
        self._judge = Judge(table, policy, self.news)
        self._interfaces = interfaces
        self._random = random
        self._counters = counters
        self._log = log
        self._echo_until = None
        self._swept = 0
        self._refreshes = 0
        self._refresh_due = None

    # -- what we announce ourselves

    def announce(self, key, now):
        """Announces a prefix as ours; False if the table is full."""
        prefixes = self.table.prefixes
        row = prefixes.make(key)
        if row == NONE:
            return self._full("prefixes_full", "announcement of " + prefix_text(key))
        prefixes.local[row] = 1
        self._note_echo(now)
        self.select(row, now)
        self.tell(row, now, True)
        return True

    def withdraw(self, key, now):
        """Announces a prefix no longer."""
        prefixes = self.table.prefixes
        row = prefixes.find(key)
        if row != NONE and prefixes.local[row]:
            prefixes.local[row] = 0
            self._note_echo(now)
            self._hold(row, now)
            self.select(row, now)
            self.news.mark(row)
            self.tell(row, now, True)
            # Others may have it: what they told before was not learned.
            self.inquiries.ask_all_for_route(row, now)

    def _hold(self, row, now):
        """Holds a lost prefix until no neighbour can still have a route through us, even if it
        never hears of the loss: what we announce expires after 3.5 intervals (3.5.4)."""
        longest = max([interface.update_ms for interface in self._interfaces.values()] or (0,))
        self.table.hold(row, longest * 7 // 2, now)

    def _note_echo(self, now):
        self._echo_until = ticks_add(now, _ECHO_MS)

    def raise_seqno(self):
        """What we announce from here on is newer than all that is known of us."""
        self.seqno = (self.seqno + 1) & 0xFFFF

    def refresh(self, now):
        """Has the network drop, at once, the ways to us that a lost link of ours has cut.

        Neighbours are asked for the seqno that we announce in the same packet: stock daemons
        tell an update urgently only if it answers a request. Who hears it prefers the ways that
        carry it.
        """
        self.raise_seqno()
        self._refreshes = _REFRESH_TIMES
        self._tell_refresh(now)

    def _tell_refresh(self, now):
        self._refreshes -= 1
        self._refresh_due = ticks_add(now, _REFRESH_MS) if self._refreshes else None
        prefixes = self.table.prefixes
        for row in range(len(prefixes)):
            if prefixes.local[row]:
                # The request goes first: requests are written before updates.
                self.inquiries.ask_for_ourselves(row, now)
                self.tell(row, now, True)

    # -- updates

    def update(self, neighbour, key, interval, seqno, metric, router_id, next_hop, now):
        """An Update TLV from a neighbour (3.5.3); key None retracts all its routes."""
        if key is None:
            self.retract_all(neighbour, now)
            return
        if router_id == self.router_id:
            self._own_echo(neighbour, key, seqno, metric, now)
            return
        table = self.table
        prefix = table.prefixes.find(key)
        row = NONE if prefix == NONE else table.find_route(prefix, neighbour)
        if row != NONE and self._renew(row, interval, seqno, metric, router_id, next_hop, now):
            return
        if metric < INFINITY and self._judge.refuses(row, neighbour, key, router_id, next_hop):
            metric = INFINITY
        if row == NONE:
            if metric == INFINITY:
                return
            row = self._add_route(key, neighbour)
            if row == NONE:
                return
            prefix = table.routes.prefix[row]
        self._store(row, interval, seqno, metric, router_id, next_hop, now)
        self.select(prefix, now)
        if metric < INFINITY and self.inquiries.pending.satisfied(key, router_id, seqno):
            self.tell(prefix, now, True)

    def _renew(self, row, interval, seqno, metric, router_id, next_hop, now):
        """Whether an update only says once more what is known, as nearly all of them do; then the
        route lives on, and nothing else can change by it."""
        table = self.table
        routes = table.routes
        prefix = routes.prefix[row]
        if (
            metric != routes.metric[row]
            or metric == INFINITY
            or seqno != routes.seqno[row]
            or router_id != routes.router_id[row]
            or next_hop != routes.next_hop[row]
            or table.prefixes.local[prefix]
            or not table.is_feasible(row)
        ):
            return False
        routes.interval[row] = interval
        routes.expires[row] = ticks_add(now, interval * 35)
        if self.inquiries.pending.satisfied(table.prefixes.key[prefix], router_id, seqno):
            self.tell(prefix, now, True)
        return True

    def _own_echo(self, neighbour, key, seqno, metric, now):
        """Our own announcement came back: never a route, but it may carry news of our past."""
        self._counters.bump("own_router_id")
        if metric == INFINITY:
            return
        prefix = self.table.prefixes.find(key)
        local = prefix != NONE and self.table.prefixes.local[prefix]
        ahead = newer(seqno, self.seqno)
        if ahead:
            # We restarted and count below what the network remembers of us.
            self.seqno = seqno
            self.tell_all(now)
        # Nobody but us raises our seqno, and no echo has metric 0.
        if metric == 0 or (self._echo_until is None and (ahead or not local)):
            self.news.conflict(key, self.router_id)
        if prefix != NONE:
            row = self.table.find_route(prefix, neighbour)
            if row != NONE:
                # The neighbour now routes this prefix through us.
                self.table.routes.metric[row] = INFINITY
                self.select(prefix, now)

    def _add_route(self, key, neighbour):
        table = self.table
        prefix = table.prefixes.make(key)
        if prefix == NONE:
            self._full("prefixes_full", prefix_text(key))
            return NONE
        row = table.add_route(prefix, neighbour)
        if row == NONE:
            self._full("routes_full", prefix_text(key))
            table.prefixes.drop_if_idle(prefix)
        return row

    def _full(self, name, what):
        """Counts, and logs the first time, that a table's limit refused something new."""
        if not self._counters[name]:
            self._log("babel: " + name + ": " + what + " and what follows is dropped")
        self._counters.bump(name)
        return False

    def _store(self, row, interval, seqno, metric, router_id, next_hop, now):
        """Takes an update into a route row; asks for a seqno where it is unfeasible (3.8.2.2)."""
        table = self.table
        routes = table.routes
        prefix = routes.prefix[row]
        selected = table.prefixes.selected[prefix]
        old_id = routes.router_id[row]
        feasible = metric == INFINITY or table.sources.is_feasible(
            prefix, router_id, seqno, metric
        )
        if not feasible:
            self._counters.bump("unfeasible")
            wanted = selected == NONE or row == selected
            if wanted or metric + routes.neighbour[row].cost < routes.total(selected):
                self.inquiries.ask(prefix, router_id, routes.neighbour[row], now)
            if row == selected and router_id == old_id:
                return
        if metric < INFINITY:
            other = selected != NONE and selected != row and routes.router_id[selected]
            if other and other != router_id and routes.total(selected) < INFINITY:
                self.news.conflict(table.prefixes.key[prefix], router_id)
            # The equal objects of the first update are kept: the rows share them.
            if router_id != old_id:
                routes.router_id[row] = router_id
                if row == selected:
                    # Whose prefix this is has changed: the neighbours must know (3.7.2).
                    self.tell(prefix, now, True)
            if next_hop != routes.next_hop[row]:
                routes.next_hop[row] = next_hop
                self.news.mark(prefix)
            routes.seqno[row] = seqno
            routes.interval[row] = interval
            # Appendix B: a route lives for 3.5 times the promised interval.
            routes.expires[row] = ticks_add(now, interval * 35)
        routes.metric[row] = metric
        if feasible and selected != NONE:
            self._compare(row, selected, now)

    def _compare(self, row, selected, now):
        """Doubts a prefix's selected route where another, usable one has a newer seqno."""
        routes = self.table.routes
        if (
            newer(routes.seqno[row], routes.seqno[selected])
            and routes.router_id[row] == routes.router_id[selected]
            and routes.total(row) < INFINITY
        ):
            self.inquiries.doubt(routes.prefix[row], routes.seqno[row], now)

    def retract_all(self, neighbour, now):
        """Takes all routes of a neighbour for retracted."""
        routes = self.table.routes
        for row in range(len(routes)):
            if routes.neighbour[row] is neighbour and routes.metric[row] < INFINITY:
                routes.metric[row] = INFINITY
                self.select(routes.prefix[row], now)

    # -- selection

    def select(self, prefix, now, doubting=False):
        """Selects a prefix's route anew and tells the owner and the neighbours of a change.

        doubting: the selected route has had its time to show the newest seqno (Table.best).
        """
        table = self.table
        prefixes = table.prefixes
        old = prefixes.selected[prefix]
        new = NONE if prefixes.local[prefix] else table.best(prefix, now, doubting)
        if new == old:
            if new != NONE:
                change = table.routes.total(new) - prefixes.announced[prefix]
                if abs(change) >= _SIGNIFICANT and prefixes.announced[prefix] < INFINITY:
                    self.tell(prefix, now, False)
            return
        prefixes.selected[prefix] = new
        self.news.mark(prefix)
        if new == NONE:
            if not prefixes.local[prefix]:
                self._hold(prefix, now)
                self.inquiries.ask(prefix, table.routes.router_id[old], None, now)
                self.tell(prefix, now, True)
            return
        prefixes.hold[prefix] = None
        routes = table.routes
        same = old != NONE and routes.router_id[old] == routes.router_id[new]
        self.tell(prefix, now, not same)

    def tell(self, prefix, now, urgent):
        """Has the update of a prefix row sent on all interfaces soon (3.7.2)."""
        if self.stub:
            prefixes = self.table.prefixes
            # A stub has announced nothing but its own.
            if not prefixes.local[prefix] and prefixes.announced[prefix] == INFINITY:
                return
        span = _URGENT_MS if urgent else _TRIGGERED_MS
        due = ticks_add(now, self._random(1)[0] * span >> 8)
        for interface in self._interfaces.values():
            # Where the penalty is infinite, all was retracted and nothing announced since.
            if interface.up and interface.neighbours and interface.penalty < INFINITY:
                interface.outbox.want_update(prefix, _URGENT_TIMES if urgent else 1, due)

    def tell_all(self, now):
        """Has all routes sent on all interfaces."""
        for interface in self._interfaces.values():
            if interface.up and interface.neighbours:
                interface.outbox.want_dump(now)

    # -- neighbours that change, and the passing of time

    def neighbour_changed(self, changed, now):
        """Selects anew where a neighbour of the set `changed` has a route."""
        routes = self.table.routes
        of = [routes.neighbour.number(neighbour) for neighbour in changed]
        for row in range(len(routes)):
            if routes.neighbour.numbers[row] in of:
                self.select(routes.prefix[row], now)

    def neighbour_judged(self, changed, now):
        """The same where the owner wants the cost to count at once, without smoothing."""
        routes = self.table.routes
        for row in range(len(routes)):
            if routes.neighbour[row] in changed:
                routes.smoothed[row] = routes.total(row)
        self.neighbour_changed(changed, now)

    def flush(self, neighbour, now):
        """Drops the routes of a neighbour that is gone; its cost is INFINITY already."""
        self.neighbour_changed((neighbour,), now)
        routes = self.table.routes
        for row in range(len(routes)):
            if routes.neighbour[row] is neighbour:
                self.table.drop_route(row)

    def handle_timer(self, now):
        """Sends requests again, and gives up routes that were not confirmed in time."""
        self.inquiries.retry(now)
        for row in self.inquiries.ripe_doubts(now):
            if self.table.prefixes.key[row] is not None:
                self.select(row, now, True)
        if self._refresh_due is not None and ticks_diff(now, self._refresh_due) >= 0:
            self._tell_refresh(now)

    def next_timer(self):
        """The tick of the next deadline of handle_timer, or None."""
        return earliest(self._refresh_due, *self.inquiries.next_timers())

    def sweep(self, now):
        """Lets routes, sources and holds expire, and selects where smoothing may have told.

        Takes some of the prefixes at a time; the time in ms after which to go on.
        """
        prefixes = self.table.prefixes
        for row in self._judge.void():
            self.table.routes.metric[row] = INFINITY
            self.select(self.table.routes.prefix[row], now)
        if self._echo_until is not None and ticks_diff(now, self._echo_until) >= 0:
            self._echo_until = None
        start = self._swept
        end = min(start + _SWEEP_ROWS, len(prefixes))
        self._swept = 0 if end == len(prefixes) else end
        for row in range(start, end):
            if prefixes.key[row] is None:
                continue
            self._expire_routes(row, now)
            self.table.sources.expire(row, now)
            self.select(row, now)
            hold = prefixes.hold[row]
            if hold is not None:
                if ticks_diff(now, hold) >= 0:
                    prefixes.hold[row] = None
                    prefixes.announced[row] = INFINITY
                    self.news.mark(row)
                elif prefixes.selected[row] == NONE:
                    self.inquiries.ask_any(row, now)
            prefixes.drop_if_idle(row)
        if self._swept:
            return _SLICE_MS
        return max(_SLICE_MS, _SWEEP_MS - start // _SWEEP_ROWS * _SLICE_MS)

    def _expire_routes(self, prefix, now):
        """A route that is not renewed is first retracted, then dropped (3.5.3)."""
        table = self.table
        routes = table.routes
        row = table.prefixes.route[prefix]
        while row != NONE:
            after = routes.link[row]
            left = ticks_diff(routes.expires[row], now)
            if left <= 0:
                if routes.metric[row] < INFINITY:
                    self._counters.bump("expired")
                    routes.metric[row] = INFINITY
                    routes.expires[row] = ticks_add(now, routes.interval[row] * 35)
                    self.select(prefix, now)
                else:
                    table.drop_route(row)
            elif left < routes.interval[row] * 5 and row == table.prefixes.selected[prefix]:
                # 3.8.2.3: asks before it is too late.
                self.inquiries.ask_for_route(prefix, routes.neighbour[row], now)
            row = after
