"""One tunnel: when its engine tries which remote, and what happens after a failure.

    DOWN      waits for the next attempt, or is stopped
    SETUP     the engine gets ready, a name is resolved, an attempt is under way
    UP        packets are carried
    TEARDOWN  the engine takes a session back, as somebody asked for another attempt

`_set` alone changes the state. Tunnels know nothing of each other, so none waits for another.
"""

from micropython import const

from branchline.tunnel import engine as e
from branchline.tunnel.contention import Contention
from branchline.tunnel.names import Names
from branchline.tunnel.remotes import Remotes
from branchline.wire.ip import format_address
from branchline.wire.ticks import earliest, ticks_add, ticks_diff

DOWN = const(0)
SETUP = const(1)
UP = const(2)
TEARDOWN = const(3)
STATE_NAMES = ("down", "setup", "up", "teardown")

# Events: (kind, detail).
TUNNEL_UP = const(1)  # detail: engine.Link
TUNNEL_DOWN = const(2)  # detail: (reason, text)
TUNNEL_FINISHED = const(3)  # there will be no other attempt; detail: (reason, text)

_RESOLVE_MS = const(5000)
# How long a server may take to answer at all: where there is another one to try, not the two
# minutes of server-poll-timeout's default.
_PATIENCE_MS = const(10_000)
_ONLY_PATIENCE_MS = const(60_000)
_TEARDOWN_MS = const(4000)
_REOPEN_MS = const(5000)
# Refused credentials are offered again so seldom that no account is locked.
_SELDOM_S = const(300)
# By TCP where UDP was blocked: when to see whether UDP works again.
_RETURN_MS = const(300_000)
_MAX_RETURN_MS = const(3_600_000)
_LISTEN_MS = const(1000)
# Ends of a session after which nobody has spoken.
_SILENT = ("ping-restart", "transport", "watchdog")


class Tunnel:
    """engine: of tunnel.engine; system: app's; others_work(): whether another tunnel works, so
    that this one may be away for a moment."""

    def __init__(self, engine, system, others_work=lambda: False):
        self.name = engine.name
        self.engine = engine
        self.state = DOWN
        self.link = None
        self.attempts = 0
        self.finished = False
        self._system = system
        self._others_work = others_work
        self._names = Names(system.resolve)
        self._remotes = None
        self._contention = Contention()
        self._received = self._listened = 0
        self._due = None
        self._asking_since = None
        self._return_due = None
        self._return_ms = _RETURN_MS
        self._tried = self._connecting_since = 0
        self._away = 0  # ms to keep from a fight for one certificate
        self._events = []

    # ---- what the manager and the watchdog call ----

    def start(self, now):
        """Begins the first attempt."""
        self.finished = False
        self._set(SETUP)
        self.engine.open(now)
        self._drain(now)

    def stop(self, now):
        """Leaves: tells the server, takes device, addresses and routes away."""
        self.engine.close(now)
        self._names.give_up()
        self._due = self._return_due = self.link = None
        self._set(DOWN)

    def restart(self, reason, now, next_remote=False, silent=False):
        """Ends the session or the wait and tries again at once; next_remote: not the same one;
        silent: as the server is not heard any more."""
        if self.finished or self._remotes is None:
            self._restart_engine(reason, now)
            return
        if self.state == TEARDOWN:
            return
        self._remotes.again()
        if next_remote:
            self._remotes.failed()
        self._log("warning", "restart", reason)
        if self.state == DOWN:
            self._set(SETUP)
            self._attempt(now)
        elif self._names.asking:
            self._names.give_up()
            self._attempt(now)
        else:
            self._leave("watchdog" if silent else "restart", now, reason)
            self.engine.disconnect(now)
            self._drain(now)

    def restart_engine(self, reason, now):
        """Takes the engine down, its process too, and begins anew."""
        self._log("warning", "restart", "engine: " + reason)
        self._restart_engine(reason, now)

    def replace_engine(self, engine, now):
        """Goes on with another engine of the same name, as its profile has changed."""
        self._leave("restart", now, "another profile")
        self.engine.close(now)
        self._names.give_up()
        self._due = self._return_due = self._remotes = None
        self.engine = engine
        self.start(now)

    def rebind(self, now):
        """Goes on from a fresh socket with the same session; whether that could be done."""
        return self.state == UP and self.engine.rebind(now)

    def handle_timer(self, now):
        """Time has passed."""
        if self.state == UP and ticks_diff(now, self._listened) >= _LISTEN_MS:
            self._listen(now)
        self.engine.handle_timer(now)
        self._drain(now)
        if self._names.asking:
            self._look(now)
        if self._due is not None and ticks_diff(now, self._due) >= 0:
            self._due = None
            if self.state == TEARDOWN:
                self._restart_engine("it does not stop", now)
            elif self._remotes is None:
                self.start(now)
            elif self.state == DOWN:
                self._set(SETUP)
                self._attempt(now)
        if self._return_due is not None and ticks_diff(now, self._return_due) >= 0:
            self._return(now)

    def next_timer(self):
        """The tick of the earliest deadline, or None."""
        return earliest(
            self._due, self._return_due, self._names.next_timer(), self.engine.next_timer()
        )

    def next_event(self):
        """The next (kind, detail), or None."""
        return self._events.pop(0) if self._events else None

    @property
    def server_address(self):
        """The octets of the server's address, or None while it is not known."""
        return self._remotes.address() if self._remotes else None

    @property
    def has_other_remote(self):
        """Whether another remote or address could be tried."""
        return self._remotes is not None and self._remotes.has_others()

    @property
    def remote_text(self):
        """Where it goes, such as "192.0.2.1:1194/udp"; None before the remotes are known."""
        if self._remotes is None:
            return None
        remote = self._remotes.current()
        address = self._remotes.address()
        where = format_address(address) if address else remote.host
        if ":" in where:
            where = "[" + where + "]"
        return "%s:%d/%s" % (where, remote.port, "tcp" if remote.is_tcp() else "udp")

    def status(self):
        """A dict of JSON values."""
        status = self.engine.status()
        suspected = self._contention.is_suspected(self._system.ticks())
        status["name"] = self.name
        status["state"] = STATE_NAMES[self.state]
        status["engine"] = self.engine.kind
        status["remote"] = self.remote_text
        status["attempts"] = self.attempts
        status["problem"] = "another client uses this certificate" if suspected else None
        return status

    # ---- the engine's events ----

    def _drain(self, now):
        while event := self.engine.next_event():
            kind, detail = event
            if kind == e.READY:
                if self._remotes is None:
                    self._remotes = Remotes(detail, self.engine.retry, self._system.random)
                self._attempt(now)
            elif kind == e.UP:
                # In TEARDOWN it comes too late: the engine has been told to end it.
                if self.state == SETUP:
                    self._came_up(detail, now)
            elif kind == e.DOWN:
                self._went_down(detail[0], detail[1], now)
            elif kind == e.FATAL:
                self._finish(detail[0], detail[1], now)
            elif kind == e.ANSWER:
                self._answered(detail, now)
            else:
                self._log(detail[0], detail[1], detail[2])

    def _came_up(self, link, now):
        self._due = None
        self._remotes.succeeded()
        self._contention.came_up(self._tried, ticks_diff(now, self._connecting_since), now)
        self._tried = 0
        self._listen(now)
        self.link = link
        self._set(UP)
        self._log("info", "up", link.text)
        self._events.append((TUNNEL_UP, link))
        self._return_due = None
        if self._remotes.better() is None:
            self._return_ms = _RETURN_MS
        else:
            self._return_due = ticks_add(now, self._return_ms)

    def _listen(self, now):
        """Looks whether the server was heard since the last time."""
        self._listened = now
        traffic = self.engine.traffic()
        if traffic and traffic[1] != self._received:
            self._received = traffic[1]
            self._contention.heard(now)

    def _went_down(self, reason, text, now):
        """The attempt or the session is over: decide what comes next."""
        if self.state == TEARDOWN:
            self._due = None
            self._set(SETUP)
            self._attempt(now)
            return
        if self._remotes is None:
            # The engine did not even get ready.
            self._wait(reason, text, _REOPEN_MS, now)
            return
        if reason == e.AUTH_FAILED:
            self._refused(text, now)
        elif reason == e.TOKEN_EXPIRED:
            self._wait(e.AUTH_FAILED, text, 1000, now)
        elif reason == e.SERVER_RESTART and self.state == UP:
            if text.startswith("[") and "N" in text.partition("]")[0]:
                # The server asks for the next remote.
                self._remotes.again()
                self._remotes.failed()
            self._wait(reason, text, self._remotes.wait_ms(), now)
        else:
            self._failed(reason, text, now)

    def _failed(self, reason, text, now):
        """Wait, then the same remote if it worked before, else the next."""
        if self.state == UP:
            self._remotes.again()
        elif not self._remotes.failed():
            self._finish("connect-retry-max", text, now)
            return
        self._wait(reason, text, self._remotes.wait_ms(), now)

    def _refused(self, text, now):
        """OpenVPN manual, --auth-retry. A gateway has nobody to ask for another password."""
        retry = self.engine.retry
        seldom = (retry.max_s or _SELDOM_S) * 1000
        soon = retry.auth_nointeract or text.startswith("TEMP")
        self._wait(e.AUTH_FAILED, text, self._remotes.wait_ms() if soon else seldom, now)

    def _wait(self, reason, text, ms, now):
        self._leave(reason, now, text)
        away = self._stay_away(now)
        self._due = ticks_add(now, max(ms, away))
        self._set(DOWN)
        wait = "next attempt in %g s" % (max(ms, away) // 100 / 10)
        self._log("warning", "down", "%s: %s (%s)" % (reason, text, wait))

    def _stay_away(self, now):
        """How long to keep from a fight for one certificate, in ms."""
        away, self._away = self._away, 0
        if away:
            text = (
                "another client with this certificate seems to take the session over each time:"
                " give each board a certificate of its own"
            )
            self._log("error", "duplicate", text)
        return away

    def _leave(self, reason, now, text=""):
        """The session, if there is one, carries nothing any more."""
        if self.state == UP:
            silent = reason in _SILENT
            self._away = self._contention.ended(silent, now)
            self.link = self._return_due = None
            self._events.append((TUNNEL_DOWN, (reason, text)))
        if self.state in (SETUP, UP):
            self._set(TEARDOWN)
            self._due = ticks_add(now, _TEARDOWN_MS)

    def _finish(self, reason, text, now):
        self._leave(reason, now, text)
        self.engine.close(now)
        self._due = None
        self.finished = True
        self._set(DOWN)
        self._log("error", "finished", reason + ": " + text)
        self._events.append((TUNNEL_FINISHED, (reason, text)))

    def _restart_engine(self, reason, now):
        self._leave("restart", now, reason)
        self.engine.close(now)
        self._names.give_up()
        self._due = None
        self.start(now)

    # ---- an attempt ----

    def _attempt(self, now):
        away = self._stay_away(now)
        if away:
            self._due = ticks_add(now, away)
            self._set(DOWN)
            return
        self.attempts += 1
        self._tried += 1
        remotes = self._remotes
        if remotes.address() is not None:
            self._connect(now)
            return
        host, family = remotes.host(remotes.index)
        as_host = None
        if self.engine.random_host:
            as_host = self._system.random(6).hex() + "." + host
        self._names.ask(host, family, now, as_host)
        self._look(now)

    def _look(self, now):
        """Goes on once the name is resolved."""
        names = self._names
        addresses = names.answer(now)
        if addresses is None:
            return
        if addresses:
            self._asking_since = None
            if names.age_ms:
                text = "%s; the answer of %d s ago has to do" % (names.error, names.age_ms // 1000)
                self._log("warning", "resolve", text)
            self._remotes.resolved(addresses)
            self._connect(now)
        else:
            self._unresolved(self._remotes.current().host + ": " + names.error, now)

    def _unresolved(self, text, now):
        """OpenVPN manual, --resolv-retry: an only remote's name is asked for again for a while
        before that counts as a failure; among several the next one has its turn."""
        limit = self.engine.retry.resolv_s
        if self._asking_since is None:
            self._asking_since = now
        asked_ms = ticks_diff(now, self._asking_since)
        if not self._remotes.has_others() and (limit is None or asked_ms < limit * 1000):
            self._wait("resolve", text, _RESOLVE_MS, now)
        else:
            self._asking_since = None
            self._failed("resolve", text, now)

    def _connect(self, now):
        self._log("info", "connect", self.remote_text)
        self._connecting_since = now
        remotes = self._remotes
        poll_s = self.engine.retry.poll_s
        if poll_s is not None:
            patience = poll_s * 1000
        else:
            patience = _PATIENCE_MS if remotes.has_others() else _ONLY_PATIENCE_MS
        self.engine.patience_ms = patience
        self.engine.connect(remotes.index, remotes.address(), now)
        self._drain(now)

    # ---- back from TCP to UDP ----

    def _return(self, now):
        """It works by TCP; see whether UDP, which the profile prefers, works again."""
        self._return_due = None
        index = self._remotes.better()
        if index is None:
            return
        self._return_ms = min(2 * self._return_ms, _MAX_RETURN_MS)
        address = self._names.known(*self._remotes.host(index), now)
        if address and self.engine.check(index, address, now):
            return
        if address and self._others_work():
            # The engine cannot ask beside its session, but nobody waits for this tunnel.
            self._go_back(index, address, "tries UDP again", now)
        else:
            self._return_due = ticks_add(now, self._return_ms)

    def _answered(self, answer, now):
        index = self._remotes.better()
        if self.state != UP or index is None:
            return
        address = self._names.known(*self._remotes.host(index), now)
        if answer and address:
            self._go_back(index, address, "UDP works again", now)
        else:
            self._return_due = ticks_add(now, self._return_ms)

    def _go_back(self, index, address, reason, now):
        self._log("info", "restart", reason)
        self._leave("restart", now, reason)
        self._remotes.jump(index, address)
        self.engine.disconnect(now)
        self._drain(now)

    # ---- small things ----

    def _set(self, state):
        if state != self.state:
            self._log("debug", "state", STATE_NAMES[self.state] + " > " + STATE_NAMES[state])
            self.state = state

    def _log(self, level, event, text):
        self._system.log(level, self.name, event, text)
