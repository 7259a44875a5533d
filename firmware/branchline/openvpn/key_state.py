"""One key negotiation: reset exchange, TLS handshake, key method 2, control messages.

A session has one KeyState for each key id in use: the first one, and one more at every
renegotiation. It owns the reliability layer and the TLS channel of its negotiation; packets are
wrapped and matched to it by the session.
"""

from micropython import const

from branchline.openvpn import opcodes
from branchline.openvpn.key_method import (
    CLIENT_RANDOM_SIZE,
    build_client,
    derive_keys,
    parse_server,
)
from branchline.openvpn.reliable import Reliable
from branchline.wire.errors import ProtocolError

# States, in order.
RESET = const(0)  # our reset is not acknowledged yet
HANDSHAKE = const(1)  # TLS
SENT_KEY = const(2)  # our key-method message is on its way
GOT_KEY = const(3)  # both are: control messages flow

# The stock server's longest control message, with room for its key-method message.
_MAX_PENDING_PLAINTEXT = const(16384)
# "Early negotiation" TLV in the payload of a server's reset: type 1, length 2, flags.
_EARLY_FLAGS = b"\0\1\0\2"
_RESEND_WKC = const(1)
EXPORTER_LABEL = "EXPORTER-OpenVPN-datakeys"


class KeyState:
    """The negotiation of one key id.

    open_channel() makes the TLS channel, which verifies the server; credentials() gives options,
    user, password and peer info of our key-method message; random(n) -> n random octets;
    max_payload: octets of TLS data in one control packet; wkc_size: those of the wrapped key,
    which may have to go with the first one; timeout_ms: of the first retransmission.
    """

    def __init__(
        self, key_id, open_channel, credentials, random, max_payload, wkc_size, timeout_ms
    ):
        self.key_id = key_id
        self.state = RESET
        self.reliable = Reliable(timeout_ms)
        self.server_options = b""
        self.channel = None
        self._open_channel = open_channel
        self._credentials = credentials
        self._source = random(CLIENT_RANDOM_SIZE)
        self._server_random = None
        self._max_payload = max_payload
        self._wkc_size = wkc_size
        self._plaintext = b""
        self._first_opcode = opcodes.CONTROL_V1

    def start(self, reset_opcode, now):
        """Queues the reset that opens the negotiation."""
        self.reliable.send(reset_opcode, b"", now)

    def receive(self, acks, message_id, payload, now):
        """Takes a parsed control packet. Raises TlsError or ProtocolError if that ends it."""
        reliable = self.reliable
        for ack in acks:
            reliable.acknowledged(ack)
        if message_id is not None and reliable.received(message_id, payload):
            self._deliver()
        self._advance(now)

    def _deliver(self):
        """Hands messages in order to TLS; message 0 is the peer's reset."""
        while (payload := self.reliable.next_in_order()) is not None:
            if self.channel is None:
                if payload[:4] == _EARLY_FLAGS and len(payload) > 5 and payload[5] & _RESEND_WKC:
                    self._first_opcode = opcodes.CONTROL_WKC_V1
                self.channel = self._open_channel()
            else:
                self.channel.feed(payload)

    def _advance(self, now):
        if self.state == RESET and self.channel and self.reliable.idle():
            self.state = HANDSHAKE
        if self.state == HANDSHAKE and self.channel.handshake():
            self.channel.write(build_client(self._source, *self._credentials()))
            self.state = SENT_KEY
        if self.state >= SENT_KEY:
            self._read()
        if self.state >= HANDSHAKE:
            self.flush(now)

    def _read(self):
        while data := self.channel.read():
            if len(self._plaintext) + len(data) > _MAX_PENDING_PLAINTEXT:
                raise ProtocolError("control message too long")
            self._plaintext += data
        if self.state == SENT_KEY and self._plaintext:
            message = parse_server(self._plaintext)
            if message:
                self._server_random, self.server_options, used = message
                self._plaintext = self._plaintext[used:]
                self.state = GOT_KEY

    def flush(self, now):
        """Moves TLS output into the send window while there is room."""
        while self.channel and self.reliable.can_send():
            limit = self._max_payload
            if self._first_opcode == opcodes.CONTROL_WKC_V1:
                limit = max(1, limit - self._wkc_size)
            data = self.channel.take(limit)
            if not data:
                return
            self.reliable.send(self._first_opcode, data, now)
            self._first_opcode = opcodes.CONTROL_V1

    def send_message(self, text, now):
        """Queues a control message (bytes without the NUL)."""
        self.channel.write(text + b"\0")
        self.flush(now)

    def next_message(self):
        """The next complete control message (bytes without the NUL), or None."""
        while self.state == GOT_KEY:
            message, nul, rest = self._plaintext.partition(b"\0")
            if not nul:
                return None
            self._plaintext = rest
            if message:
                return message
        return None

    def keys(self, exporter, client_session_id, server_session_id):
        """The 256-octet key block; exporter: from TLS itself (RFC 5705) instead of the PRF."""
        if exporter:
            return self.channel.export(EXPORTER_LABEL, 256)
        return derive_keys(
            self._source, self._server_random, client_session_id, server_session_id
        )

    def forget_secrets(self):
        """Drops what the keys were derived from."""
        self._source = self._server_random = b""

    def close(self):
        """Frees the TLS channel."""
        if self.channel:
            self.channel.close()
            self.channel = None
