"""MicroPython's asyncio with our loop doing its waiting.

asyncio waits in one place: the poller of its queue of descriptors. Ours takes that place. It runs
turns of the loop until asyncio's next timer is due or one of asyncio's own descriptors is ready,
and hands out these alone: packets pass it by.
"""

import asyncio
import select
from asyncio import core

from branchline.hal.poller import key_of

_IN = select.POLLIN
_OUT = select.POLLOUT
_LONG_S = 3600


class Waiter:
    """What asyncio's queue asks of select.poll. loop: app.loop.Loop; ended() is called, once,
    when that is over."""

    def __init__(self, loop, ended):
        self._loop = loop
        self._ended = ended
        self._wanted = {}  # key of the poller: (object, events)
        self._ready = []

    def register(self, obj, events):
        """Waits for obj to be readable (POLLIN) or writable (POLLOUT)."""
        key = key_of(obj)
        self._wanted[key] = obj, events

        def handler(readable, writable):
            obj, events = self._wanted[key]
            found = (_IN if readable else 0) | (_OUT if writable else 0)
            # Who waits to write learns of errors by writing.
            self._ready.append((obj, (found & events) or events))
            self._loop.interrupt()

        self._loop.poller.register(obj, handler)
        self._loop.poller.want(obj, events & _IN, events & _OUT)

    def modify(self, obj, events):
        """Waits for other events of obj."""
        self._wanted[key_of(obj)] = obj, events
        self._loop.poller.want(obj, events & _IN, events & _OUT)

    def unregister(self, obj):
        """Forgets obj."""
        self._wanted.pop(key_of(obj), None)
        self._loop.poller.unregister(obj)

    def ipoll(self, timeout_ms):
        """(object, events) pairs of what is ready; waits for the first at most so long (-1: for
        ever). What the loop raises is passed on."""
        if self._ended:
            self._loop.run(None if timeout_ms < 0 else timeout_ms)
            if self._loop.is_over():
                ended, self._ended = self._ended, None
                ended()
        ready, self._ready = self._ready, []
        return ready


def run(main, loop):
    """Runs main(ended) to its end, where `ended` is an asyncio.Event that is set when the loop is
    over. Tasks that main leaves behind are dropped."""
    asyncio.new_event_loop()
    ended = asyncio.Event()
    core._io_queue.poller = Waiter(loop, ended.set)
    asyncio.create_task(_stay())
    try:
        asyncio.run(main(ended))
    finally:
        # The interpreter keeps asyncio; asyncio must not keep what it has run.
        asyncio.new_event_loop()
        core.cur_task = None


async def _stay():
    """MicroPython's asyncio ends when all tasks wait for events that only tasks could set."""
    while True:
        await asyncio.sleep(_LONG_S)


async def streams(sock):
    """(reader, writer) of a connected socket; closing the socket is left to the caller."""
    stream = asyncio.StreamReader(sock)
    return stream, stream
