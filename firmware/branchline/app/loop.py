"""The loop that everything runs in: it waits, moves packets, and looks at the timers.

It runs by itself, or in turns of bounded length for somebody else's loop (hal/asyncio_*.py):
either way packets pass through nothing but the poller.
"""

from branchline.wire.ticks import earliest, ticks_add, ticks_diff


class Loop:
    """poller: hal's; ticks(): the present tick; parts: objects with `next_timer()` and
    `handle_timer(now)`, which returns True if it did what may concern the others; is_over():
    whether there is a reason to end, asked after each look at them.

    A part is looked at when its own deadline is due; all of them are when a handler of the poller
    or another part may have changed something.
    """

    def __init__(self, poller, ticks, parts, is_over):
        self.poller = poller
        self.ticks = ticks
        self.is_over = is_over
        self._parts = parts
        self._dues = []  # of each part
        self._interrupted = False

    def interrupt(self):
        """Has `run` return after this turn. Only for a handler of the poller that tells it that
        a deadline may have moved: after packets alone nobody looks."""
        self._interrupted = True

    def run(self, for_ms=None):
        """Runs until it is over or interrupted, or for so many ms (0: one look at everything that
        is ready). What a handler raises is passed on; `run` may then be called again."""
        ticks = self.ticks
        wait = self.poller.wait
        end = None if for_ms is None else ticks_add(ticks(), for_ms)
        moved = True
        waited = again = False
        due = None
        while True:
            now = ticks()
            # A turn that only moved packets has moved no deadline; `end` is one, too.
            if moved or again or (due is not None and ticks_diff(now, due) >= 0):
                if waited and end is not None and ticks_diff(now, end) >= 0:
                    return
                again = self._look_at_all(now) if moved or again else self._look_at_due(now)
                if self.is_over():
                    return
                due = earliest(end, *self._dues)
            moved = wait(0 if again else None if due is None else max(0, ticks_diff(due, now)))
            waited = True
            if moved and self._interrupted:
                self._interrupted = False
                return

    def _look_at_all(self, now):
        """Whether that has to be done again."""
        again = False
        for part in self._parts:
            again = part.handle_timer(now) or again
        self._dues = [part.next_timer() for part in self._parts]
        return again

    def _look_at_due(self, now):
        """Looks at who is due; whether all have to be looked at after that."""
        dues = self._dues
        again = False
        for i in range(len(dues)):
            due = dues[i]
            if due is not None and ticks_diff(now, due) >= 0:
                part = self._parts[i]
                again = part.handle_timer(now) or again
                dues[i] = part.next_timer()
        return again
