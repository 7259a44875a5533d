"""An OpenVPN client session, sans-I/O: from the hard reset to the tunnel's end.

The session matches control packets to key negotiations (KeyState), asks for the pushed options,
and keeps time: pings, renegotiation, expiry. Its owner moves packets:

    start(now); then receive(slot, n, now) for every datagram, ring.seal(slot, n) for every
    packet of the device, handle_timer(now) when next_timer() is due, and after each of these
    next_datagram(out) and next_event() until they answer nothing.

A session that went DOWN is finished; a reconnection is a new session.
"""

from micropython import const

from branchline.openvpn import opcodes
from branchline.openvpn.control import COUNTERS as CONTROL_COUNTERS
from branchline.openvpn.control import ControlChannel
from branchline.openvpn.data import DataChannel
from branchline.openvpn.events import (
    DOWN,
    ENDS,
    INFO,
    NAME_LEARNT,
    REKEYED,
    UP,
    pending_seconds,
)
from branchline.openvpn.key_state import GOT_KEY, KeyState
from branchline.openvpn.keyring import KeyRing
from branchline.openvpn.ncp import agreed_cipher, printable, usable_ciphers
from branchline.openvpn.packet import MAX_BODY_HEADER, SESSION_ID_SIZE
from branchline.openvpn.peer_info import options_string, peer_info
from branchline.openvpn.ping import (
    EXIT_NOTICE,
    INACTIVE,
    PING,
    PING_EXIT,
    PING_RESTART,
    SEND_PING,
    Keepalive,
)
from branchline.openvpn.push import PushRejected, PushReply
from branchline.openvpn.rekey import RekeyTimer
from branchline.openvpn.tls_wrap import make_wrap
from branchline.wire.counters import Counters
from branchline.wire.errors import ConfigError, NameLearnt, ProtocolError, TlsError, Unsupported
from branchline.wire.overlay import Overlay
from branchline.wire.slot import HEADROOM, Slot
from branchline.wire.ticks import earliest, ticks_add, ticks_diff

_IDLE = const(0)
_CONNECTING = const(1)
_UP = const(2)
_DOWN = const(3)

# Stock servers send no alert when they refuse a certificate or a TLS version.
_SILENT_HANDSHAKE = "the TLS handshake did not end within hand-window: see the server's log"
_SECOND_MS = const(1000)
# First retransmission timeout unless tls-timeout is given: stock's 2 s is long where packets are
# lost, and a handshake over a long path only sends a few copies too many.
_TIMEOUT_MS = const(500)
_PUSH_REQUEST_MS = const(5000)
_PATIENCE_MS = const(120_000)  # server-poll-timeout's default
# Room for a ping or an exit notice.
_SMALL = const(32)
COUNTERS = (
    ("too_long", "control_unknown_message", "rekey_failed")
    + CONTROL_COUNTERS
    + DataChannel.COUNTERS
)


class Environment:
    """What a session needs from outside its protocol.

    tls: makes TLS channels (docs/architecture.md); provider: ciphers and HMACs; random(n) ->
    n random octets; check_peer(der) raises TlsError for a wrong server certificate.
    """

    def __init__(self, tls, provider, random, check_peer):
        self.tls = tls
        self.provider = provider
        self.random = random
        self.check_peer = check_peer


class Session:
    """One client session to one remote.

    profile: openvpn.profile.Profile; env: Environment; tcp, ipv6: the transport; unix_time:
    seconds since 1970, now; credentials: (user, password) octets or None. Raises Unsupported
    when no provider has what the profile needs.
    """

    def __init__(self, profile, env, tcp, ipv6, unix_time, credentials=None):
        self.counters = Counters(COUNTERS)
        self.ring = KeyRing(profile.tran_window)
        self.wire_offset = HEADROOM - DataChannel.DEFAULT_OVERHEAD
        self.options = None
        self.tls_cipher = ""
        self.push_notes = ()  # Pull.notes: which pushed options are not used, and why
        self.rtt_ms = None
        # True when next_datagram() or next_event() may have something.
        self.needs_drain = False
        self._profile = profile
        self._env = env
        self._tcp = tcp
        self._ciphers = usable_ciphers(profile, env.provider)
        self.credentials = credentials or (b"", b"")
        self._options_string = options_string(profile, tcp, ipv6)
        self._wrap = make_wrap(profile, env.provider, unix_time)
        self._control = ControlChannel(
            self._wrap,
            env.random(SESSION_ID_SIZE),
            self._new_key_state,
            self._can_rekey,
            self.counters,
        )
        self._state = _IDLE
        self._now = self._started = 0
        self._deadline = self._second = self._push_due = None
        self._rekey = RekeyTimer(profile)
        self._keepalive = None
        self._push_reply = PushReply()
        self._small = Slot(_SMALL)
        self._pending_data = []
        self._own_octets = self._control_packets = 0
        self._events = []

    def _new_key_state(self, key_id):
        # A server in a negotiation has room for one older key only.
        self.ring.use_next()
        return KeyState(
            key_id,
            lambda: self._env.tls.client(self._env.check_peer),
            self._about_us,
            self._env.random,
            self._profile.max_packet_size - self._wrap.overhead - MAX_BODY_HEADER,
            len(self._profile.wkc or b""),
            _TIMEOUT_MS if self._profile.tls_timeout == 2 else self._profile.tls_timeout * 1000,
        )

    def _about_us(self):
        """What the key-method message carries: options, user, password, peer info."""
        profile = self._profile
        extra = profile.peer_info if profile.push_peer_info else ()
        ciphers = self._ciphers if profile.pull else ()
        info = peer_info(ciphers, self._env.tls.can_export, profile.tun_mtu, extra)
        return (self._options_string,) + self.credentials + (info,)

    # ---- the five calls ----

    def start(self, now, patience_ms=_PATIENCE_MS):
        """Sends the hard reset; without any answer for patience_ms the session ends."""
        self._now = self._started = now
        self.needs_drain = True
        self._state = _CONNECTING
        v2 = self._profile.tls_wrap == "crypt-v2"
        reset = opcodes.HARD_RESET_CLIENT_V3 if v2 else opcodes.HARD_RESET_CLIENT_V2
        self._control.current.start(reset, now)
        first = min(patience_ms, self._profile.hand_window * 1000)
        self._deadline = ticks_add(now, first)

    def receive(self, slot, n, now):
        """Takes a datagram of n octets at slot's wire_offset.

        Returns the octets of the packet for the device, then at HEADROOM; 0 when there is none.
        """
        offset = self.wire_offset
        if not 0 < n <= slot.capacity + HEADROOM - offset:
            self.counters.bump("too_long" if n else "too_short")
            return 0
        payload = self.ring.open(slot, n, slot.buf[offset])
        if payload > 0:
            return payload if slot.buf[HEADROOM] & 0xF0 != 0x20 else self._special(slot, payload)
        if payload < 0 and self._state != _DOWN:
            self._now = now
            self._receive_control(bytes(slot.at(offset)[:n]))
        return 0

    def authentic(self):
        """The number of authentic packets so far: it rises when the peer has proved itself."""
        return self._control_packets + self.ring.totals()[1]

    def handle_timer(self, now):
        """Time has passed."""
        self._now = now
        due = self.next_timer()
        if due is None or ticks_diff(now, due) < 0:
            return
        self.needs_drain = True
        if self._deadline is not None and ticks_diff(now, self._deadline) >= 0:
            self._handshake_timeout()
        if self._push_due is not None and ticks_diff(now, self._push_due) >= 0:
            self._push_due = ticks_add(now, _PUSH_REQUEST_MS)
            self._control.current.send_message(b"PUSH_REQUEST", now)
        if self._second is not None:
            passed = ticks_diff(now, self._second) // _SECOND_MS
            if passed > 0:
                self._second = ticks_add(self._second, passed * _SECOND_MS)
                self._seconds(passed)

    def next_timer(self):
        """The tick of the earliest deadline, or None."""
        if self._state == _DOWN:
            return None
        second = None if self._second is None else ticks_add(self._second, _SECOND_MS)
        return earliest(self._deadline, self._push_due, second, self._control.next_timer())

    def next_datagram(self, out):
        """Writes the next datagram of the session's own into out; its octets, 0 for none."""
        packet = self._control.next_packet(self._now)
        if packet:
            n = len(packet)
            out[:n] = packet
            return n
        while self._pending_data:
            small = self._small
            message = self._pending_data.pop(0)
            small.buf[HEADROOM : HEADROOM + len(message)] = message
            n = self.ring.seal(small, len(message))
            if n:
                out[:n] = small.at(self.wire_offset)[:n]
                return n
        return 0

    def next_event(self):
        """The next (kind, detail), or None."""
        return self._events.pop(0) if self._events else None

    def stop(self):
        """Tells the server that the client leaves, if the profile wants it; then drain."""
        notices = self.options.explicit_exit_notify if self._state == _UP else 0
        if notices and not self._tcp:
            if "cc-exit" in self.options.protocol_flags:
                self._control.current.send_message(b"EXIT", self._now)
            else:
                self._pending_data += [EXIT_NOTICE] * min(notices, 3)

    def close(self):
        """Frees keys and TLS channels."""
        self._state = _DOWN
        self.ring.close()
        self._control.close()

    # ---- negotiations ----

    def _receive_control(self, packet):
        self.needs_drain = True
        control = self._control
        negotiating = control.remote_id is not None, control.next
        parsed = control.receive(packet, self._now)
        if parsed is None:
            return
        self._control_packets += 1
        if not negotiating[0] and not control.current.reliable.retransmissions:
            self.rtt_ms = ticks_diff(self._now, self._started)
        if negotiating != (True, control.next):
            self._deadline = ticks_add(self._now, self._profile.hand_window * 1000)
        key, acks, message_id, payload = parsed
        try:
            key.receive(acks, message_id, payload, self._now)
            self._progress(key)
        except NameLearnt as error:
            key.flush(self._now)
            self._down(NAME_LEARNT, str(error))
        except (ConfigError, PushRejected, Unsupported) as error:
            self._down("options-error", str(error))
        except (TlsError, ProtocolError) as error:
            self._failed(key, str(error))
        except (OSError, MemoryError) as error:
            self._failed(key, "TLS cannot start: " + repr(error))

    def _progress(self, key):
        """A control packet moved a negotiation on."""
        if key.state != GOT_KEY:
            return
        if key is self._control.next:
            self._finish_rekey()
        elif self._state == _CONNECTING and self._push_due is None:
            if not self._profile.pull:
                self._come_up(self._profile.options.copy())
            else:
                self._push_due = ticks_add(self._now, _PUSH_REQUEST_MS)
                key.send_message(b"PUSH_REQUEST", self._now)
        while self._state != _DOWN and (message := key.next_message()) is not None:
            self._message(message)

    def _message(self, message):
        """A control message (bytes) of the server's: a word, and after a comma its detail."""
        word, _, detail = message.partition(b",")
        detail = printable(detail)
        if word == b"PUSH_REPLY":
            self._on_push_reply(message)
        elif word in ENDS:
            reason, text = ENDS[word]
            self._down(reason, detail or text)
        elif word in (b"INFO", b"INFO_PRE"):
            self._events.append((INFO, detail))
        elif word == b"AUTH_PENDING":
            self._events.append((INFO, "authentication is pending: " + detail))
            seconds = pending_seconds(detail)
            if seconds is not None and self._deadline is not None:
                self._deadline = ticks_add(self._now, seconds * 1000)
        else:
            self.counters.bump("control_unknown_message")

    def _on_push_reply(self, message):
        if self._state == _CONNECTING and self._push_reply.add(message):
            self._come_up(self._pulled(self._push_reply.options))

    def _pulled(self, pushed):
        """The TunnelOptions of the profile and the server together."""
        with Overlay():
            from branchline.openvpn.pull import Pull

            pull = Pull(self._profile)
            options = pull.apply(pushed)
            self.push_notes = pull.notes
            return options

    def _come_up(self, options):
        """The options are known: make the data channel."""
        options.cipher = agreed_cipher(
            self._profile,
            self._ciphers,
            options.cipher,
            self._control.current.server_options,
        )
        if options.key_derivation == "tls-ekm" and not self._env.tls.can_export:
            raise Unsupported("the server insists on keying-material export (tls-ekm)")
        self.options = options
        self.tls_cipher = self._control.current.channel.cipher()
        data = self._data_channel(self._control.current)
        self.ring.add(data)
        self.wire_offset = data.wire_offset
        if options.auth_token:
            # From the next negotiation on, the token stands for the password.
            self.credentials = (
                options.auth_token_user or self.credentials[0],
                options.auth_token,
            )
        self._keepalive = Keepalive(
            options.ping, options.ping_restart, options.ping_exit, *options.inactive
        )
        self._state = _UP
        self._second = self._now
        self._deadline = self._push_due = None
        self._events.append((UP, options))

    def _data_channel(self, key):
        options = self.options
        data = DataChannel(
            key.keys(
                options.key_derivation == "tls-ekm",
                self._control.local_id,
                self._control.remote_id,
            ),
            key.key_id,
            options,
            self._env.provider,
            self.counters,
            self._profile.auth,
            self._profile.replay_window[0],
        )
        key.forget_secrets()
        return data

    # ---- renegotiation ----

    def _can_rekey(self):
        return self._state == _UP and self._control.next is None

    def _finish_rekey(self):
        control = self._control
        self.ring.add(self._data_channel(control.next))
        control.finish_rekey()
        self._rekey.restart()
        self._deadline = None
        self._events.append((REKEYED, control.current.key_id))

    def _abandon_rekey(self, text):
        """The current key goes on, and there is another try soon."""
        self.counters.bump("rekey_failed")
        self._control.abandon_rekey()
        self._deadline = None
        if self._rekey.failed():
            self._events.append((INFO, "renegotiation failed: " + text))
        else:
            self._down("rekey-failed", text)

    # ---- time ----

    def _seconds(self, passed):
        sent, received, out, into = self.ring.totals()
        # An authentic control packet shows as well as data that the server is alive.
        received += self._control_packets
        action = self._keepalive.tick(passed, sent, received, out + into - self._own_octets)
        if action == SEND_PING:
            self._pending_data.append(PING)
            self._own_octets += len(PING) + self.ring.current.framing_size
        elif action:
            self._down(*_SILENCE[action])
            return
        self.ring.tick(passed)
        # The newest key: the ring may not seal with it yet.
        due = self._rekey.is_due(passed, self.ring.next or self.ring.current)
        if due and self._can_rekey():
            self._control.start_rekey(self._now)
            self._deadline = ticks_add(self._now, self._profile.hand_window * 1000)

    def _handshake_timeout(self):
        if self._control.next:
            self._abandon_rekey("no answer within hand-window")
        elif self._control.remote_id is None:
            self._down("timeout", "no answer from the server")
        elif self._push_due is not None:
            self._down("timeout", "the server sent no PUSH_REPLY")
        else:
            self._down("timeout", _SILENT_HANDSHAKE)

    # ---- ends ----

    def _special(self, slot, n):
        """A payload that may be a ping or an exit notice instead of a packet for the device."""
        payload = bytes(slot.at(HEADROOM)[: min(n, len(EXIT_NOTICE))])
        if n == len(PING) and payload == PING:
            self._own_octets += n + self.ring.current.framing_size
            return 0
        if n >= len(EXIT_NOTICE) and payload == EXIT_NOTICE:
            self._down(*ENDS[b"EXIT"])
            return 0
        return n

    def _failed(self, key, text):
        key.flush(self._now)  # TLS may have an alert for the server
        if key is self._control.next:
            self._abandon_rekey(text)
        else:
            self._down("tls-error", text)

    def _down(self, reason, text):
        """The one way into the final state; what comes after it changes nothing."""
        if self._state == _DOWN:
            return
        self.needs_drain = True
        self._state = _DOWN
        self._deadline = self._push_due = self._second = None
        self._events.append((DOWN, (reason, text)))


_SILENCE = {
    PING_RESTART: ("ping-restart", "nothing from the server for ping-restart seconds"),
    PING_EXIT: ("ping-exit", "nothing from the server for ping-exit seconds"),
    INACTIVE: ("inactive", "too little traffic for the time that `inactive` names"),
}
