"""The journal: what was decided and why, in a bounded ring that survives a restart.

On flash it is a file of JSON lines, [unix time, subject, event, reason, count], to which lines are
added; a file of GENERATION octets becomes the older of two generations (hal.store.Store.append).

Flash wear is bounded by the number of writes, each of which is at most 4 KiB and so costs LittleFS
one or two erased blocks. Entries that come within 5 s are one write. Writes have a budget: 12 in a
row, then two a minute, so 2892 on the worst day. On 256 blocks (1 MiB) with wear levelling that is
at most 23 erases of each block a day; flash that bears 100 000 lasts 12 years of worst days. Only
restarts, which come with a fresh budget, add to that. A power cut loses what waits: at most the
last 5 s, or the last 30 s where the budget is spent.
"""

import json

from micropython import const

from branchline.wire.ticks import ticks_add, ticks_diff

LIMIT = const(200)  # entries in memory, each of at most some 400 octets
GENERATION = const(16384)  # octets of a file
MAX_REASON = const(120)  # characters
MAX_WORD = const(32)  # characters of subject and event

_BATCH = const(4096)  # octets of a write
_MAX_LINE = const(512)
_MAX_COUNT = const(1 << 30)
_MAX_TIME = const(1 << 40)
_PAUSE_MS = const(5000)
_REFILL_MS = const(30000)
_BURST = const(12)


class Entry:
    """count equal events in a row: when the first and the last was (unix time), what it concerns,
    what happened and why."""

    def __init__(self, unix_time, subject, event, reason, count, unsaved):
        self.first = self.last = unix_time
        self.subject = subject
        self.event = event
        self.reason = reason
        self.count = count
        self.unsaved = unsaved  # events of `count` that are not written yet

    def status(self):
        """A dict of JSON values."""
        return {
            "first": self.first,
            "last": self.last,
            "subject": self.subject,
            "event": self.event,
            "reason": self.reason,
            "count": self.count,
        }

    def says(self, subject, event, reason):
        """Whether it is of equal events."""
        return self.event == event and self.subject == subject and self.reason == reason


class Journal:
    """At start: load() the older generation, then the present one. Then, whenever time passes:

    data = journal.pending(now)
    if data: journal.written(store.append(name, data, GENERATION))

    and at a stop the same with `at_once`, until it returns b"" or cannot be written.

    `limit`: entries kept.
    Counters: `garbage` (lines that could not be read) and `lost` (entries that left the ring
    before they were written).
    """

    def __init__(self, now, limit=LIMIT):
        self._limit = limit
        self._entries = []
        self._seen = now
        self._last = None  # tick of the last write, None once it does not matter
        self._spent = None  # tick at which the budget is whole again, None if it is
        self._unsaved = 0  # entries
        self._taken = ()
        self._urgent = False
        self._torn = False
        self.garbage = self.lost = 0

    # ---- entries ----

    def note(self, unix_time, subject, event, reason="", urgent=False):
        """Adds an event; urgent: written without waiting for others."""
        subject = _clean(subject, MAX_WORD)
        event = _clean(event, MAX_WORD)
        reason = _clean(reason, MAX_REASON)
        self._add(unix_time, subject, event, reason, 1, True)
        if urgent:
            self._urgent = True

    def _add(self, unix_time, subject, event, reason, count, unsaved):
        entries = self._entries
        if entries and entries[-1].says(subject, event, reason):
            entry = entries[-1]
            entry.last = unix_time
            entry.count += count
        else:
            if len(entries) == self._limit:
                self._drop_oldest()
            entry = Entry(unix_time, subject, event, reason, count, 0)
            entries.append(entry)
        if unsaved:
            if not entry.unsaved:
                self._unsaved += 1
            entry.unsaved += count

    def _drop_oldest(self):
        oldest = self._entries.pop(0)
        if oldest.unsaved:
            oldest.unsaved = 0
            self._unsaved -= 1
            self.lost += 1

    def tail(self, n):
        """The last n entries, the latest last."""
        return self._entries[-n:] if n > 0 else []

    # ---- what is on flash ----

    @property
    def dirty(self):
        """Whether there is anything to write."""
        return self._unsaved > 0

    def load(self, data):
        """Takes in a file (bytes, or None): what cannot be read of it is counted and left out.

        Before the first note().
        """
        if not data:
            return
        start = 0
        while start < len(data):
            end = data.find(b"\n", start)
            if end < 0:
                end = len(data)
            if end > start:
                self._load_line(data[start : min(end, start + _MAX_LINE + 1)])
            start = end + 1
        self._torn = data[-1] != 0x0A

    def _load_line(self, line):
        try:
            self._add(*_parse(line), False)
        except ValueError:
            self.garbage += 1

    def next_timer(self):
        """The tick at which pending() has something to write, or None."""
        return self._due() if self._unsaved else None

    def pending(self, now, at_once=False):
        """Lines (bytes) to be appended to the file, no more than fit a batch, or b"" while none
        are due, which does not matter if `at_once`. written() must follow."""
        self._pass(now)
        if not self._unsaved or not (at_once or ticks_diff(now, self._due()) >= 0):
            return b""
        # What a torn line ends in must not spoil the first of ours.
        data = bytearray(b"\n" if self._torn else b"")
        self._taken = []
        # They are the latest ones.
        for i in range(len(self._entries) - self._unsaved, len(self._entries)):
            entry = self._entries[i]
            line = _line(entry)
            if len(data) + len(line) > _BATCH:
                break
            data.extend(line)
            self._taken.append((entry, entry.unsaved))
        return bytes(data)

    def written(self, done):
        """What pending() has returned is on flash, or (not done) could not be put there, at least
        not all of it, and is to be tried again later."""
        self._last = self._seen
        self._spent = ticks_add(self._seen if self._spent is None else self._spent, _REFILL_MS)
        self._torn = not done
        for entry, count in self._taken if done else ():
            if entry.unsaved:
                entry.unsaved -= count
                if not entry.unsaved:
                    self._unsaved -= 1
        self._taken = ()
        if not done or not self._unsaved:
            # A full disk gets no better for haste.
            self._urgent = False

    def _pass(self, now):
        """Forgets ticks before they are too old to be compared."""
        self._seen = now
        if self._last is not None and ticks_diff(now, self._last) >= _PAUSE_MS:
            self._last = None
        if self._spent is not None and ticks_diff(now, self._spent) >= 0:
            self._spent = None

    def _due(self):
        due = self._seen
        if self._last is not None and not self._urgent:
            due = ticks_add(self._last, _PAUSE_MS)
        if self._spent is not None:
            # A budget of _BURST that refills evenly: with less than one left, wait for that.
            refilled = ticks_add(self._spent, (1 - _BURST) * _REFILL_MS)
            if ticks_diff(refilled, due) > 0:
                due = refilled
        return due


def _clean(text, longest):
    """Printable ASCII of at most `longest` characters; what was cut ends in "..."."""
    if len(text) > longest:
        text = text[: longest - 3] + "..."
    for char in text:
        if not " " <= char <= "~":
            return "".join([char if " " <= char <= "~" else "?" for char in text])
    return text


def _line(entry):
    fields = [entry.last, entry.subject, entry.event, entry.reason, entry.unsaved]
    return json.dumps(fields).encode() + b"\n"


def _parse(line):
    """(unix time, subject, event, reason, count) of a line; ValueError if it is none."""
    # MicroPython's json takes a text whose end is missing.
    if len(line) > _MAX_LINE or line[:1] != b"[" or line[-1:] != b"]":
        raise ValueError("not a line")
    fields = json.loads(line)
    if len(fields) != 5 or [type(field) for field in fields] != [int, str, str, str, int]:
        raise ValueError("not an entry")
    unix_time, subject, event, reason, count = fields
    if not (0 <= unix_time < _MAX_TIME and 0 < count <= _MAX_COUNT):
        raise ValueError("no such number")
    return (
        unix_time, _clean(subject, MAX_WORD), _clean(event, MAX_WORD), _clean(reason, MAX_REASON),
        count,
    )  # fmt: skip
