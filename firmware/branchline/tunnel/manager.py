"""Keeps every tunnel of the gateway at work: starts, times and stops the engines."""

from branchline.tunnel.engine import TUNNEL_FINISHED
from branchline.wire.ticks import earliest


class Manager:
    """engines: a list of tunnel.engine engines; on_event(engine, kind, detail) is told of every
    change of theirs."""

    def __init__(self, engines, on_event=None):
        self.engines = engines
        self._on_event = on_event
        self._finished = set()

    def start(self, now):
        """Starts all engines at once."""
        for engine in self.engines:
            engine.start(now)
        self._drain()

    def handle_timer(self, now):
        """Time has passed."""
        for engine in self.engines:
            engine.handle_timer(now)
        self._drain()

    def next_timer(self):
        """The tick of the earliest deadline, or None."""
        return earliest(*[engine.next_timer() for engine in self.engines])

    def _drain(self):
        for engine in self.engines:
            while event := engine.next_event():
                kind, detail = event
                if kind == TUNNEL_FINISHED:
                    self._finished.add(engine.name)
                if self._on_event:
                    self._on_event(engine, kind, detail)

    def finished(self):
        """True when no engine will try again."""
        return len(self._finished) == len(self.engines)

    def stop(self, now):
        """Stops all engines; each takes its device and routes away."""
        for engine in self.engines:
            engine.stop(now)
        self._drain()
