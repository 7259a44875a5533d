"""What the gateway keeps over a restart: its journal, the starts that did not end well, Babel's
seqno, and what has to be put back after a crash; in the folder `state`."""

from micropython import const

from branchline.hal.store import Store
from branchline.watchdog.crash_loop import WINDOW_S, CrashLoop
from branchline.watchdog.journal import GENERATION, Journal
from branchline.wire.ticks import earliest, ticks_add, ticks_diff

_JOURNAL = "journal"
_STARTS = "starts"
_TAIL = const(50)
# On a small heap the journal is as short as what a page shows.
_FEW = const(40)


class Records:
    """folder: of the files; system: app.system.System; log: app.log.Log; small: whether the heap
    is. The first journal entries may be noted at once, before start()."""

    def __init__(self, folder, system, log, small=False):
        self._system = system
        self._log = log
        self._store = Store(folder)
        self._began = now = system.ticks()
        self._journal = Journal(now, _FEW) if small else Journal(now)
        for name in (_JOURNAL + ".old", _JOURNAL):
            self._journal.load(self._store.read(name, GENERATION) or b"")
        self._starts = CrashLoop(self._store.read(_STARTS) or b"")
        self._told = None
        self._alive_due = ticks_add(now, WINDOW_S * 1000)

    def starting(self):
        """Counts this start; whether it must be a safe one, after others that ended badly."""
        safe = self._starts.starting(self._system.unix_time())
        self._write_starts()
        return safe

    def _write_starts(self):
        self._store.write(_STARTS, self._starts.data())
        self._tell_problem()

    def note(self, subject, event, reason="", urgent=False):
        """Adds an event to the journal."""
        self._journal.note(self._system.unix_time(), subject, event, reason, urgent)

    def tail(self):
        """The last events, as JSON values."""
        return [entry.status() for entry in self._journal.tail(_TAIL)]

    def read(self, name):
        """A small file's octets, or None."""
        return self._store.read(name)

    def write(self, name, data):
        """Writes a small file; whether that worked."""
        done = self._store.write(name, data)
        self._tell_problem()
        return done

    def next_timer(self):
        """The tick of the next write, or None."""
        return earliest(self._alive_due, self._journal.next_timer())

    def handle_timer(self, now):
        """Time has passed."""
        if self._alive_due is not None and ticks_diff(now, self._alive_due) >= 0:
            self._alive_due = None
            if self._starts.alive(ticks_diff(now, self._began)):
                self._write_starts()
        data = self._journal.pending(now)
        if data:
            self._save(data)

    def _save(self, data):
        done = self._store.append(_JOURNAL, data, GENERATION)
        self._journal.written(done)
        self._tell_problem()
        return done

    def _tell_problem(self):
        problem = self._store.problem
        if problem and problem != self._told:
            self._log("warning", "gateway", "state", problem)
        self._told = problem

    def flush(self):
        """Writes all that waits."""
        while data := self._journal.pending(self._system.ticks(), True):
            if not self._save(data):
                break

    def stop(self):
        """The gateway ends as it should."""
        if self._starts.stopped():
            self._write_starts()
        self.flush()
