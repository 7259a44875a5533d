"""The socket, and the timers, by which a hub's agent speaks with the other hubs'."""

from micropython import const

from branchline.hub.arrivals import MAX_DATAGRAM, PORT, Arrivals
from branchline.wire.ip import format_address
from branchline.wire.ticks import earliest, ticks_add, ticks_diff

_RETRY_MS = const(1000)
# Datagrams read before others have their turn.
_BATCH = const(16)


class HubPeers:
    """address: our own; hubs: of (name, address); changed(now): is called when `arrivals.claims`
    are others."""

    def __init__(self, system, address, hubs, changed):
        now = system.ticks()
        self.arrivals = Arrivals(hubs, now)
        self._system = system
        self._address = address
        self._changed = changed
        self._socket = None
        self._due = now if hubs else None  # of the next attempt to open it
        self._warned = False
        self._buf = bytearray(MAX_DATAGRAM + 1)  # longer than what is right

    def next_timer(self):
        """The tick of the earliest deadline, or None."""
        return earliest(self._due, self.arrivals.next_timer())

    def handle_timer(self, now):
        """Time has passed; whether that may concern the other parts."""
        if self._due is not None and ticks_diff(now, self._due) >= 0:
            self._open(now)
        self.arrivals.handle_timer(now)
        self.send(now)
        if not self.arrivals.changed:
            return False
        self._changed(now)
        return True

    def _open(self, now):
        try:
            self._socket = self._system.open_hub_socket(self._address, PORT)
        except OSError as error:
            # The machine may have yet to take the address.
            if not self._warned:
                self._warned = True
                text = "%s: the other hubs are not told of arrivals" % error.args[-1]
                self._log("warning", text)
            self._due = ticks_add(now, _RETRY_MS)
            return
        self._system.poller.register(self._socket, self._read)
        self._due = None
        text = "%s port %d" % (format_address(self._address), PORT)
        self._log("info", "listens to the other hubs on " + text)

    def _read(self, readable, writable):
        now = self._system.ticks()
        for _ in range(_BATCH):
            datagram = self._socket.receive(self._buf)
            if datagram is None:
                break
            n, source = datagram
            self.arrivals.receive_datagram(source, self._buf, n, now)
        if self.arrivals.changed:
            self._changed(now)

    def tell(self, arrivals, now):
        """Tells the others of arrivals, as of hub.choice, at once."""
        self.arrivals.tell(arrivals, now)
        self.arrivals.handle_timer(now)
        self.send(now)

    def send(self, now):
        """Sends the datagrams that wait."""
        while n := self.arrivals.next_datagram(self._buf, now):
            if self._socket:
                self._socket.send(self._buf, n, self.arrivals.out_address)

    def close(self):
        """Is silent from here on."""
        if self._socket:
            self._system.poller.unregister(self._socket)
            self._socket.close()
            self._socket = None

    def status(self, now):
        """A list of JSON values: the other hubs."""
        counts = {}
        for claim in self.arrivals.claims.values():
            counts[claim.hub] = counts.get(claim.hub, 0) + 1
        return [
            {
                "name": hub.name,
                "address": format_address(hub.address),
                "heard_s": None if hub.heard is None else ticks_diff(now, hub.heard) // 1000,
                "arrivals": counts.get(hub.name, 0),
            }
            for hub in self.arrivals.hubs
        ]

    def _log(self, level, text):
        self._system.log(level, "hub", "arrivals", text)
