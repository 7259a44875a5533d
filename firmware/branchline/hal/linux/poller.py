"""Waits for descriptors and calls their handlers; while waiting nothing is allocated."""

import select

_IN = select.POLLIN
_OUT = select.POLLOUT
# An error or a hang-up wakes the reader, whose read then tells what it was.
_READABLE = select.POLLIN | select.POLLERR | select.POLLHUP


class Poller:
    """A set of objects with `fileno()`, each with a handler.

    handler(readable, writable) is called with two bools. It may register and unregister any
    object, and must bear being called with nothing to read (its read then returns None). It
    returns True if nothing happened that brings a deadline forward or concerns another part.
    """

    def __init__(self):
        self._poll = select.poll()
        self._handlers = {}
        # CPython's poll has no iterator that reuses its storage.
        self._ready = getattr(self._poll, "ipoll", self._poll.poll)

    def register(self, obj, handler):
        """Calls handler from now on whenever obj is readable."""
        fd = obj.fileno()
        self._poll.register(fd, _IN)
        self._handlers[fd] = handler

    def want_write(self, obj, wanted):
        """Whether the handler of obj is also called when obj is writable."""
        self.want(obj, True, wanted)

    def want(self, obj, readable, writable):
        """Which of the two the handler of obj is called for; for errors it always is."""
        self._poll.modify(obj.fileno(), (_IN if readable else 0) | (_OUT if writable else 0))

    def unregister(self, obj):
        """Forgets obj, which must not have been closed yet; nothing happens if it is unknown."""
        fd = obj.fileno()
        if self._handlers.pop(fd, None) is not None:
            self._poll.unregister(fd)

    @staticmethod
    def is_readable(obj):
        """Whether obj has something to read at this moment."""
        poll = select.poll()
        poll.register(obj.fileno(), _IN)
        return bool(poll.poll(0))

    def wait(self, timeout_ms):
        """Calls the handlers of all that is ready; waits at most timeout_ms for the first (None:
        for ever). Returns whether any of them may have moved a deadline."""
        handlers = self._handlers
        moved = False
        for fd, events in self._ready(-1 if timeout_ms is None else timeout_ms):
            handler = handlers.get(fd)
            if handler is not None and not handler(events & _READABLE != 0, events & _OUT != 0):
                moved = True
        return moved
