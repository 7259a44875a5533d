"""The status snapshot: a JSON file that is replaced whole, once a second."""

import json
import os

from micropython import const

from branchline.wire.ticks import ticks_add, ticks_diff

_PERIOD_MS = const(1000)


class StatusFile:
    """Writes status() to path; the log is told when that begins to fail."""

    def __init__(self, path, status, log):
        self._path = path
        self._log = log
        self._failing = False
        self._status = status
        self._due = None

    def next_timer(self):
        """The tick at which it is written next; None before the first time."""
        return self._due

    def handle_timer(self, now):
        """Writes the file if it is time."""
        if self._due is not None and ticks_diff(now, self._due) < 0:
            return
        self._due = ticks_add(now, _PERIOD_MS)
        try:
            self._write(json.dumps(self._status()))
        except OSError as error:
            if not self._failing:
                text = "cannot write " + self._path + ": " + str(error)
                self._log("warning", "gateway", "status", text)
            self._failing = True
        else:
            self._failing = False

    def _write(self, text):
        temporary = self._path + ".new"
        with open(temporary, "w") as file:
            file.write(text)
        os.rename(temporary, self._path)
