"""The API's connections under asyncio: how many, for how long, and what is told when one fails."""

import asyncio
import sys

from micropython import const

from branchline.web.api import make_app
from branchline.web.bounded import Bounded

if sys.implementation.name == "micropython":
    from branchline.hal import asyncio_micropython as bridge
else:
    from branchline.hal import asyncio_cpython as bridge

_MAX_CONNECTIONS = const(8)
_PATIENCE_S = const(5)  # for a request and its answer
_QUIET_S = const(30)
# So many connections are taken at a time, that packets have their turn.
_AT_ONCE = const(8)
# Clients that were turned away, whose connections are still open.
_MAX_LEAVING = const(8)
_BUSY = (
    b"HTTP/1.0 503 Busy\r\nContent-Type: application/json\r\nConnection: close\r\n"
    b"Content-Length: 55\r\n\r\n"
    b'{"error": "too many clients at once; try again in 5 s"}'
)


class Server:
    """listener: the listening socket; door: app.api_door.Door."""

    def __init__(self, system, listener, door):
        self._system = system
        self._poller = system.poller
        self._listener = listener
        self._door = door
        self._app = make_app(door.status, door.restart, self._failed)
        self._loop = None
        self._open = []
        self._leaving = []
        self._came = True
        self._warned = False

    def run(self, loop):
        """Serves until nobody has come for a while, or the loop is over. What the loop raises
        is passed on; every connection is closed in any case."""
        self._loop = loop
        poller = self._poller
        poller.register(self._listener, self._accept)
        try:
            bridge.run(self._main, loop)
        finally:
            poller.unregister(self._listener)
            for sock in self._open:
                poller.unregister(sock)
                sock.close()
            for sock in self._leaving:
                sock.close()

    async def _main(self, ended):
        while self._open or self._came:
            self._came = False
            try:
                await asyncio.wait_for(ended.wait(), _QUIET_S)
                return
            except asyncio.TimeoutError:  # noqa: UP041  (not the same on MicroPython)
                pass

    def _accept(self, readable, writable):
        for _ in range(_AT_ONCE):
            sock = self._system.accept(self._listener)
            if sock is None:
                break
            self._came = True
            if len(self._open) == _MAX_CONNECTIONS:
                self._turn_away(sock)
            else:
                self._open.append(sock)
                asyncio.create_task(self._serve(sock))  # noqa: RUF006
        self._loop.interrupt()

    def _turn_away(self, sock):
        """Says so. Closed at once, with a request that nobody has read, the connection would be
        reset, and the answer be lost."""
        self._door.count("too-many")
        try:
            sock.send(_BUSY)
        except OSError:
            pass
        self._leaving.append(sock)
        if len(self._leaving) > _MAX_LEAVING:
            self._leaving.pop(0).close()

    async def _serve(self, sock):
        writer = None
        try:
            reader, writer = await bridge.streams(sock)
            stream = Bounded(reader, writer, self._door.count)
            await asyncio.wait_for(self._app.handle_request(stream, stream), _PATIENCE_S)
        except asyncio.TimeoutError:  # noqa: UP041  (not the same on MicroPython)
            self._door.count("timeout")
        except OSError:
            self._door.count("gone")
        except Exception as error:
            self._failed(error)
        finally:
            self._open.remove(sock)
            if writer:
                writer.close()
            sock.close()

    def _failed(self, error):
        """An exception that a request has caused: a client's mistake, or ours."""
        if isinstance(error, (ValueError, IndexError)):
            # That is how microdot finds that it is no HTTP.
            self._door.count("bad-request")
            return
        self._door.count("no-memory" if isinstance(error, MemoryError) else "failed")
        if not self._warned:
            self._warned = True
            text = "%s: %s" % (type(error).__name__, error)
            self._door.log("error", text)
