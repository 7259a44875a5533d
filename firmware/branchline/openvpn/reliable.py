"""The reliability layer of the control channel: message ids, acknowledgement, retransmission.

One instance serves one key negotiation; message ids start at 0 in each. Both windows are
bounded: what does not fit waits with the caller (sending) or is dropped unacknowledged, for the
peer to send again (receiving).
"""

from micropython import const

from branchline.wire.errors import StateError
from branchline.wire.ticks import earliest, ticks_add, ticks_diff

_SEND_WINDOW = const(4)
# The stock server has up to 6 messages under way.
_RECEIVE_WINDOW = const(8)
_ACKS_PER_PACKET = const(4)
# Where packets are lost, a long wait costs more than a few copies.
_MAX_TIMEOUT_MS = const(4000)

# Fields of a message under way.
_OPCODE = const(0)
_PAYLOAD = const(1)
_TIMEOUT = const(2)
_DUE = const(3)


class Reliable:
    """Orders and repeats control messages; timeout_ms is the first retransmission timeout."""

    def __init__(self, timeout_ms):
        self._timeout_ms = timeout_ms
        self._next_id = 0
        self._under_way = {}
        self._expected = 0
        self._early = {}
        self._acks = []
        self._recent_acks = []
        self.retransmissions = 0

    def can_send(self):
        """True while the send window has room."""
        return len(self._under_way) < _SEND_WINDOW

    def idle(self):
        """True when the peer has acknowledged every message."""
        return not self._under_way

    def send(self, opcode, payload, now):
        """Takes a message for sending, due at once. Raises StateError when the window is full."""
        if not self.can_send():
            raise StateError("send window is full")
        self._under_way[self._next_id] = [opcode, payload, 0, now]
        self._next_id += 1

    def acknowledged(self, message_id):
        """The peer has this message; unknown ids (acknowledged before) do not matter."""
        self._under_way.pop(message_id, None)

    def next_due(self, now):
        """(opcode, message id, payload) of a message to send now, or None.

        Each retransmission doubles the message's timeout, up to 4 s.
        """
        for message_id in sorted(self._under_way):
            message = self._under_way[message_id]
            if ticks_diff(now, message[_DUE]) >= 0:
                if message[_TIMEOUT]:
                    self.retransmissions += 1
                    message[_TIMEOUT] = min(2 * message[_TIMEOUT], _MAX_TIMEOUT_MS)
                else:
                    message[_TIMEOUT] = self._timeout_ms
                message[_DUE] = ticks_add(now, message[_TIMEOUT])
                return message[_OPCODE], message_id, message[_PAYLOAD]
        return None

    def next_timer(self):
        """The tick at which a message is due, or None."""
        return earliest(*[message[_DUE] for message in self._under_way.values()])

    def received(self, message_id, payload):
        """Takes a message of the peer's; False if it was a duplicate or beyond the window.

        A duplicate is acknowledged again, since the first acknowledgement may be lost.
        """
        ahead = message_id - self._expected
        if ahead >= _RECEIVE_WINDOW:
            return False
        if message_id not in self._acks and len(self._acks) < _RECEIVE_WINDOW:
            self._acks.append(message_id)
        if ahead < 0 or message_id in self._early:
            return False
        self._early[message_id] = payload
        return True

    def next_in_order(self):
        """The payload of the next message in order, or None while it is missing."""
        payload = self._early.pop(self._expected, None)
        if payload is not None:
            self._expected += 1
        return payload

    def acks_pending(self):
        """True when some message of the peer's has not been acknowledged yet."""
        return bool(self._acks)

    def take_acks(self):
        """Up to 4 message ids to acknowledge in the next packet: new ones first, then recent ones.

        Recent acknowledgements ride in every packet: the 2.6 server keeps no state until it sees
        its session id echoed in the client's first CONTROL packet, so with loss a handshake
        would hang if only fresh ones were sent.
        """
        fresh = self._acks[:_ACKS_PER_PACKET]
        self._acks = self._acks[_ACKS_PER_PACKET:]
        acks = fresh + [ack for ack in self._recent_acks if ack not in fresh]
        self._recent_acks = acks[:_ACKS_PER_PACKET]
        return self._recent_acks
