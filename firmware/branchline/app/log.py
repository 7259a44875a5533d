"""Log lines: time, level, tunnel, event, reason."""

import sys
import time

# MicroPython writes at once, and its flush is an fsync, for which packets would have to wait.
_BUFFERED = sys.implementation.name == "cpython"
LEVELS = ("debug", "info", "warning", "error")


class Log:
    """Writes lines of at least `level` to standard output; those that it does not take are lost.

    A line is `HH:MM:SS.mmm level subject event text`; subject is a tunnel's name, or "gateway"
    for what concerns them all.
    """

    def __init__(self, level="info"):
        self._least = LEVELS.index(level)

    def __call__(self, level, subject, event, text=""):
        if LEVELS.index(level) < self._least:
            return
        nanoseconds = time.time_ns()
        hour, minute, second = time.localtime(nanoseconds // 1000000000)[3:6]
        line = "%02d:%02d:%02d.%03d %-7s %s %s %s\n" % (
            hour, minute, second, nanoseconds // 1000000 % 1000, level, subject, event, text,
        )  # fmt: skip
        try:
            sys.stdout.write(line)
            if _BUFFERED:
                sys.stdout.flush()
        except OSError:
            # The disk is full or the reader is gone: no reason to take tunnels down.
            pass
