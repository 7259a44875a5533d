"""The native engine: our own OpenVPN client from name resolution to packets on the device.

The engine makes one attempt at a time: it resolves the remote's name, opens the transport, runs
a Session over it, makes the device when the session is up, and after a failure waits and goes on
to the next remote. `system` is what app hands in (app/system.py); nothing here opens a socket or
reads a clock by itself.
"""

from micropython import const

from branchline.openvpn import events
from branchline.openvpn.session import Session
from branchline.tunnel.engine import (
    CONNECTING,
    STATE_NAMES,
    STOPPED,
    TUNNEL_DOWN,
    TUNNEL_FINISHED,
    TUNNEL_UP,
    UP,
    WAITING,
)
from branchline.tunnel.pump import Pump
from branchline.tunnel.remotes import Remotes
from branchline.wire.errors import Unsupported
from branchline.wire.ip import format_address
from branchline.wire.ticks import earliest, ticks_add, ticks_diff

# Octets of a datagram beyond the tunnel's MTU: Ethernet and data-channel headers.
_SLACK = const(128)
_RESOLVE_MS = const(5000)
# Packets that the kernel may hold for a device while a batch is sealed.
_TXQUEUELEN = const(1000)
# EPERM, ENOENT, EACCES: without root or /dev/net/tun another try changes nothing.
_FORBIDDEN = (1, 2, 13)


class NativeEngine:
    """Keeps one tunnel up. profile: openvpn.profile.Profile; env: openvpn.session.Environment;
    device: the device's name or None for the profile's; rank: added to the metric of its routes,
    so that the same route by several tunnels can stand side by side."""

    def __init__(self, name, profile, env, system, device=None, rank=0):
        self.name = name
        self.state = STOPPED
        self._profile = profile
        self._env = env
        self._system = system
        name = device or profile.dev
        self._device_name = name + "%d" if name in ("tun", "tap") else name
        self._rank = rank
        self._remotes = Remotes(profile, env.random)
        self._due = None
        self._query = self._stream = self._session = self._pump = None
        self._interface = self._plan = None
        self._credentials = profile.auth_user_pass
        self._events = []
        self._last_session = None
        self._asking_since = None
        self.attempts = 0

    # ---- what the manager calls ----

    def start(self, now):
        """Begins the first attempt."""
        self._set(CONNECTING)
        self._attempt(now)

    def stop(self, now):
        """Leaves: tells the server, takes device, addresses and routes away."""
        if self._pump:
            self._session.stop()
            self._pump.drain(now)
        self._teardown()
        self._due = None
        self._set(STOPPED)

    def handle_timer(self, now):
        """Time has passed."""
        if self._due is not None and ticks_diff(now, self._due) >= 0:
            self._due = None
            if self.state == WAITING:
                self._set(CONNECTING)
                self._attempt(now)
            elif self._session is None:
                self._retry("timeout", "no TCP connection within server-poll-timeout", now)
        if self._session:
            self._session.handle_timer(now)
            if self._session.needs_drain:
                self._pump.drain(now)
        elif self._query:
            self._check_query(now)

    def next_timer(self):
        """The tick of the earliest deadline, or None."""
        return earliest(self._due, self._session.next_timer() if self._session else None)

    def next_event(self):
        """The next (kind, detail) of tunnel.engine, or None."""
        return self._events.pop(0) if self._events else None

    @property
    def server_address(self):
        """The octets of the server's address, or None while it is not known."""
        return self._remotes.address()

    @property
    def plan(self):
        """What the device was given (tunnel.plan.Plan) when the tunnel last came up."""
        return self._plan

    def status(self):
        """A dict of JSON values: what `status.json` shows of this tunnel."""
        session = self._session or self._last_session
        totals = session.ring.totals() if session else (0, 0, 0, 0)
        up = self.state == UP
        return {
            "name": self.name,
            "state": STATE_NAMES[self.state],
            "remote": self._remote_text(),
            "device": self._pump.device.name if up else None,
            "address": self._plan.address_text() if up else None,
            "cipher": session.options.cipher if up else None,
            "tls": session.tls_cipher if session else None,
            "rtt_ms": session.rtt_ms if session else None,
            "tx_packets": totals[0],
            "rx_packets": totals[1],
            "tx_octets": totals[2],
            "rx_octets": totals[3],
            "attempts": self.attempts,
            "counters": session.counters.nonzero() if session else {},
        }

    # ---- one attempt ----

    def _attempt(self, now):
        self.attempts += 1
        remote = self._remotes.current()
        if self._remotes.address() is not None:
            self._connect(remote, now)
            return
        host = remote.host
        if self._profile.remote_random_hostname:
            host = self._env.random(6).hex() + "." + host
        self._query = self._system.resolve(host, remote.family(), now)
        self._check_query(now)

    def _check_query(self, now):
        """Goes on once the name is resolved."""
        query = self._query
        if not query.done:
            return
        self._query = None
        remote = self._remotes.current()
        if query.addresses:
            self._asking_since = None
            self._remotes.resolved(query.addresses)
            self._connect(remote, now)
        else:
            self._unresolved(remote.host + ": " + query.error, now)

    def _unresolved(self, text, now):
        """OpenVPN manual, --resolv-retry: an only remote's name is asked for again for a while
        before that counts as a failure; among several the next one has its turn."""
        limit = self._profile.resolv_retry
        if self._asking_since is None:
            self._asking_since = now
        asked_ms = ticks_diff(now, self._asking_since)
        if len(self._profile.remotes) == 1 and (limit is None or asked_ms < limit * 1000):
            self._wait("resolve", text, _RESOLVE_MS, now)
        else:
            self._asking_since = None
            self._retry("resolve", text, now)

    def _connect(self, remote, now):
        profile = self._profile.at(remote)
        address = self._remotes.address()
        self._log("info", "connect", self._remote_text())
        try:
            if remote.is_tcp():
                self._stream = self._system.open_tcp(address, remote.port, profile)
                self._due = ticks_add(now, profile.server_poll_timeout * 1000)
                self._system.poller.register(self._stream, self._on_connecting)
                self._system.poller.want_write(self._stream, True)
            else:
                self._begin(self._system.open_udp(address, remote.port, profile), profile, now)
        except OSError as error:
            self._retry("connect", str(error.args[-1]), now)

    def _on_connecting(self, readable, writable):
        now = self._system.ticks()
        try:
            if not self._stream.connected():
                return
            self._system.poller.unregister(self._stream)
            stream, self._stream = self._stream, None
            self._due = None
            profile = self._profile.at(self._remotes.current())
            from branchline.openvpn.framing import Framing

            self._begin(Framing(stream, self._capacity(profile)), profile, now)
        except OSError as error:
            self._retry("connect", str(error.args[-1]), now)

    def _capacity(self, profile):
        longest = max(profile.tun_mtu, profile.tun_mtu_max, profile.max_packet_size)
        return longest + _SLACK

    def _begin(self, transport, profile, now):
        """The transport stands: run a session over it."""
        remote = self._remotes.current()
        try:
            self._session = Session(
                profile,
                self._env,
                remote.is_tcp(),
                len(self._remotes.address()) == 16,
                self._system.unix_time(),
                self._credentials,
            )
        except Unsupported as error:
            transport.close()
            self._finish("unsupported", str(error))
            return
        self._pump = Pump(
            self._session,
            transport,
            self._system.poller,
            self._capacity(profile),
            self._system.ticks,
            self._drained,
            self._broken,
        )
        self._session.start(now)
        self._pump.drain(now)

    def _broken(self, error, now):
        """The stream is at its end."""
        self._retry("transport", str(error.args[-1]), now)

    def _drained(self, now):
        """Takes the session's events."""
        while self._session and (event := self._session.next_event()):
            kind, detail = event
            if kind == events.UP:
                self._come_up(detail, now)
            elif kind == events.DOWN:
                self._go_down(detail[0], detail[1], now)
            elif kind == events.REKEYED:
                self._log("info", "rekeyed", "key_id=" + str(detail))
            else:
                self._log("info", "server", detail)

    # ---- up and down ----

    def _come_up(self, options, now):
        system = self._system
        profile = self._profile.at(self._remotes.current())
        # Loaded when the handshake's memory is free again.
        from branchline.tunnel.plan import Plan

        plan = Plan(options, profile, self._remotes.address(), self._rank)
        try:
            device = system.open_tun(self._device_name, profile.dev_type == "tap")
            try:
                self._interface = system.make_interface(device.name)
                notes = plan.notes + self._interface.apply(plan, profile.txqueuelen or _TXQUEUELEN)
            except OSError:
                device.close()
                raise
        except OSError as error:
            if error.args[0] in _FORBIDDEN:
                self._finish("device", str(error.args[-1]))
            else:
                self._retry("device", str(error.args[-1]), now)
            return
        self._plan = plan
        self._pump.attach(device, self._clamp(profile), self._recursion_check(profile))
        self._remotes.succeeded()
        if options.auth_token:
            self._credentials = self._session.credentials
        self._set(UP)
        for note in notes:
            self._log("warning", "device", note)
        for counter, name, reason in self._session.push_notes:
            level = "debug" if counter == "ignored" else "warning"
            self._log(level, "pushed", name + ": " + reason)
        self._log("info", "up", self._up_text(device))
        self._events.append((TUNNEL_UP, device.name))

    def _clamp(self, profile):
        """The MssClamp that `mssfix` asks for, or None."""
        from branchline.openvpn.mss import MssClamp, mss_limits

        limits = mss_limits(
            *profile.mssfix,
            self._session.ring.current,
            len(self._remotes.address()) == 16,
            self._remotes.current().is_tcp(),
            profile.dev_type == "tap",
        )
        return limits and MssClamp(limits, profile.dev_type == "tap")

    def _recursion_check(self, profile):
        """The RecursionCheck, where the tunnel's routes lead to the server too; or None."""
        if not self._plan.covers_server():
            return None
        from branchline.tunnel.recursion import RecursionCheck

        return RecursionCheck(self._remotes.address(), profile.dev_type == "tap")

    def _up_text(self, device):
        return "device=%s address=%s cipher=%s tls=%s mtu=%d" % (
            device.name,
            self._plan.address_text() or "none",
            self._session.options.cipher,
            self._session.tls_cipher.replace(" ", "/"),
            self._plan.mtu,
        )

    def _go_down(self, reason, text, now):
        """The session ended: decide what comes next (OpenVPN manual, --auth-retry, SIGUSR1)."""
        if reason in events.LOCAL_EXIT or reason == events.HALT:
            self._finish(reason, text)
        elif reason == events.NAME_LEARNT:
            self._teardown()
            self._connect(self._remotes.current(), now)
        elif reason == events.AUTH_FAILED:
            self._refused(text, now)
        elif reason == events.SERVER_RESTART and self.state == UP:
            if text.startswith("[") and "N" in text.partition("]")[0]:
                # The server asks for the next remote.
                self._remotes.again()
                self._remotes.failed()
            self._wait(reason, text, self._remotes.wait_ms(), now)
        else:
            self._retry(reason, text, now)

    def _refused(self, text, now):
        """A gateway has nobody to ask: try again, but so seldom that no account is locked."""
        if self._credentials != self._profile.auth_user_pass:
            self._credentials = self._profile.auth_user_pass
            self._wait("auth-failed", "the auth-token has expired", 1000, now)
        else:
            seldom = self._profile.connect_retry[1] * 1000
            retry = self._profile.auth_retry != "none" or text.startswith("TEMP")
            self._wait(
                "auth-failed", text, self._remotes.wait_ms() if retry else seldom, now
            )

    def _retry(self, reason, text, now):
        """The attempt failed: wait, then the same remote if it worked before, else the next."""
        if self.state == UP:
            self._remotes.again()
        elif not self._remotes.failed():
            self._finish("connect-retry-max", text)
            return
        self._wait(reason, text, self._remotes.wait_ms(), now)

    def _wait(self, reason, text, ms, now):
        was_up = self.state == UP
        self._teardown()
        self._set(WAITING)
        self._due = ticks_add(now, ms)
        self._log("warning", "down", "%s: %s (next attempt in %g s)" % (reason, text, ms / 1000))
        if was_up:
            self._events.append((TUNNEL_DOWN, (reason, text)))

    def _finish(self, reason, text):
        self._teardown()
        self._due = None
        self._set(STOPPED)
        self._log("error", "finished", reason + ": " + text)
        self._events.append((TUNNEL_FINISHED, (reason, text)))

    def _teardown(self):
        """Closes what the attempt opened, in the opposite order."""
        if self._query:
            self._query.finish("given up")
            self._query = None
        if self._stream:
            self._system.poller.unregister(self._stream)
            self._stream.close()
            self._stream = None
        if self._pump:
            device = self._pump.device
            self._pump.detach()
            if self._interface:
                for text in self._interface.undo():
                    self._log("warning", "device", text)
                self._interface = None
            if device:
                device.close()
            self._pump.transport.close()
            self._pump = None
        if self._session:
            self._session.close()
            self._last_session, self._session = self._session, None

    def _remote_text(self):
        remote = self._remotes.current()
        address = self._remotes.address()
        where = format_address(address) if address else remote.host
        if ":" in where:
            where = "[" + where + "]"
        return "%s:%d/%s" % (where, remote.port, "tcp" if remote.is_tcp() else "udp")

    def _set(self, state):
        self.state = state

    def _log(self, level, event, text):
        self._system.log(level, self.name, event, text)
