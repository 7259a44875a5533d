"""Seqno requests on their way: our own with their retries, and forwarded ones (RFC 8966 3.8)."""

from micropython import const

from branchline.babel.source import newer
from branchline.wire.ticks import earliest, ticks_add, ticks_diff

_MAX_PENDING = const(64)
HOP_COUNT = const(64)
# Appendix B asks for 2 s at 4 s Hellos; ours are faster.
_FIRST_TIMEOUT_MS = const(500)
_TRIES = const(5)
# How long a forwarded request counts as on its way.
_FORWARDED_MS = const(4_000)


class Pending:
    """One request: seqno wanted, tries left (0 for a forwarded one) and its next deadline."""

    def __init__(self, seqno, tries, timeout_ms, now):
        self.seqno = seqno
        self.tries = tries
        self.timeout_ms = timeout_ms
        self.due = ticks_add(now, timeout_ms)


class Requests:
    """The pending seqno requests by (key, router-id); full, it refuses new ones."""

    def __init__(self, counters):
        self._pending = {}
        self._counters = counters

    def __len__(self):
        return len(self._pending)

    def add(self, key, router_id, seqno, now, forwarded):
        """Notes a request; False if it is redundant (3.8.1.2) or there is no room for it."""
        pending = self._pending.get((key, router_id))
        if pending:
            if not newer(seqno, pending.seqno):
                return False
        elif len(self._pending) >= _MAX_PENDING:
            self._counters.bump("requests_full")
            return False
        tries, timeout = (0, _FORWARDED_MS) if forwarded else (_TRIES, _FIRST_TIMEOUT_MS)
        self._pending[(key, router_id)] = Pending(seqno, tries, timeout, now)
        return True

    def satisfied(self, key, router_id, seqno):
        """An update came: whether it answers a pending request, which is then forgotten."""
        pending = self._pending.get((key, router_id))
        if pending is None or newer(pending.seqno, seqno):
            return False
        del self._pending[(key, router_id)]
        return True

    def forget(self, key):
        """Drops the requests for a prefix."""
        for name in [name for name in self._pending if name[0] == key]:
            del self._pending[name]

    def due(self, now):
        """The (key, router-id, seqno) of the requests to send again; drops those given up."""
        again = []
        for name in list(self._pending):
            pending = self._pending[name]
            if ticks_diff(now, pending.due) < 0:
                continue
            if not pending.tries:
                del self._pending[name]
                continue
            pending.tries -= 1
            pending.timeout_ms *= 2
            pending.due = ticks_add(now, pending.timeout_ms)
            again.append((name[0], name[1], pending.seqno))
        return again

    def next_timer(self):
        """The earliest deadline, or None."""
        return earliest(*[pending.due for pending in self._pending.values()])
