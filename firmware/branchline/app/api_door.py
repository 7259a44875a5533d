"""Where the API is reached: a listening socket, which is all there is of it while nobody asks.

The first client has asyncio and microdot loaded; when nobody has come for a while their memory is
given back.
"""

import gc
import sys

from branchline.hal.linux.listener import Listener
from branchline.wire.counters import Counters
from branchline.wire.ip import format_address
from branchline.wire.overlay import Overlay

_BACKLOG = 8
# What loading and one request take, in words of this machine, and the tunnels still have room.
_LEAST_WORDS = 6144
_WORD = 8 if sys.maxsize > 1 << 32 else 4
_LOOPBACK = bytes(15) + b"\x01"
# What nobody else uses. asyncio itself stays: the interpreter holds on to it.
_MODULES = (
    "microdot",
    "branchline.web",
    "branchline.app.api_server",
    "branchline.hal.asyncio_micropython",
)
_REASONS = (
    "too-many",  # at once
    "no-memory",
    "timeout",
    "gone",  # before there was a request
    "long-line",
    "long-head",
    "bad-length",
    "bad-request",
    "failed",
)


class Door:
    """listen: (address octets, port); status() -> dict of JSON values; restart(name) -> whether
    there is such a tunnel. `counters` say what became of clients that got no answer."""

    def __init__(self, system, listen, status, restart):
        self.counters = Counters(_REASONS)
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
        address, port = self._listen
        if not _is_installed("microdot"):
            self._log("warning", "microdot is not installed (make compile): there is no API")
            return
        try:
            self._listener = Listener(address, port, _BACKLOG)
        except OSError as error:
            self._log("warning", str(error.args[-1]) + ": there is no API")
            return
        self._loop = loop
        self._system.poller.register(self._listener, self._knock)
        where = "%s port %d" % (format_address(address), port)
        self._log("info", "listens on " + where)
        if address[0] != 127 and address != _LOOPBACK:
            text = "whoever reaches %s may see the status and restart tunnels" % where
            self._log("warning", text)

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
        if not self._has_room():
            self._turn_away()
            return
        try:
            if sys.implementation.name == "micropython":
                with Overlay(_MODULES):
                    self._run_server()
            else:  # whose asyncio cannot be loaded twice, and which has memory
                self._run_server()
        finally:
            if self._listener:
                self._system.poller.unregister(self._listener)
                self._system.poller.register(self._listener, self._knock)
        gc.collect()

    def _run_server(self):
        from branchline.app.api_server import Server

        Server(self._system, self._listener, self.counters, self.status, self._restart).run(
            self._loop
        )

    def _has_room(self):
        if not hasattr(gc, "mem_free"):
            return True
        gc.collect()
        return gc.mem_free() >= _LEAST_WORDS * _WORD

    def _turn_away(self):
        sock = self._listener.accept()
        if sock:
            sock.close()
        self.counters.bump("no-memory")
        if not self._warned:
            self._warned = True
            self._log("warning", "the heap has no room for it: start with a larger -X heapsize")

    def status(self):
        """The gateway's, and what became of the API's own clients."""
        status = self._status()
        status["api"] = self.counters.nonzero()
        return status

    def _log(self, level, text):
        self._system.log(level, "gateway", "api", text)


def _is_installed(module):
    """Whether a module would be found; nothing is loaded. Only MicroPython needs the look."""
    if sys.implementation.name != "micropython":
        import importlib.util

        return importlib.util.find_spec(module) is not None
    import os

    for folder in sys.path:
        for suffix in (".mpy", ".py"):
            try:
                os.stat((folder + "/" if folder else "") + module + suffix)
                return True
            except OSError:
                pass
    return False
