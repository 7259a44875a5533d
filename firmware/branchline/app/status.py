"""The status snapshot: a JSON file that is replaced whole, once a second."""

import json
import os

from micropython import const

from branchline.wire.ticks import ticks_add, ticks_diff

_PERIOD_MS = const(1000)


class StatusFile:
    """Writes {"name", "tunnels": [engine.status()], "routing": routing.status()} to path."""

    def __init__(self, path, name, engines, routing=None):
        self._path = path
        self._name = name
        self._engines = engines
        self._routing = routing
        self._due = None

    def next_timer(self):
        """The tick at which it is written next; None before the first time."""
        return self._due

    def handle_timer(self, now):
        """Writes the file if it is time. Raises OSError if it cannot."""
        if self._due is not None and ticks_diff(now, self._due) < 0:
            return
        self._due = ticks_add(now, _PERIOD_MS)
        snapshot = {
            "name": self._name,
            "tunnels": [engine.status() for engine in self._engines],
        }
        if self._routing:
            snapshot["routing"] = self._routing.status()
        temporary = self._path + ".new"
        with open(temporary, "w") as file:
            file.write(json.dumps(snapshot))
        os.rename(temporary, self._path)
