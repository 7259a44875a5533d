"""Named event counters: every packet that is dropped is counted under the reason's own name."""


class Counters:
    """A fixed set of counters; a name outside it raises KeyError, so that none is misspelt."""

    def __init__(self, names):
        self._counts = {name: 0 for name in names}

    def bump(self, name):
        """Adds one (allocates nothing: the key exists and the count is a small integer)."""
        self._counts[name] += 1

    def __getitem__(self, name):
        return self._counts[name]

    def nonzero(self):
        """A dict of the counters that are not zero."""
        return {name: n for name, n in self._counts.items() if n}
