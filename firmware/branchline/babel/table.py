"""Prefixes and routes: storage, route selection with hysteresis (RFC 8966 3.5, 3.6, A.3)."""

from micropython import const

from branchline.babel.keys import Keys
from branchline.babel.records import NONE, Rows, row_code
from branchline.babel.source import Sources, newer
from branchline.babel.tlv import INFINITY
from branchline.wire.ticks import ticks_add, ticks_diff

# How long a prefix without a route is at least kept as unreachable, so that traffic does not
# fall back to a shorter prefix while the neighbours learn of the loss (3.5.4).
HOLD_MS = const(10_000)
# The smoothed metric covers half of the way to the metric in this time.
_HALF_LIFE_MS = const(4_000)
_MAX_HALVES = const(16)


class Prefixes(Rows):
    """Rows of prefixes, found by key.

    route, source: first row of each chain; selected: route row; local: the prefix is announced
    by us; announced: the metric last sent (INFINITY: none); hold: the tick until which the
    prefix is unreachable, or None; hop, port: next hop and interface as last told to the owner.
    """

    def __init__(self, limit, code):
        super().__init__(
            limit,
            {
                "key": Keys(limit, code),
                "hold": "O",
                "hop": "S",
                "port": "S",
                "announced": "H",
                "local": "B",
                "changed": "B",
                "route": code,
                "source": code,
                "selected": code,
                "link": code,
            },
        )

    def find(self, key):
        """The row of a key, or NONE."""
        return self.key.find(key)

    def make(self, key):
        """The row of a key, made where there is none; NONE when the table is full."""
        row = self.key.find(key)
        if row == NONE:
            row = self.add()
            if row != NONE:
                self.key[row] = key
                self.announced[row] = INFINITY
                self.route[row] = self.source[row] = self.selected[row] = NONE
        return row

    def drop_if_idle(self, row):
        """Frees a row that nothing refers to any more; whether it did."""
        if (
            self.route[row] != NONE
            or self.source[row] != NONE
            or self.local[row]
            or self.hold[row] is not None
            or self.changed[row]
        ):
            return False
        self.drop(row)
        return True


class Routes(Rows):
    """Rows of routes, one for each (prefix, neighbour), chained from the prefix rows.

    metric: as the neighbour announced it; smoothed: our metric, smoothed, as of `stamp`.
    """

    def __init__(self, limit, code):
        super().__init__(
            limit,
            {
                "neighbour": "S",
                "router_id": "S",
                "next_hop": "S",
                "seqno": "H",
                "metric": "H",
                "interval": "H",
                "smoothed": "H",
                "stamp": "I",
                "expires": "I",
                "prefix": code,
                "link": code,
            },
        )

    def total(self, row):
        """The route's metric as we see it: the announced one and the link's cost."""
        return min(self.metric[row] + self.neighbour[row].cost, INFINITY)


class Table:
    """The three tables, joined; `margin` is what a route must be better by to be preferred."""

    def __init__(self, max_prefixes, max_routes, max_sources, margin):
        code = row_code(max_prefixes, max_routes, max_sources)
        self.prefixes = Prefixes(max_prefixes, code)
        self.routes = Routes(max_routes, code)
        self.sources = Sources(self.prefixes, max_sources, code)
        self._margin = margin

    def find_route(self, prefix, neighbour):
        """The route row of a prefix row by a neighbour, or NONE."""
        routes = self.routes
        row = self.prefixes.route[prefix]
        while row != NONE and routes.neighbour[row] is not neighbour:
            row = routes.link[row]
        return row

    def add_route(self, prefix, neighbour):
        """A fresh route row, its metric infinite; NONE when the table is full."""
        routes = self.routes
        row = routes.add()
        if row != NONE:
            routes.neighbour[row] = neighbour
            routes.prefix[row] = prefix
            routes.metric[row] = routes.smoothed[row] = INFINITY
            routes.link[row] = self.prefixes.route[prefix]
            self.prefixes.route[prefix] = row
        return row

    def drop_route(self, row):
        """Takes a route that is not selected out of its prefix's chain and frees it."""
        routes = self.routes
        prefixes = self.prefixes
        prefix = routes.prefix[row]
        before = prefixes.route[prefix]
        if before == row:
            prefixes.route[prefix] = routes.link[row]
        else:
            while routes.link[before] != row:
                before = routes.link[before]
            routes.link[before] = routes.link[row]
        routes.drop(row)

    def is_feasible(self, row):
        """Whether a stored route is feasible by the present source table."""
        routes = self.routes
        return self.sources.is_feasible(
            routes.prefix[row], routes.router_id[row], routes.seqno[row], routes.metric[row]
        )

    def best(self, prefix, now, doubting=False):
        """The route to select for a prefix (3.6): feasible, of least metric; NONE if none is.

        The selected route stays unless another is better by the margin both now and smoothed
        over time (A.3), so that two of like metric do not alternate. A route that lacks a seqno
        which another one has shown may lead to where a link was lost: it is worse than any that
        has shown it. The selected one is spared that unless `doubting`. Loop-freedom does not
        depend on any of this, only on what is feasible.
        """
        routes = self.routes
        best = NONE
        least = INFINITY
        current = self.prefixes.selected[prefix]
        current_total = INFINITY
        seqno = None
        mixed = False
        row = self.prefixes.route[prefix]
        lacks_sources = self.prefixes.source[prefix] == NONE
        while row != NONE:
            # Written out, as this is done for each prefix once a second.
            total = routes.metric[row] + routes.neighbour[row].cost
            if total > INFINITY:
                total = INFINITY
            if routes.smoothed[row] == total:
                routes.stamp[row] = now
            else:
                self._smooth(row, total, now)
            if total < INFINITY and (lacks_sources or self.is_feasible(row)):
                if seqno is None:
                    seqno = routes.seqno[row]
                elif routes.seqno[row] != seqno:
                    mixed = True
                if row == current:
                    current_total = total
                if total < least:
                    best = row
                    least = total
            row = routes.link[row]
        if mixed:
            if doubting and current_total < INFINITY and self._is_behind(current):
                current_total = INFINITY
            spared = current if current_total < INFINITY else NONE
            if best != spared and self._is_behind(best):
                best = self._least_confirmed(prefix, spared, best)
                least = routes.total(best)
        if current_total < INFINITY and best != current:
            smoothed = routes.smoothed
            if (
                least + self._margin > current_total
                or smoothed[best] + self._margin > smoothed[current]
            ):
                return current
        return best

    def _is_usable(self, row):
        return self.routes.total(row) < INFINITY and self.is_feasible(row)

    def _is_behind(self, row):
        """Whether another usable route from the same router has a newer seqno."""
        routes = self.routes
        router_id = routes.router_id[row]
        seqno = routes.seqno[row]
        other = self.prefixes.route[routes.prefix[row]]
        while other != NONE:
            if (
                newer(routes.seqno[other], seqno)
                and routes.router_id[other] == router_id
                and self._is_usable(other)
            ):
                return True
            other = routes.link[other]
        return False

    def _least_confirmed(self, prefix, spared, otherwise):
        """The route of least metric among `spared` and those that are not behind; seqnos half a
        circle apart may leave none, and then `otherwise`."""
        routes = self.routes
        best = NONE
        row = self.prefixes.route[prefix]
        while row != NONE:
            if (
                self._is_usable(row)
                and (best == NONE or routes.total(row) < routes.total(best))
                and (row == spared or not self._is_behind(row))
            ):
                best = row
            row = routes.link[row]
        return otherwise if best == NONE else best

    def _smooth(self, row, total, now):
        """Moves the smoothed metric towards the present one by the time that has passed."""
        routes = self.routes
        old = routes.smoothed[row]
        elapsed = ticks_diff(now, routes.stamp[row])
        if old != total and total < INFINITY and old < INFINITY:
            halves = elapsed // _HALF_LIFE_MS
            if 0 <= halves < _MAX_HALVES:
                # Within one half-life a straight line is near enough.
                left = 2 * _HALF_LIFE_MS - elapsed % _HALF_LIFE_MS
                total += (old - total) * left // (2 * _HALF_LIFE_MS << halves)
                if total == old:
                    return
        routes.smoothed[row] = total
        routes.stamp[row] = now

    def hold(self, prefix, hold_ms, now):
        """Keeps a prefix as unreachable for the hold time, and never for less than HOLD_MS."""
        self.prefixes.hold[prefix] = ticks_add(now, max(HOLD_MS, hold_ms))
