"""CPython's asyncio with our loop doing its waiting: as asyncio_micropython, by a selector."""

import asyncio
import math
import selectors

_IN = selectors.EVENT_READ
_OUT = selectors.EVENT_WRITE
# Ticks that are compared lie less than 6 days apart.
_LONGEST_MS = 3_600_000


class Waiter(selectors.BaseSelector):
    """loop: app.loop.Loop; ended() is called, once, when that is over."""

    def __init__(self, loop, ended):
        self._loop = loop
        self._ended = ended
        self._keys = {}
        self._ready = []

    def register(self, fileobj, events, data=None):
        fd = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        key = selectors.SelectorKey(fileobj, fd, events, data)
        if fd in self._keys:
            raise KeyError(fd)
        self._keys[fd] = key

        def handler(readable, writable):
            found = (_IN if readable else 0) | (_OUT if writable else 0)
            # Who waits to write learns of errors by writing.
            self._ready.append((key, (found & events) or events))
            self._loop.interrupt()

        self._loop.poller.register(_Descriptor(fd), handler)
        self._loop.poller.want(_Descriptor(fd), events & _IN, events & _OUT)
        return key

    def unregister(self, fileobj):
        key = self._keys.pop(fileobj if isinstance(fileobj, int) else fileobj.fileno())
        self._loop.poller.unregister(_Descriptor(key.fd))
        return key

    def select(self, timeout=None):
        """(key, events) pairs of what is ready; waits for the first at most `timeout` seconds."""
        if self._ended:
            wait = None
            if timeout is not None:
                wait = min(_LONGEST_MS, math.ceil(max(0, timeout) * 1000))
            self._loop.run(wait)
            if self._loop.is_over():
                ended, self._ended = self._ended, None
                ended()
        ready, self._ready = self._ready, []
        return ready

    def get_map(self):
        return self._keys

    def get_key(self, fileobj):
        return self._keys[fileobj if isinstance(fileobj, int) else fileobj.fileno()]

    def close(self):
        for key in list(self._keys.values()):
            self.unregister(key.fileobj)


class _Descriptor:
    """A bare file descriptor, as the poller wants it."""

    def __init__(self, fd):
        self._fd = fd

    def fileno(self):
        return self._fd


def run(main, loop):
    """Runs main(ended) to its end, where `ended` is an asyncio.Event that is set when the loop is
    over. Tasks that main leaves behind are cancelled."""
    ended = asyncio.Event()
    waiter = Waiter(loop, ended.set)
    own = asyncio.SelectorEventLoop(waiter)
    try:
        own.run_until_complete(main(ended))
    finally:
        waiter._ended = None  # nothing waits any more: what is left only ends
        tasks = asyncio.all_tasks(own)
        for task in tasks:
            task.cancel()
        if tasks:
            own.run_until_complete(asyncio.wait(tasks))
        own.close()


async def streams(sock):
    """(reader, writer) of a connected socket, which closes with the writer."""
    return await asyncio.open_connection(sock=sock)
