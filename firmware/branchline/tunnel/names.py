"""The addresses behind a tunnel's host names: asked for without waiting, and remembered.

The last good answer is kept with its age. It serves when the name servers say nothing, as they do
when the way to them is the one that failed; it never keeps a new answer away.
"""

from micropython import const

from branchline.wire.ticks import ticks_add, ticks_diff

_MAX_HOSTS = const(8)
# How long to wait for the name servers where an earlier answer is at hand.
_GRACE_MS = const(1500)
# Ticks of two moments further apart cannot be told (wire.ticks).
_MAX_AGE_MS = const(1 << 28)


class Names:
    """resolve(host, family, now) -> a query with `done`, `addresses`, `error`, finish(error)."""

    def __init__(self, resolve):
        self._resolve = resolve
        self._known = {}  # (host, family) -> (addresses, tick)
        self._query = self._key = self._until = None
        self.error = ""
        self.age_ms = 0  # of the last answer: 0 where the name servers gave it

    @property
    def asking(self):
        """Whether an answer is awaited."""
        return self._query is not None

    def ask(self, host, family, now, as_host=None):
        """Begins to ask; `as_host`: the name to ask for in its place (remote-random-hostname)."""
        self.give_up()
        self._key = (host, family)
        self._query = self._resolve(as_host or host, family, now)
        self._until = ticks_add(now, _GRACE_MS) if self._key in self._known else None

    def answer(self, now):
        """The addresses; an empty list where there are none (`error` says why); None: not yet."""
        query = self._query
        known = self._known.get(self._key)
        if query.done:
            self._query = None
            self.error = query.error
            self.age_ms = 0
            if query.addresses:
                self._remember(query.addresses, now)
                return query.addresses
        elif self._until is None or ticks_diff(now, self._until) < 0:
            return None
        else:
            self.error = "the name servers say nothing"
            self.give_up()
        if known is None:
            return []
        self.age_ms = max(1, ticks_diff(now, known[1]))
        return known[0]

    def _remember(self, addresses, now):
        known = self._known
        if self._key not in known and len(known) == _MAX_HOSTS:
            del known[min(known, key=lambda key: ticks_diff(known[key][1], now))]
        known[self._key] = (addresses, now)

    def known(self, host, family, now):
        """The first address of the last answer for a host, or None."""
        found = self._known.get((host, family))
        return found[0][0] if found and ticks_diff(now, found[1]) < _MAX_AGE_MS else None

    def next_timer(self):
        """The tick at which an earlier answer has to do, or None."""
        return self._until if self._query else None

    def give_up(self):
        """Ends the question, if one is asked."""
        if self._query:
            query, self._query = self._query, None
            query.finish("given up")
