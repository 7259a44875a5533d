"""The status snapshot: a JSON file that is replaced whole, once a second."""

import json
import os

from micropython import const

from branchline.wire.ticks import ticks_add, ticks_diff

_PERIOD_MS = const(1000)


class StatusFile:
    """Writes {"name", "tunnels": [engine.status()], "routing": routing.status()} to path; the log
    is told when that begins to fail."""

    def __init__(self, path, name, engines, routing, log):
        self._path = path
        self._log = log
        self._failing = False
        self._name = name
        self._engines = engines
        self._routing = routing
        self._due = None

    def next_timer(self):
        """The tick at which it is written next; None before the first time."""
        return self._due

    def handle_timer(self, now):
        """Writes the file if it is time."""
        if self._due is not None and ticks_diff(now, self._due) < 0:
            return
        self._due = ticks_add(now, _PERIOD_MS)
        snapshot = {
            "name": self._name,
            "tunnels": [engine.status() for engine in self._engines],
        }
        if self._routing:
            snapshot["routing"] = self._routing.status()
        try:
            self._write(json.dumps(snapshot))
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
