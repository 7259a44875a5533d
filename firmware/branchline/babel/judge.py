"""Which routes may be learned: judged when they come, and again when the rules change.

A neighbour tells the same again every few seconds, and to judge it takes longer than all else.
"""

from branchline.babel.records import NONE
from branchline.babel.tlv import INFINITY


class Judge:
    """table: table.Table; policy: filters.Policy; news: news.News, which is told of refusals."""

    def __init__(self, table, policy, news):
        self._table = table
        self._policy = policy
        self._news = news
        self._version = policy.version

    def refuses(self, row, neighbour, key, router_id, next_hop):
        """Whether a route that a neighbour announces must not be learned; row: that of the route
        which is there, or NONE."""
        if self._is_judged(row, router_id, next_hop):
            return False
        reason = self._reason(neighbour, key, router_id, next_hop)
        if reason:
            self._news.refuse(neighbour, key, reason)
        return reason is not None

    def _is_judged(self, row, router_id, next_hop):
        if row == NONE or router_id is None or next_hop is None:
            return False
        routes = self._table.routes
        return routes.metric[row] < INFINITY and not self._table.prefixes.local[routes.prefix[row]]

    def _reason(self, neighbour, key, router_id, next_hop):
        """A counter's name, or None."""
        if router_id is None:
            return "no_router_id"
        if next_hop is None:
            return "no_next_hop"
        prefixes = self._table.prefixes
        row = prefixes.find(key)
        if row != NONE and prefixes.local[row]:
            self._news.conflict(key, router_id)
            return "own_prefix"
        return self._policy.refusal(key, neighbour.interface.name, neighbour.address)

    def void(self):
        """The rows of routes that were learned by rules which no longer stand: cheap while there
        are no others."""
        if self._version == self._policy.version:
            return ()
        self._version = self._policy.version
        routes = self._table.routes
        keys = self._table.prefixes.key
        rows = []
        for row in range(len(routes)):
            neighbour = routes.neighbour[row]
            if neighbour is None or routes.metric[row] == INFINITY:
                continue
            key = keys[routes.prefix[row]]
            reason = self._policy.refusal(key, neighbour.interface.name, neighbour.address)
            if reason:
                self._news.refuse(neighbour, key, reason)
                rows.append(row)
        return rows
