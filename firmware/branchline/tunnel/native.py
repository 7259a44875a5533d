"""The native engine: our own OpenVPN client, from the transport to packets on the device.

It carries out one attempt at a time: opens the transport, runs a Session over it, and makes the
device when the session is up. `system` is what app hands in (app/system.py); nothing here opens a
socket or reads a clock by itself.
"""

from micropython import const

from branchline.openvpn import events
from branchline.openvpn.session import Session
from branchline.tunnel import engine
from branchline.tunnel.pump import Pump
from branchline.wire.errors import Unsupported
from branchline.wire.ticks import earliest, ticks_add, ticks_diff

# Octets of a datagram beyond the tunnel's MTU: Ethernet and data-channel headers.
_SLACK = const(128)
# Packets that the kernel may hold for a device while a batch is sealed.
_TXQUEUELEN = const(1000)
# EPERM, ENOENT, EACCES: without root or /dev/net/tun another try changes nothing.
_FORBIDDEN = (1, 2, 13)


def retry_of(profile):
    """The engine.Retry that a profile (openvpn.profile.Profile) asks for."""
    first, most = profile.connect_retry or (1, None)
    return engine.Retry(
        first,
        most,
        profile.connect_retry_max,
        profile.remote_random,
        profile.server_poll_timeout,
        profile.resolv_retry,
        profile.auth_retry != "none",
    )


class NativeEngine:
    """profile: openvpn.profile.Profile; env: openvpn.session.Environment; device: the device's
    name or None for the profile's; rank: added to the metric of its routes, so that the same route
    by several tunnels can stand side by side."""

    kind = "native"

    def __init__(self, name, profile, env, system, device=None, rank=0):
        self.name = name
        self.retry = retry_of(profile)
        self.random_host = profile.remote_random_hostname
        self.patience_ms = 0
        self._profile = profile
        self._env = env
        self._system = system
        name = device or profile.dev
        self._device_name = name + "%d" if name in ("tun", "tap") else name
        self._rank = rank
        self._remote = self._address = None
        self._due = None
        self._stream = self._session = self._pump = None
        self._interface = self._plan = None
        self._up = False
        self._credentials = profile.auth_user_pass
        self._events = []
        self._last_session = None
        self._question = None

    # ---- what the tunnel calls ----

    def open(self, now):
        """Nothing has to be got ready."""
        self._events.append((engine.READY, self._profile.remotes))

    def connect(self, index, address, now):
        """Begins an attempt."""
        self._remote = self._profile.remotes[index]
        self._address = address
        self._connect(now)

    def disconnect(self, now):
        """Leaves: tells the server, takes device, addresses and routes away."""
        self._leave(now)
        self._end(engine.STOPPED, "")

    def close(self, now):
        """The same, without a word to the tunnel."""
        self._leave(now)
        self._teardown()
        if self._question:
            self._question.close()
            self._question = None
        self._events = []

    def _leave(self, now):
        if self._pump:
            self._session.stop()
            self._pump.drain(now)

    def rebind(self, now):
        """Goes on with the session from a fresh port and, where the WAN has another one, address:
        a server takes that for the same client by the peer-id in each packet."""
        if not self._up or self._remote.is_tcp() or self._session.options.peer_id is None:
            return False
        try:
            self._pump.rebind(self._open_udp(self._profile.at(self._remote)))
        except OSError as error:
            self._log("warning", "rebind", str(error.args[-1]))
            return False
        return True

    def check(self, index, address, now):
        """Begins to ask whether a UDP remote answers; ANSWER follows."""
        remote = self._profile.remotes[index]
        if self._question or remote.is_tcp():
            return False
        from branchline.tunnel.reachable import Reachable

        profile = self._profile.at(remote)
        try:
            self._question = Reachable(
                profile, self._env, self._system, address, remote.port, now
            )
        except (OSError, Unsupported):
            self._events.append((engine.ANSWER, False))
        return True

    def traffic(self):
        """(octets sent, octets received) of the session, or None while there is none."""
        if not self._up:
            return None
        totals = self._session.ring.totals()
        return totals[2], totals[3]

    def has_work(self):
        """Whether packets wait in the device that could be sent."""
        return bool(self._up and self._pump.has_work())

    def handle_timer(self, now):
        """Time has passed."""
        if self._due is not None and ticks_diff(now, self._due) >= 0:
            self._due = None
            self._end("timeout", "the server takes no TCP connection")
        if self._session:
            self._session.handle_timer(now)
            if self._session.needs_drain:
                self._pump.drain(now)
        question = self._question
        if question:
            question.handle_timer(now)
            if question.answer is not None:
                self._question = None
                self._events.append((engine.ANSWER, question.answer))

    def next_timer(self):
        """The tick of the earliest deadline, or None."""
        return earliest(
            self._due,
            self._session.next_timer() if self._session else None,
            self._question.next_timer() if self._question else None,
        )

    def next_event(self):
        """The next (kind, detail) of tunnel.engine, or None."""
        return self._events.pop(0) if self._events else None

    def status(self):
        """A dict of JSON values."""
        session = self._session or self._last_session
        totals = session.ring.totals() if session else (0, 0, 0, 0)
        return {
            "device": self._pump.device.name if self._up else None,
            "address": self._plan.address_text() if self._up else None,
            "cipher": session.options.cipher if self._up else None,
            "tls": session.tls_cipher if session else None,
            "rtt_ms": session.rtt_ms if session else None,
            "tx_packets": totals[0],
            "rx_packets": totals[1],
            "tx_octets": totals[2],
            "rx_octets": totals[3],
            "counters": session.counters.nonzero() if session else {},
        }

    # ---- one attempt ----

    def _connect(self, now):
        remote = self._remote
        profile = self._profile.at(remote)
        try:
            if remote.is_tcp():
                self._stream = self._system.open_tcp(self._address, remote.port, profile)
                self._due = ticks_add(now, self.patience_ms)
                self._system.poller.register(self._stream, self._on_connecting)
                self._system.poller.want_write(self._stream, True)
            else:
                self._begin(self._open_udp(profile), profile, now)
        except OSError as error:
            self._end("connect", str(error.args[-1]))

    def _open_udp(self, profile):
        return self._system.open_udp(self._address, self._remote.port, profile)

    def _on_connecting(self, readable, writable):
        now = self._system.ticks()
        try:
            if not self._stream.connected():
                return
            self._system.poller.unregister(self._stream)
            stream, self._stream = self._stream, None
            self._due = None
            profile = self._profile.at(self._remote)
            from branchline.openvpn.framing import Framing

            self._begin(Framing(stream, self._capacity(profile)), profile, now)
        except OSError as error:
            self._end("connect", str(error.args[-1]))

    def _capacity(self, profile):
        longest = max(profile.tun_mtu, profile.tun_mtu_max, profile.max_packet_size)
        return longest + _SLACK

    def _begin(self, transport, profile, now):
        """The transport stands: run a session over it."""
        system = self._system
        try:
            self._session = Session(
                profile,
                self._env,
                self._remote.is_tcp(),
                len(self._address) == 16,
                system.unix_time(),
                self._credentials,
            )
        except Unsupported as error:
            transport.close()
            self._fail("unsupported", str(error))
            return
        self._pump = Pump(
            self._session,
            transport,
            system.poller,
            self._capacity(profile),
            system.ticks,
            self._drained,
            lambda error, now: self._end("transport", str(error.args[-1])),
        )
        self._session.start(now, self.patience_ms)
        self._pump.drain(now)

    def _drained(self, now):
        """Takes the session's events."""
        while self._session and (event := self._session.next_event()):
            kind, detail = event
            if kind == events.UP:
                self._come_up(detail)
            elif kind == events.DOWN:
                self._go_down(detail[0], detail[1], now)
            elif kind == events.REKEYED:
                self._log("info", "rekeyed", "key_id=" + str(detail))
            else:
                self._log("info", "server", detail)

    # ---- up and down ----

    def _come_up(self, options):
        system = self._system
        profile = self._profile.at(self._remote)
        # Loaded when the handshake's memory is free again.
        from branchline.tunnel.plan import Plan

        plan = Plan(options, profile, self._address, self._rank)
        try:
            device = system.open_tun(self._device_name, profile.dev_type == "tap")
            try:
                self._interface = system.make_interface(device.name)
                notes = plan.notes + self._interface.apply(plan, profile.txqueuelen or _TXQUEUELEN)
            except OSError:
                device.close()
                raise
        except OSError as error:
            end = self._fail if error.args[0] in _FORBIDDEN else self._end
            end("device", str(error.args[-1]))
            return
        self._plan = plan
        self._pump.attach(device, self._clamp(profile), self._recursion_check(profile))
        if options.auth_token:
            self._credentials = self._session.credentials
        self._up = True
        for note in notes:
            self._log("warning", "device", note)
        for counter, name, reason in self._session.push_notes:
            level = "debug" if counter == "ignored" else "warning"
            self._log(level, "pushed", name + ": " + reason)
        text = "device=%s address=%s cipher=%s tls=%s mtu=%d" % (
            device.name,
            plan.address_text() or "none",
            options.cipher,
            self._session.tls_cipher.replace(" ", "/"),
            plan.mtu,
        )
        link = engine.Link(
            device.name,
            plan.addresses,
            plan.mtu,
            plan.gateway,
            plan.gateway_ipv6,
            self._address,
            options.inactive[0] > 0,
            engine.quiet_limit(options.ping, options.ping_restart),
        )
        link.text = text
        self._events.append((engine.UP, link))

    def _clamp(self, profile):
        """The MssClamp that `mssfix` asks for, or None."""
        from branchline.openvpn.mss import MssClamp, mss_limits

        limits = mss_limits(
            *profile.mssfix,
            self._session.ring.current,
            len(self._address) == 16,
            self._remote.is_tcp(),
            profile.dev_type == "tap",
        )
        return limits and MssClamp(limits, profile.dev_type == "tap")

    def _recursion_check(self, profile):
        """The RecursionCheck, where the tunnel's routes lead to the server too; or None."""
        if not self._plan.covers_server():
            return None
        from branchline.tunnel.recursion import RecursionCheck

        return RecursionCheck(self._address, profile.dev_type == "tap")

    def _go_down(self, reason, text, now):
        """The session ended (OpenVPN manual, --auth-retry, SIGUSR1)."""
        if reason in events.LOCAL_EXIT or reason == events.HALT:
            self._fail(reason, text)
        elif reason == events.NAME_LEARNT:
            self._teardown()
            self._connect(now)
        elif reason == events.AUTH_FAILED and self._credentials != self._profile.auth_user_pass:
            self._credentials = self._profile.auth_user_pass
            self._end(engine.TOKEN_EXPIRED, "the auth-token has expired")
        else:
            self._end(reason, text)

    def _end(self, reason, text):
        self._teardown()
        self._events.append((engine.DOWN, (reason, text)))

    def _fail(self, reason, text):
        self._teardown()
        self._events.append((engine.FATAL, (reason, text)))

    def _teardown(self):
        """Closes what the attempt opened, in the opposite order."""
        self._up = False
        self._due = None
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

    def _log(self, level, event, text):
        self._system.log(level, self.name, event, text)
