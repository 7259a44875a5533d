"""What the owner of the agent is told: next hops that changed, and what deserves a look."""

from micropython import const

from branchline.babel.prefix import address
from branchline.babel.records import NONE

_MAX_NOTICES = const(64)
_MAX_REFUSED = const(64)


class News:
    """Events for the owner, bounded however rarely they are taken.

    A changed next hop is kept as its prefix's row, and becomes an event only when that is
    taken: what came and went in between is never told. `refused` maps (key, neighbour address)
    to the reason for which a prefix was not learned.
    """

    def __init__(self, table, counters):
        self.refused = {}
        self._table = table
        self._counters = counters
        self._changed = []
        self._notices = []
        self._conflicts = {}

    def refuse(self, neighbour, key, reason):
        """Counts a refused prefix and, the first time, reports it."""
        self._counters.bump(reason)
        name = (key, neighbour.address)
        if self.refused.get(name) != reason and (
            name in self.refused or len(self.refused) < _MAX_REFUSED
        ):
            self.refused[name] = reason
            self.notice(
                (
                    "refused",
                    address(key),
                    key[1],
                    neighbour.interface.name,
                    neighbour.address,
                    reason,
                )
            )

    def conflict(self, key, router_id):
        """Reports, once for each prefix, that another router announces it too."""
        if key not in self._conflicts and len(self._conflicts) < _MAX_REFUSED:
            self._conflicts[key] = router_id
            self.notice(("conflict", address(key), key[1], router_id))

    def notice(self, event):
        """Queues an event for the owner; the oldest are kept."""
        if len(self._notices) < _MAX_NOTICES:
            self._notices.append(event)
        else:
            self._counters.bump("events_full")

    def mark(self, prefix):
        """Notes that the next hop of a prefix row may have changed."""
        if not self._table.prefixes.changed[prefix]:
            self._table.prefixes.changed[prefix] = 1
            self._changed.append(prefix)

    def next_event(self):
        """The next event, or None (see Agent.next_event)."""
        if self._notices:
            return self._notices.pop(0)
        prefixes = self._table.prefixes
        routes = self._table.routes
        while self._changed:
            row = self._changed.pop()
            prefixes.changed[row] = 0
            key = prefixes.key[row]
            selected = prefixes.selected[row]
            hop = port = None
            if selected != NONE:
                hop = routes.next_hop[selected]
                port = routes.neighbour[selected].interface.name
            elif (
                prefixes.hold[row] is not None
                and prefixes.port[row] is not None
                and not prefixes.local[row]
            ):
                port = ""
            if hop == prefixes.hop[row] and port == prefixes.port[row]:
                continue
            prefixes.hop[row] = hop
            prefixes.port[row] = port
            if hop:
                total = routes.total(selected)
                return ("install", address(key), key[1], hop, port, total)
            return ("remove" if port is None else "unreachable", address(key), key[1])
        return None
