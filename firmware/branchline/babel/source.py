"""The source table: feasibility distances, on which loop-freedom rests (RFC 8966 3.2.5, 3.5.1)."""

from micropython import const

from branchline.babel.records import NONE, Rows
from branchline.wire.ticks import ticks_add, ticks_diff

# How long a distance outlives its last announcement (appendix B).
SOURCE_GC_MS = const(180_000)


def newer(a, b):
    """Whether seqno a is newer than b, modulo 2^16 (3.2.1)."""
    return 0 < (a - b) & 0xFFFF < 0x8000


def better(seqno, metric, than_seqno, than_metric):
    """Whether the distance (seqno, metric) is strictly better than the other (3.5.1)."""
    return newer(seqno, than_seqno) or (seqno == than_seqno and metric < than_metric)


class Sources(Rows):
    """Rows of (router-id, seqno, metric), chained from the prefix rows' column `source`."""

    def __init__(self, prefixes, limit, code):
        super().__init__(
            limit, {"router_id": "O", "seqno": "H", "metric": "H", "expires": "I", "link": code}
        )
        self._prefixes = prefixes

    def find(self, prefix, router_id):
        """The row of the source (prefix row, router-id), or NONE."""
        row = self._prefixes.source[prefix]
        while row != NONE and self.router_id[row] != router_id:
            row = self.link[row]
        return row

    def is_feasible(self, prefix, router_id, seqno, metric):
        """Whether a route with this distance (metric finite) can be used without a loop."""
        row = self.find(prefix, router_id)
        return row == NONE or better(seqno, metric, self.seqno[row], self.metric[row])

    def announced(self, prefix, router_id, seqno, metric, now):
        """To be called before an update is sent (3.7.3); False if the table is full.

        The update must then not be sent: nothing would keep us from believing its echo.
        """
        row = self.find(prefix, router_id)
        if row == NONE:
            row = self.add()
            if row == NONE:
                return False
            self.router_id[row] = router_id
            self.seqno[row] = seqno
            self.metric[row] = metric
            self.link[row] = self._prefixes.source[prefix]
            self._prefixes.source[prefix] = row
        elif better(seqno, metric, self.seqno[row], self.metric[row]):
            self.seqno[row] = seqno
            self.metric[row] = metric
        self.expires[row] = ticks_add(now, SOURCE_GC_MS)
        return True

    def expire(self, prefix, now):
        """Drops the sources of a prefix that were not announced for long."""
        last = NONE
        row = self._prefixes.source[prefix]
        while row != NONE:
            after = self.link[row]
            if ticks_diff(now, self.expires[row]) < 0:
                last = row
            else:
                if last == NONE:
                    self._prefixes.source[prefix] = after
                else:
                    self.link[last] = after
                self.drop(row)
            row = after
