"""Babel's own seqno over a restart: who comes back with an older one is routed around, or not at
all, until requests have raised it (RFC 8966 3.5.1).

A block of seqnos is reserved ahead, so that flash is written once in many raises; the next run
begins behind the block. Where nothing was kept the clock has to do.
"""

from micropython import const

from branchline.babel.source import newer

_FILE = "seqno"
_BLOCK = const(16)
_LOW = const(8)  # when so many are left, the next ones are reserved
# The clock's seqnos rise by one in 1024 s, so that they are no more than half of their circle
# ahead after a year.
_SHIFT = const(10)


class Seqnos:
    """records: app.records.Records or None; unix_time: of the start. `first` is the seqno to
    begin with."""

    def __init__(self, records, unix_time):
        self._records = records
        clock = unix_time >> _SHIFT & 0xFFFF
        self._reserved = kept = _parsed(records and records.read(_FILE))
        self.first = clock if kept is None or newer(clock, kept) else kept + 1 & 0xFFFF
        self._last = self.first

    def keep(self, seqno):
        """Reserves what the present seqno may be raised to; to be told once a second. Writing
        may take its time, so not in the second of a raise: then traffic is being moved."""
        last, self._last = self._last, seqno
        if seqno == last and not self._has(seqno + _LOW):
            self._write(seqno + _BLOCK)

    def stop(self, seqno):
        """The run ends as it should: the rest of the block is not needed."""
        if self._reserved != seqno:
            self._write(seqno)

    def _has(self, seqno):
        return self._reserved is not None and not newer(seqno & 0xFFFF, self._reserved)

    def _write(self, seqno):
        # One that could not be written is not tried again before the next block.
        self._reserved = seqno & 0xFFFF
        if self._records:
            self._records.write(_FILE, b"%d\n" % self._reserved)


def _parsed(data):
    """The seqno in the file, or None."""
    text = (data or b"").strip()
    if not text.isdigit() or len(text) > 5 or int(text) > 0xFFFF:
        return None
    return int(text)
