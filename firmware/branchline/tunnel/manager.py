"""Keeps every tunnel of the gateway at work: starts, times and stops them."""

from micropython import const

from branchline.tunnel.tunnel import UP, Tunnel
from branchline.wire.errors import StateError
from branchline.wire.ticks import earliest

# Each has its session, keys and buffers: memory ends before this does.
MAX_TUNNELS = const(64)


class Manager:
    """engines: a list of tunnel.engine engines; on_event(tunnel, kind, detail) is told of every
    change; works(tunnel): whether a tunnel that is up is of use, for who knows better."""

    def __init__(self, engines, system, on_event=None, works=None):
        if len(engines) > MAX_TUNNELS:
            raise StateError("more than " + str(MAX_TUNNELS) + " tunnels")
        self._works = works
        self._on_event = on_event
        self.tunnels = [
            Tunnel(engine, system, lambda name=engine.name: self.others_work(name))
            for engine in engines
        ]

    def start(self, now):
        """Starts all tunnels at once."""
        for tunnel in self.tunnels:
            tunnel.start(now)
        self._drain()

    def handle_timer(self, now):
        """Time has passed; whether there was any event."""
        for tunnel in self.tunnels:
            tunnel.handle_timer(now)
        return self._drain()

    def next_timer(self):
        """The tick of the earliest deadline, or None."""
        return earliest(*[tunnel.next_timer() for tunnel in self.tunnels])

    def _drain(self):
        found = False
        for tunnel in self.tunnels:
            while event := tunnel.next_event():
                found = True
                if self._on_event:
                    self._on_event(tunnel, *event)
        return found

    def find(self, name):
        """The tunnel of that name, or None."""
        for tunnel in self.tunnels:
            if tunnel.name == name:
                return tunnel
        return None

    def has_work(self):
        """Whether packets wait in some tunnel's device that ought to be sent."""
        return any(tunnel.engine.has_work() for tunnel in self.tunnels)

    def sent(self):
        """The octets that the present sessions have sent."""
        counts = [tunnel.engine.traffic() for tunnel in self.tunnels]
        return sum([count[0] for count in counts if count])

    def others_work(self, name):
        """Whether a tunnel other than that one is up and of use."""
        works = self._works
        return any(
            tunnel.name != name and tunnel.state == UP and (works is None or works(tunnel))
            for tunnel in self.tunnels
        )

    def finished(self):
        """True when no tunnel will be tried again."""
        return all(tunnel.finished for tunnel in self.tunnels)

    def stop(self, now):
        """Stops all tunnels; each takes its device and routes away."""
        for tunnel in self.tunnels:
            tunnel.stop(now)
        self._drain()
