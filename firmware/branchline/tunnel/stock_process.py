"""A stock `openvpn` process and the conversation with it, from nothing to its end.

The gateway listens and the process connects: it ends by itself when its end of the connection
closes, so whatever ends the gateway ends it, too. What was stopped meanwhile, and so did not
notice, is found by its arguments and ended before the next one starts.
"""

from micropython import const

from branchline.openvpn.management import NOTICE, Management, text_of
from branchline.wire.ticks import earliest, ticks_add, ticks_diff

# States.
_GONE = const(0)
_CLEARING = const(1)  # an earlier process has yet to end
_STARTED = const(2)  # it has yet to connect
_TALKING = const(3)
_SILENT = const(4)  # the connection is closed, and the process has yet to end

_LOOK_MS = const(50)
_FORCE_MS = const(1000)  # what does not end by then is ended by the kernel
_CLEAR_MS = const(5000)
_CONNECT_MS = const(10000)
_FIRST_WORD_MS = const(5000)
_LAST_WORDS_MS = const(3000)
_GRACE_MS = const(3000)  # explicit-exit-notify takes OpenVPN a second or two
_READ = const(4096)
_READS = const(8)  # for each wake-up, so that no process holds up the others
_ENOENT = const(2)


class StockProcess:
    """Runs `argv` with `config` on its standard input; `path`: the socket it connects to, which
    also tells it from other processes. `owner` is told by

        on_notice(word, text, now), on_reply(command, succeeded, lines, now)
        on_stray(now)                 a process of an earlier run was found, and is being ended
        on_failure(text, final, now)  it could not be started
        on_broken(text, now)          it talks nonsense or hangs; it was killed
        on_end(status, now)           it has ended by itself; status as of hal.linux.child.Child
    """

    def __init__(self, system, owner, argv, config, path):
        self._system = system
        self._owner = owner
        self._argv = argv
        self._config = config
        self._path = path
        self._state = _GONE
        self._since = None  # of _CLEARING
        self._due = None
        self._listener = self._stream = self._management = None
        self._child = self._leaving = None
        self._told = False
        self._buffer = None
        self.lines = []  # the last that the process wrote

    # ---- what the owner calls ----

    @property
    def is_gone(self):
        """Whether start() is the only thing to do with it."""
        return self._state == _GONE

    @property
    def pid(self):
        """The process's id, or None."""
        return self._child.pid if self._child else None

    @property
    def counters(self):
        """The conversation's Counters, or None."""
        return self._management.counters if self._management else None

    def start(self, now):
        """Starts the process as soon as every earlier one has ended."""
        self._since = now
        self._told = False
        self._set(_CLEARING)
        self._clear(now)

    def command(self, text, now, lines=False):
        """Gives a command; on_reply follows. Without a connection nothing happens."""
        if self._state == _TALKING:
            self._management.command(text, now, lines)
            self._flush(now)

    def is_quiet(self):
        """Whether no command waits for its answer."""
        return self._state == _TALKING and self._management.is_quiet()

    def end(self, now):
        """Has the process leave politely; returns at once, and its end is nobody's concern."""
        self._part()
        if self._leaving and self._leaving.status is None:
            self._leaving.end(now, _GRACE_MS)

    def kill(self):
        """Has the kernel end the process, whatever state it is in."""
        self._part()
        if self._leaving:
            self._leaving.kill()

    def read(self, now):
        """Reads what is there already; a gateway that slept has to, before it judges."""
        if self._state == _TALKING:
            self._on_stream(True, False, now)

    def next_timer(self):
        """The tick of the earliest deadline, or None."""
        return earliest(self._due, self._management.next_timer() if self._management else None)

    def handle_timer(self, now):
        """Time has passed."""
        if self._management:
            asked = self._management.next_timer()
            if asked is not None and ticks_diff(now, asked) >= 0:
                self.read(now)
        if self._management:
            self._management.handle_timer(now)
            self._check(now)
        if self._due is not None and ticks_diff(now, self._due) >= 0:
            self.read(now)  # the gateway may have slept
        if self._due is None or ticks_diff(now, self._due) < 0:
            return
        if self._state == _CLEARING:
            self._clear(now)
        elif self._state == _STARTED:
            self._break("it does not connect to the gateway", now)
        elif self._state == _TALKING:
            self._break("it says nothing", now)
        elif self._state == _SILENT:
            self._break("it does not end after its connection", now)

    # ---- before it talks ----

    def _clear(self, now):
        """Starts the process, or looks again later for earlier ones to end."""
        waited = ticks_diff(now, self._since)
        self._due = ticks_add(now, _LOOK_MS)
        if self._leaving and self._leaving.status is not None:
            self._leaving = None
        if self._leaving is None:
            strays = self._system.find_strays("--management", self._path)
            if not strays:
                self._spawn(now)
                return
            if not self._told:
                self._told = True
                self._owner.on_stray(now)
                self._end_strays(strays, False)
            elif waited >= _FORCE_MS:
                self._end_strays(strays, True)
        if waited >= _CLEAR_MS:
            self._set(_GONE)
            self._owner.on_failure("an earlier openvpn process does not end", False, now)

    def _end_strays(self, strays, force):
        for pid in strays:
            self._system.end_stray(pid, force)

    def _spawn(self, now):
        try:
            self._listener = self._system.listen_unix(self._path)
            self._system.poller.register(self._listener, self._on_connect)
            self._child = self._system.spawn(self._argv, self._config, self._on_exit)
        except OSError as error:
            self._part()
            text = str(error.args[-1])
            missing = error.args[0] == _ENOENT and text.startswith(self._argv[0])
            hint = " (install openvpn, or use the engine native)" if missing else ""
            self._owner.on_failure(text + hint, missing, now)
            return
        self._set(_STARTED)
        self._due = ticks_add(now, _CONNECT_MS)

    def _on_connect(self, readable, writable):
        stream = self._listener.accept()
        if stream is None:
            return
        self._close_listener()
        self._stream = stream
        self._management = Management()
        self._buffer = self._buffer or memoryview(bytearray(_READ))
        self._system.poller.register(stream, self._on_stream)
        self._set(_TALKING)
        self._due = ticks_add(self._system.ticks(), _FIRST_WORD_MS)

    # ---- the conversation ----

    def _on_stream(self, readable, writable, now=None):
        now = self._system.ticks() if now is None else now
        management = self._management
        try:
            for _ in range(_READS):
                if self._management is not management or management.broken:
                    break
                n = self._stream.readinto(self._buffer)
                if n is None:
                    break
                self._due = None
                management.receive(bytes(self._buffer[:n]))
                self._deliver(now)
        except OSError:
            self._hear_the_end(now)
        if self._state == _TALKING:
            self._flush(now)
            self._check(now)

    def _deliver(self, now):
        """Tells the owner, who may part with the process at any of the events."""
        management = self._management
        while management is self._management and (event := management.next_event()):
            kind, word, detail = event
            if kind == NOTICE:
                self._owner.on_notice(word, detail, now)
            else:
                self._owner.on_reply(word, detail[0], detail[1], now)

    def _flush(self, now):
        management = self._management
        try:
            while octets := management.next_octets():
                n = self._stream.write(octets, len(octets))
                if n is None:
                    break
                management.sent(n)
            self._system.poller.want_write(self._stream, bool(management.next_octets()))
        except OSError:
            self._hear_the_end(now)

    def _check(self, now):
        if self._state == _TALKING and self._management.broken:
            self._break(self._management.broken, now)

    def _hear_the_end(self, now):
        """The connection is at its end; the process's own should follow."""
        if self._state == _TALKING:
            self._close_stream()
            self._set(_SILENT)
            self._due = ticks_add(now, _LAST_WORDS_MS)

    # ---- its end ----

    def _on_exit(self, child):
        """The poller has heard of it; what the process said last may still lie in the stream."""
        now = self._system.ticks()
        self.read(now)
        if child is not self._child:  # a word in there made the owner part with it
            return
        self.lines = [text_of(line) for line in child.lines]
        self._part()
        self._owner.on_end(child.status, now)

    def _break(self, text, now):
        self.kill()
        self._owner.on_broken(text, now)

    def _part(self):
        """Lets go of the process and of the conversation."""
        if self._child:
            self._leaving, self._child = self._child, None
        self._close_listener()
        self._close_stream()
        self._due = None
        self._set(_GONE)

    def _close_listener(self):
        if self._listener:
            self._system.poller.unregister(self._listener)
            self._listener.close()
            self._listener = None

    def _close_stream(self):
        if self._stream:
            self._system.poller.unregister(self._stream)
            self._stream.close()
            self._stream = self._management = None

    def _set(self, state):
        self._state = state
