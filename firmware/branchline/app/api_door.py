"""Where the API is reached: a listening socket, which is all there is of it while nobody asks.

The first client has asyncio, microdot and the rest loaded; when nobody has come for a while their
memory is given back.
"""

import gc
import sys

from micropython import const

from branchline.wire.overlay import Overlay

# What loading and one request take, in words of this machine, and the tunnels still have room.
_LEAST_WORDS = const(10240)
_NO_ROOM = (
    b"HTTP/1.0 503 No room\r\nContent-Type: application/json\r\n\r\n"
    b'{"error": "the heap has no room for the API: start with a larger -X heapsize"}'
)
# What nobody else uses. asyncio itself stays: the interpreter holds on to it.
_MODULES = (
    "microdot",
    "branchline.app.api_server",
    "branchline.hal.asyncio_micropython",
    "branchline.hal.linux.listener",
    "branchline.hal.lwip.listener",
    "branchline.web",
)


class Door:
    """listen: (address octets, port); status() -> dict of JSON values; restart(name): whether
    there is such a tunnel."""

    def __init__(self, system, listen, status, restart):
        self.counts = {}  # reason: number of clients that got no answer
        self._system = system
        self._listen = listen
        self._status = status
        self._restart = restart
        self._listener = None
        self._loop = None
        self._wanted = False
        self._warned = False

    def open(self, loop):
        """Listens; a client interrupts `loop`. What is in the way is a warning, no more."""
        with Overlay(("branchline.app.api_opening",) + _MODULES):
            from branchline.app.api_opening import open_listener

            self._listener = open_listener(self._system, *self._listen, self.log)
        if self._listener:
            self._loop = loop
            self._system.poller.register(self._listener, self._knock)

    def close(self):
        """Stops listening."""
        if self._listener:
            self._system.poller.unregister(self._listener)
            self._listener.close()
            self._listener = None

    def _knock(self, readable, writable):
        """Somebody waits: has the loop return, to go on within `serve`."""
        self._wanted = True
        self._loop.interrupt()

    def serve(self):
        """Serves those who have come, until nobody has for a while or the loop is over, which runs
        on in the meantime; returns at once if nobody waits. What the loop raises is passed on."""
        if not self._wanted:
            return
        self._wanted = False
        if not _has_room():
            self._turn_away()
            return
        poller = self._system.poller
        poller.unregister(self._listener)
        try:
            if sys.implementation.name == "micropython":
                with Overlay(_MODULES):
                    self._load().run(self._loop)
            else:  # whose asyncio cannot be loaded twice, and which has memory
                self._load().run(self._loop)
        finally:
            poller.register(self._listener, self._knock)
        gc.collect()

    def _load(self):
        from branchline.app.api_server import Server

        return Server(self._system, self._listener, self)

    def _turn_away(self):
        try:
            sock = self._listener.accept()[0]
        except OSError:
            return  # gone by itself
        sock.setblocking(False)
        # What is not read before the end takes the answer with it.
        for step in (lambda: sock.send(_NO_ROOM), lambda: sock.recv(1024)):
            try:
                step()
            except OSError:
                pass
        sock.close()
        self.count("no-memory")
        if not self._warned:
            self._warned = True
            text = "the heap has no room for an answer: start with a larger -X heapsize"
            self.log("warning", text)

    # ---- for the server ----

    def count(self, reason):
        """Notes that a client got no answer, for one of a few fixed reasons."""
        self.counts[reason] = self.counts.get(reason, 0) + 1

    def status(self):
        """The gateway's status, and what became of the API's own clients."""
        status = self._status()
        status["api"] = self.counts
        return status

    def restart(self, name):
        """Whether there is a tunnel of that name; it starts anew."""
        return self._restart(name)

    def log(self, level, text):
        """A line of the gateway's log."""
        self._system.log(level, "gateway", "api", text)


def _has_room():
    if not hasattr(gc, "mem_free"):
        return True
    gc.collect()
    return gc.mem_free() >= _LEAST_WORDS * (8 if sys.maxsize > 1 << 32 else 4)
