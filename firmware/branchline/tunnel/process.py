"""The engine `openvpn`: a stock client (2.6 or newer) that carries out attempts for the gateway.

The process waits in its management interface's hold, and then for the answer to >REMOTE, until
the gateway says where to connect; whatever ends an attempt brings it back to hold. It sets up
device, addresses and routes itself. Once it has ended, the next attempt starts it anew.

OpenVPN looks at an answer to >REMOTE once a second, or when another command comes after that
second: hence `_POKE_MS`, and no SKIP where MOD will do.
"""

from micropython import const

from branchline.tunnel.engine import DOWN, FATAL, NOTE, READY, UP
from branchline.tunnel.stock_attempt import Attempt
from branchline.tunnel.stock_process import StockProcess
from branchline.tunnel.stock_profile import INPUT, StockProfile, arguments
from branchline.tunnel.stock_reasons import find_mistake
from branchline.tunnel.stock_remotes import RemoteQuery, read_entries, remote_of, remote_text
from branchline.tunnel.stock_words import read_count
from branchline.wire.errors import StateError
from branchline.wire.ip import format_address
from branchline.wire.ticks import earliest, ticks_add, ticks_diff

# States.
_CLOSED = const(0)
_OPENING = const(1)
_IDLE = const(2)
_CONNECTING = const(3)
_UP = const(4)
_ENDING = const(5)
_STATE_NAMES = ("stopped", "starting", "waiting", "connecting", "up", "ending")

_POKE_MS = const(100)
_QUIET_MS = const(5000)  # then a silent process is asked whether it is still there
_OPEN_MS = const(30000)
_END_MS = const(3000)
_MAX_NOTES = const(64)
# States that a client reaches only with a server that answers.
_ANSWERED = ("AUTH", "GET_CONFIG", "AUTH_PENDING", "ASSIGN_IP", "ADD_ROUTES", "CONNECTED")


class ProcessEngine:
    """One tunnel. profile: (name, text in octets) of the .ovpn file; folder: what its paths are
    relative to; path: of the management socket, in a folder of its own; device: the device's name
    or None for the profile's; rank: the metric of its routes, 0 for OpenVPN's default."""

    kind = "openvpn"
    # It asks for the random label itself.
    random_host = False

    def __init__(
        self, name, profile, folder, path, system, device=None, rank=0, program="openvpn"
    ):
        self.name = name
        self._system = system
        self._profile_name = profile[0]
        stock = StockProfile(profile[1])
        self.retry = stock.retry
        self._dropped = stock.dropped
        self._has_blocks = stock.has_blocks
        self._label = system.random(6).hex() + "." if stock.random_hostname else ""
        argv = arguments(program, folder, path, stock, device, rank)
        self._process = StockProcess(system, self, argv, stock.config, path)
        self._state = _CLOSED
        self._events = []
        self._notes = 0  # of the events
        self._remotes = []  # (host, port, proto) as OpenVPN spells them, in the profile's order
        self._due = None  # the end of OPENING or ENDING
        self.patience_ms = 0  # how long a server may take to answer at all; 0: OpenVPN's own
        self._patience_due = None
        self._wanted = None  # (index, address) of the attempt
        self._last = None  # the one before, by the same process
        self.attempts = 0
        self._forget()

    def _forget(self):
        """The process is another one: nothing is known of it."""
        self._entries = None  # its own list of remotes; its order need not be the profile's
        self._asked = None  # the remote that it asks about
        self._is_held = False
        self._is_set_up = False
        self._poke_due = None
        self._clings = False
        self._heard = self._counted = None
        self._totals = (0, 0)  # octets sent and received
        self._attempt = Attempt()

    # ---- what the Tunnel calls ----

    def open(self, now):
        """Starts the process; READY or FATAL follows, or DOWN where it is worth another open()."""
        if self._state != _CLOSED:
            raise StateError("the engine is open")
        for directive, line, reason in self._dropped:
            self._note("info", "ignored", "line %d: %s: %s" % (line, directive, reason))
        self._set(_OPENING)
        self._start(now)

    def connect(self, index, address, now):
        """One attempt to a remote at an address (4 or 16 octets)."""
        if self._state != _IDLE or not 0 <= index < len(self._remotes):
            raise StateError("the engine is not ready, or there is no such remote")
        self.attempts += 1
        self._wanted = (index, address)
        self._attempt = Attempt(self._totals)
        self._patience_due = ticks_add(now, self.patience_ms) if self.patience_ms else None
        self._set(_CONNECTING)
        if self._clings and self._wanted != self._last:
            # OpenVPN would go to the address before, whatever it is told.
            self._process.kill()
        if self._process.is_gone:
            self._start(now)
        elif self._is_held:
            self._release(now)
        elif self._asked:
            self._answer(now)

    def disconnect(self, now):
        """Ends the attempt or the session; DOWN follows, unless there was none."""
        if self._state not in (_CONNECTING, _UP):
            return
        self._set(_ENDING)
        if self._asked or self._is_held or not self._entries:
            # Nothing is under way that a signal could end.
            self._over("stopped", "", False, now)
            return
        self._due = ticks_add(now, _END_MS)
        self._process.command("signal SIGUSR1", now)

    def rebind(self, now):
        """A stock client cannot change its socket within a session."""
        return False

    def close(self, now):
        """Has the process leave; the system reaps it, and open() waits for its end."""
        if self._state == _CLOSED:
            return
        self._process.end(now)
        self._forget()
        self._wanted = self._due = self._patience_due = None
        self._events = []
        self._notes = 0
        self._set(_CLOSED)

    def next_event(self):
        """The next (kind, detail) of tunnel.engine, or None."""
        if not self._events:
            return None
        event = self._events.pop(0)
        if event[0] == NOTE:
            self._notes -= 1
        return event

    def next_timer(self):
        """The tick of the earliest deadline, or None."""
        silent = None
        if self._heard is not None and self._state in (_OPENING, _CONNECTING, _UP):
            since = self._counted if self._state == _UP else self._heard
            silent = ticks_add(since, _QUIET_MS)
        return earliest(
            self._due, self._poke_due, self._patience_due, silent, self._process.next_timer()
        )

    def handle_timer(self, now):
        """Time has passed."""
        self._process.handle_timer(now)
        if self._poke_due is not None and ticks_diff(now, self._poke_due) >= 0:
            self._poke(now)
        if self._due is not None and ticks_diff(now, self._due) >= 0:
            self._due = None
            self._process.kill()
            self.on_broken("it does not do what it is told", now)
        if self._patience_due is not None and ticks_diff(now, self._patience_due) >= 0:
            self._patience_due = None
            if self._state == _CONNECTING and not self._asked and not self._is_held:
                self._attempt.give_up()
                self._process.command("signal SIGUSR1", now)
        if self._heard is not None:
            self._check_silence(now)

    def check(self, index, address, now):
        """A stock client has one session at a time."""
        return False

    def has_work(self):
        """The packets are the process's."""
        return False

    def traffic(self):
        """(octets sent, octets received) of the session, or None while there is none."""
        if self._state != _UP:
            return None
        return tuple([total - base for total, base in zip(self._totals, self._attempt.base)])

    def status(self):
        """A dict of JSON values."""
        up = self._state == _UP
        attempt = self._attempt
        sent, received = self.traffic() or (0, 0)
        counters = self._process.counters
        return {
            "name": self.name,
            "engine": "openvpn",
            "state": _STATE_NAMES[self._state],
            "pid": self._process.pid,
            "remote": self._remote_text(),
            "device": attempt.link.device if up else None,
            "address": self._address_text() if up else None,
            "cipher": attempt.cipher("cipher") if up else None,
            "tls": attempt.cipher("tls") if up else None,
            "rtt_ms": None,
            "tx_packets": None,
            "rx_packets": None,
            "tx_octets": sent,
            "rx_octets": received,
            "attempts": self.attempts,
            "counters": counters.nonzero() if counters else {},
        }

    # ---- what the process says ----

    def on_notice(self, word, text, now):
        """A line that came unasked."""
        self._heard = now
        if word == "BYTECOUNT":
            self._count(text, now)
        elif word == "LOG":
            level, message = self._attempt.log(text)
            self._note(level, "openvpn", message)
        elif word == "STATE":
            self._changed(text, now)
        elif word == "UPDOWN":
            self._attempt.updown(text)
        elif word == "HOLD":
            self._held(now)
        elif word == "REMOTE":
            self._ask(text, now)
        elif word == "PASSWORD":
            reason, hint = self._attempt.password(text)
            if reason:
                self._finish(reason, hint, now)
        elif word == "FATAL":
            self._attempt.fatal = text
        elif word in ("NEED-OK", "NEED-STR"):
            self._finish("options-error", "it asks for what nobody can answer", now)

    def on_reply(self, command, succeeded, lines, now):
        """The answer to a command."""
        self._heard = now
        if command == "remote-entry-get all":
            self._list(succeeded, lines, now)
        elif not succeeded and command.startswith(("remote ", "hold ", "state ")):
            self._process.kill()
            self.on_broken("it refuses " + command.split(" ")[0] + ": " + lines[0], now)

    def on_stray(self, now):
        """A process of an earlier run is in the way."""
        self._note("warning", "replaced", "an openvpn process of an earlier run is ended")

    def on_failure(self, text, final, now):
        """The process could not be started."""
        self._over("exited", text, final, now)

    def on_broken(self, text, now):
        """The process was killed, as it was of no use."""
        if self._state == _ENDING:
            self._over("stopped", "", False, now)
        else:
            self._over("management", text, False, now)

    def on_end(self, status, now):
        """The process has ended by itself."""
        if self._state == _ENDING:
            self._over("stopped", "", False, now)
            return
        if not self._is_set_up:
            # Later mistakes are about what a server pushed, or come as FATAL.
            mistake = find_mistake(self._process.lines)
            self._attempt.fatal = mistake.replace(INPUT, self._profile_name)
        self._over(*self._attempt.ended(status, self._process.lines), now)

    # ---- one attempt ----

    def _start(self, now):
        self._forget()
        self._due = ticks_add(now, _OPEN_MS)
        self._process.start(now)

    def _held(self, now):
        """In hold: right after its start, or as an attempt is over."""
        self._is_held = True
        self._asked = self._poke_due = None
        if not self._is_set_up:
            self._is_set_up = True
            for command in ("state on", "log on", "bytecount 1"):
                self._process.command(command, now)
            # Only behind this first hold does it know its remotes.
            self._release(now)
        elif self._state == _ENDING:
            self._over("stopped", "", False, now)
        elif self._state in (_CONNECTING, _UP):
            self._clings = self._state == _UP or bool(self._attempt.refusal)
            self._over(*self._attempt.restarted(), now)

    def _release(self, now):
        self._is_held = False
        self._process.command("hold release", now)

    def _ask(self, text, now):
        """It asks where to connect."""
        self._poke_due = None
        self._asked = tuple(text.split(","))
        if self._entries is None:
            self._process.command("remote-entry-get all", now, lines=True)
        elif self._state == _CONNECTING:
            self._answer(now)
        elif self._state == _ENDING:
            self._over("stopped", "", False, now)

    def _list(self, succeeded, lines, now):
        """The remotes: lines of index, host, port, protocol, "enabled" or "disabled"."""
        if not succeeded:
            self._finish("options-error", "this openvpn is too old: 2.6 is needed", now)
            return
        self._entries, usable = read_entries(lines)
        if self._state == _OPENING:
            if not usable:
                self._finish("options-error", "the profile has no usable remote", now)
                return
            self._remotes = usable
            self._due = None
            self._set(_IDLE)
            self._events.append((READY, [remote_of(entry, self._label) for entry in usable]))
        elif self._state == _CONNECTING:
            self._due = None
            self._answer(now)

    def _answer(self, now):
        """Names the address if it asks about the right remote, or has it go on to that."""
        attempt = self._attempt
        if attempt.query is None:
            index, address = self._wanted
            target = self._remotes[index]
            attempt.query = RemoteQuery(target, address, self._entries, self._has_blocks)
        command = attempt.query.answer(self._asked)
        self._asked = None
        if command is None:
            self._process.kill()
            self.on_broken("it does not offer the wanted remote", now)
            return
        self._last = self._wanted
        self._process.command(command, now)
        self._poke_due = ticks_add(now, _POKE_MS)

    def _poke(self, now):
        self._poke_due = ticks_add(now, _POKE_MS)
        if self._process.is_quiet():
            self._process.command("pid", now)

    def _changed(self, text, now):
        """A state."""
        self._poke_due = None
        name, outcome = self._attempt.state(text)
        if name in _ANSWERED:
            self._patience_due = None
        if name == "CONNECTED" and self._state == _CONNECTING:
            if outcome != "SUCCESS":
                self._note("warning", "device", "openvpn could not set up everything")
            self._come_up(now)

    def _come_up(self, now):
        device = self._attempt.news.device
        if not device:
            self._process.kill()
            self.on_broken("it does not say which device it uses", now)
            return
        try:
            self._system.loosen_rp_filter(device)
        except (OSError, ValueError) as error:
            self._note("warning", "device", str(error.args[-1]))
        self._attempt.link = self._attempt.news.link(self._wanted[1])
        self._counted = now
        self._set(_UP)
        self._attempt.link.text = "device=%s address=%s tls=%s mtu=%d" % (
            device,
            self._address_text() or "none",
            str(self._attempt.cipher("tls")).replace(" ", "/"),
            self._attempt.link.mtu,
        )
        self._events.append((UP, self._attempt.link))

    def _count(self, text, now):
        totals = read_count(text)
        if totals:
            self._totals = totals
            self._counted = now

    def _check_silence(self, now):
        """Octets are counted every second while a session is up; otherwise it is asked."""
        for last_look in (False, True):
            since = self._counted if self._state == _UP else self._heard
            if since is None or ticks_diff(now, since) < _QUIET_MS:
                return
            if not last_look:
                # The gateway itself may have slept: what came meanwhile counts.
                self._process.read(now)
        if self._state == _UP:
            self._process.kill()
            self.on_broken("no octets counted for %d s: it hangs" % (_QUIET_MS // 1000), now)
        elif self._state in (_OPENING, _CONNECTING) and self._process.is_quiet():
            self._heard = now
            self._process.command("pid", now)

    # ---- ends ----

    def _finish(self, reason, text, now):
        self._process.kill()
        self._over(reason, text, True, now)

    def _over(self, reason, text, final, now):
        """The attempt, or all of it (final, or not even READY), has come to its end."""
        self._due = self._poke_due = self._patience_due = None
        was = self._state
        if self._process.is_gone:
            self._forget()
        if final or was == _OPENING:
            self.close(now)
            self._events.append((FATAL if final else DOWN, (reason, text)))
            return
        self._set(_IDLE)
        if was != _IDLE:
            self._wanted = None
            self._events.append((DOWN, (reason, text)))

    def _note(self, level, event, text):
        """Notes that nobody takes are lost beyond a number."""
        if self._notes < _MAX_NOTES:
            self._notes += 1
            self._events.append((NOTE, (level, event, text)))

    def _remote_text(self):
        attempt = self._wanted or self._last
        if not attempt:
            return None
        return remote_text(self._remotes[attempt[0]], attempt[1])

    def _address_text(self):
        addresses = self._attempt.link.addresses
        return ",".join([format_address(own) + "/" + str(n) for own, n, _ in addresses]) or None

    def _set(self, state):
        self._state = state
