"""The connection to one OpenVPN server's management interface: made, lost and made again."""

from micropython import const

from branchline.wire.ticks import earliest, ticks_add, ticks_diff

_FIRST_MS = const(100)
_LONGEST_MS = const(2000)
_CONNECT_MS = const(5000)
_READ = const(4096)
_READS = const(16)  # for each wake-up, so that no server holds up the others
# ENOENT, ECONNREFUSED: nobody listens there, so no server runs.
_NOBODY = (2, 111)


class HubLink:
    """server: a hub.clients.Server; settings: of hub_settings.HubServer, with absolute path;
    changed(now): is called when the server has other clients; note(level, subject, event, text):
    is told when it is reached and lost."""

    def __init__(self, system, server, settings, changed, note):
        self.server = server
        self._system = system
        self._settings = settings
        self._changed = changed
        self._note = note
        self._stream = None
        self._connecting = False
        self._wait = _FIRST_MS
        self._due = system.ticks()  # of the next attempt, or the end of this one
        self._buffer = memoryview(bytearray(_READ))
        self._told = server.problem

    def next_timer(self):
        """The tick of the earliest deadline, or None."""
        return earliest(self._due, self.server.next_timer())

    def handle_timer(self, now):
        """Time has passed; whether that may concern the other parts."""
        if self._due is not None and ticks_diff(now, self._due) >= 0:
            if self._stream:
                self._lose("no connection in %d s" % (_CONNECT_MS // 1000), False, now)
            else:
                self._connect(now)
        self.server.handle_timer(now)
        return self._after(now)

    def _connect(self, now):
        settings = self._settings
        try:
            stream = self._system.connect_management(settings.path, settings.endpoint)
        except OSError as error:
            self._lose(str(error.args[-1]), error.args[0] in _NOBODY, now)
            return
        self._stream = stream
        self._system.poller.register(stream, self._on_stream)
        self._connecting = settings.path is None
        if self._connecting:
            self._system.poller.want_write(stream, True)
            self._due = ticks_add(now, _CONNECT_MS)
        else:
            self._begin(now)

    def _begin(self, now):
        self._connecting = False
        self._due = None
        self.server.connected(now)

    def _on_stream(self, readable, writable):
        now = self._system.ticks()
        stream = self._stream
        try:
            if self._connecting:
                if not stream.connected():
                    return
                self._begin(now)
            for _ in range(_READS):
                n = stream.readinto(self._buffer)
                if n is None or self.server.broken:
                    break
                self.server.receive(bytes(self._buffer[:n]), now)
        except OSError as error:
            self._lose(str(error.args[-1]), self._connecting and error.args[0] in _NOBODY, now)
        self._after(now)

    def _after(self, now):
        """Sends what waits, parts with who is broken, and tells the owner, if there is reason to:
        that is the result."""
        server = self.server
        self.flush(now)
        if server.broken:
            self._lose(server.broken, False, now)
        if server.is_connected:
            self._wait = _FIRST_MS
        if self._told != server.problem:
            self._told = server.problem
            if server.problem is None:
                self._note("info", server.name, "up", "%d clients" % len(server.sessions))
            else:
                self._note("warning", server.name, "down", server.problem)
        if not server.changed:
            return False
        self._changed(now)
        return True

    def flush(self, now):
        """Sends the commands that wait."""
        if self._stream and not self._connecting:
            try:
                self._flush()
            except OSError as error:
                self._lose(str(error.args[-1]), False, now)

    def _flush(self):
        server = self.server
        while octets := server.next_octets():
            n = self._stream.write(octets, len(octets))
            if n is None:
                break
            server.sent(n)
        self._system.poller.want_write(self._stream, bool(server.next_octets()))

    def _lose(self, problem, nobody, now):
        self._close()
        self.server.disconnected(problem, nobody, now)
        self._due = ticks_add(now, self._wait)
        self._wait = min(2 * self._wait, _LONGEST_MS)

    def _close(self):
        if self._stream:
            self._system.poller.unregister(self._stream)
            self._stream.close()
            self._stream = None
        self._connecting = False

    def close(self):
        """Lets go of the server, which goes on."""
        self._close()
        self._due = None
