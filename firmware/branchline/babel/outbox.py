"""What waits to be sent to one destination, bounded whatever the peers ask for."""

from micropython import const

from branchline.wire.ticks import earliest, ticks_add, ticks_diff

_MAX_TLVS = const(64)
# Between two walks over the whole table for one destination, however often they are asked for.
_DUMP_GAP_MS = const(300)
NO_DUMP = const(-1)


class Alarm:
    """The earliest tick at which any of several outboxes wants to be looked at, or None."""

    def __init__(self):
        self.due = None

    def lower(self, due):
        """Wants to be looked at by `due`."""
        self.due = earliest(self.due, due)


class Outbox:
    """Ready TLVs, prefixes whose update is wanted, and a walk over the whole table.

    An update is written from the routes as they are when the packet is, so what waits is only
    the prefix's row and how often it is still to be sent. `due` is the tick for TLVs and
    updates, `dump_due` that for the walk; `dump` is the row that it has come to.
    """

    def __init__(self, alarm):
        self._alarm = alarm
        self.tlvs = []
        self.updates = {}
        self.due = None
        self.dump = NO_DUMP
        self.dump_due = None
        self._dumped = None

    def add(self, tlv, due):
        """Queues a TLV to go by `due`; False when there are too many already."""
        if tlv not in self.tlvs:
            if len(self.tlvs) >= _MAX_TLVS:
                return False
            self.tlvs.append(tlv)
        self.hasten(due)
        return True

    def want_update(self, prefix, times, due):
        """Wants the update of a prefix row sent `times` times, first by `due`."""
        if self.updates.get(prefix, 0) < times:
            self.updates[prefix] = times
        self.hasten(due)

    def want_dump(self, now):
        """Wants all routes sent, now or a little after the last time that they were."""
        if self.dump == NO_DUMP:
            due = now
            if self._dumped is not None:
                after = ticks_add(self._dumped, _DUMP_GAP_MS)
                if 0 < ticks_diff(after, now) <= _DUMP_GAP_MS:
                    due = after
            self.dump = 0
            self.dump_due = due
            self._alarm.lower(due)

    def end_dump(self, now):
        """The walk is over."""
        self.dump = NO_DUMP
        self.dump_due = None
        self._dumped = now

    def hasten(self, due):
        """Has what waits sent by `due`."""
        self.due = earliest(self.due, due)
        self._alarm.lower(due)

    def rearm(self):
        """Tells the alarm again of what waits."""
        self._alarm.lower(self.due)
        self._alarm.lower(self.dump_due)

    def is_due(self, now):
        """Whether a packet should be written now."""
        return _passed(self.due, now) or _passed(self.dump_due, now)

    def dumps(self, now):
        """Whether the walk over the table may go on now."""
        return self.dump != NO_DUMP and _passed(self.dump_due, now)


def _passed(due, now):
    return due is not None and ticks_diff(now, due) >= 0
