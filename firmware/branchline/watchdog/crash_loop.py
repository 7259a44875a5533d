"""Recognises a crash loop, after which the gateway starts in safe mode.

The record is the times of the starts that ended in no clean stop within 10 minutes: a clean stop
clears it, and so do 10 minutes of running. Three such starts within 10 minutes make the next one
a safe one. In safe mode the same rules hold, so the start after it is a full one again.

The clock decides nothing alone. The age of a start is known only where both its time and the
present are those of a clock that was set, and the start is not in the future; a start of unknown
age counts as recent. So a clock that stepped back, or a board that begins in 1970 or 2000 each
time, hides no loop; and fakes none for ever, since running 10 minutes, which is measured by
uptime, clears the record. A clock that jumps ahead at every start would make all of them seem old:
six starts are a loop however old they seem. (A power cut looks like a crash.)
"""

import json

from micropython import const

WINDOW_S = const(600)
LIMIT = const(3)  # starts of recent or unknown age
LIMIT_OF_ANY_AGE = const(6)

_MAX_DATA = const(256)
_CLOCK_IS_SET = const(1577836800)  # 2020-01-01; no clock that runs from a default gets so far


class CrashLoop:
    """data: what data() returned in the run before (bytes), or None; garbage counts as None.

    Whenever a method says that the record has changed, data() is to be stored at once.
    """

    def __init__(self, data):
        self._starts = _parse(data)

    def starting(self, now_unix):
        """Records a start, which changes the record; returns whether it is to be a safe one.

        To be called before anything that may crash, but after the configuration is known to be
        right: a mistake in that is no crash.
        """
        starts = self._starts
        recent = [start for start in starts if not _is_old(start, now_unix)]
        safe = len(recent) >= LIMIT or len(starts) >= LIMIT_OF_ANY_AGE
        starts.append(now_unix)
        del starts[:-LIMIT_OF_ANY_AGE]
        return safe

    def alive(self, uptime_ms):
        """The gateway works, this long after its start; returns whether the record has changed."""
        return uptime_ms >= WINDOW_S * 1000 and self.stopped()

    def stopped(self):
        """The gateway stops in order; returns whether the record has changed."""
        changed = bool(self._starts)
        self._starts = []
        return changed

    def data(self):
        """The record (bytes)."""
        return json.dumps(self._starts).encode()

    @property
    def starts(self):
        """The number of starts in the record."""
        return len(self._starts)


def _is_old(start, now):
    return start >= _CLOCK_IS_SET and now - start > WINDOW_S


def _parse(data):
    starts = None
    if data and len(data) <= _MAX_DATA:
        try:
            starts = json.loads(data)
        except ValueError:
            pass
    if type(starts) is not list:
        return []
    return [start for start in starts if type(start) is int and start >= 0][-LIMIT_OF_ANY_AGE:]
