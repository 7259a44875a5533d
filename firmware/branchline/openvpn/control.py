"""The control channel of a session: packets in and out, matched to key negotiations.

It knows the two session ids, the wrapping, and at most two KeyStates: the current one, which
carries control messages, and the next one while a renegotiation is under way.
"""

from branchline.openvpn import opcodes
from branchline.openvpn.packet import build_body, parse_body
from branchline.openvpn.tls_wrap import HEADER_SIZE
from branchline.wire.errors import ProtocolError
from branchline.wire.ticks import earliest

COUNTERS = (
    "too_short",
    "malformed",
    "unknown_opcode",
    "unknown_key",
    "bad_session_id",
    "unexpected_reset",
    "control_bad_auth",
    "control_replay",
)

_ACCEPTED = (
    opcodes.HARD_RESET_SERVER_V2,
    opcodes.SOFT_RESET_V1,
    opcodes.CONTROL_V1,
    opcodes.ACK_V1,
)


class ControlChannel:
    """wrap: of tls_wrap; local_id: our session id; new_key(key_id) makes a KeyState;
    may_rekey() says whether a soft reset of the server's is welcome now."""

    def __init__(self, wrap, local_id, new_key, may_rekey, counters):
        self.local_id = local_id
        self.remote_id = None
        self.current = new_key(0)
        self.next = None
        self._last_id = 0
        self._wrap = wrap
        self._new_key = new_key
        self._may_rekey = may_rekey
        self._counters = counters

    def receive(self, packet, now):
        """Takes a packet (bytes) that is no data packet of a known key.

        Returns (KeyState, acks, message id, payload) for it, or None when it was dropped.
        """
        opcode = packet[0] >> 3
        try:
            if opcode not in _ACCEPTED:
                data = opcode in (opcodes.DATA_V1, opcodes.DATA_V2)
                raise ProtocolError("unknown_key" if data else "unknown_opcode")
            body = self._wrap.unwrap(packet)
            try:
                acks, acked_id, message_id, payload = parse_body(opcode, body)
            except ProtocolError:
                raise ProtocolError("malformed") from None
            if acked_id is not None and acked_id != self.local_id:
                raise ProtocolError("bad_session_id")
            return self._match(opcode, packet, now), acks, message_id, payload
        except ProtocolError as error:
            self._counters.bump(error.args[0])
            return None

    def _match(self, opcode, packet, now):
        """The KeyState that an authentic packet belongs to; a soft reset may make a new one."""
        session_id = packet[1:HEADER_SIZE]
        if self.remote_id is None:
            if opcode != opcodes.HARD_RESET_SERVER_V2 or packet[0] & 7:
                raise ProtocolError("bad_session_id")
            self.remote_id = session_id
        elif session_id != self.remote_id:
            reset = opcode == opcodes.HARD_RESET_SERVER_V2
            raise ProtocolError("unexpected_reset" if reset else "bad_session_id")
        key_id = packet[0] & 7
        for key in (self.current, self.next):
            if key and key.key_id == key_id:
                return key
        # The server may have made attempts that never reached us, so any other id will do.
        if opcode == opcodes.SOFT_RESET_V1 and key_id and self._may_rekey():
            return self._open(key_id, now)
        raise ProtocolError("unknown_key")

    def next_packet(self, now):
        """The next packet to send, or None."""
        for key in (self.current, self.next):
            if key:
                due = key.reliable.next_due(now)
                if due is None and key.reliable.acks_pending():
                    due = (opcodes.ACK_V1, None, b"")
                if due:
                    return self._build(key, *due)
        return None

    def _build(self, key, opcode, message_id, payload):
        acks = key.reliable.take_acks()
        body = build_body(acks, self.remote_id, message_id, payload)
        return self._wrap.wrap(bytes([opcode << 3 | key.key_id]) + self.local_id, body)

    def next_timer(self):
        """The tick at which a packet is due, or None."""
        due = self.current.reliable.next_timer()
        return earliest(due, self.next.reliable.next_timer()) if self.next else due

    def start_rekey(self, now):
        """Opens a renegotiation under the next key id: 1 to 7, then 1 again; 0 is the first
        key's alone. Failed attempts count, as in the stock server."""
        self._open(self._last_id % 7 + 1, now)

    def _open(self, key_id, now):
        self._last_id = key_id
        self.next = self._new_key(key_id)
        self.next.start(opcodes.SOFT_RESET_V1, now)
        return self.next

    def finish_rekey(self):
        """The next key becomes the current one."""
        self.current.close()
        self.current, self.next = self.next, None

    def abandon_rekey(self):
        """Drops the next key."""
        self.next.close()
        self.next = None

    def close(self):
        """Frees the TLS channels."""
        for key in (self.current, self.next):
            if key:
                key.close()
