"""An OpenVPN server for the tests of openvpn.session: the other role of the same modules, over the
interpreter's own TLS. It serves one client, and is joined with it by openvpn_link."""

import sys

from branchline.openvpn import opcodes
from branchline.openvpn.data import DataChannel
from branchline.openvpn.key_method import derive_keys
from branchline.openvpn.packet import SESSION_ID_SIZE, build_body, parse_body
from branchline.openvpn.reliable import Reliable
from branchline.openvpn.tls_wrap import HEADER_SIZE, PlainWrap, TlsAuth, TlsCrypt
from branchline.wire.counters import Counters
from branchline.wire.errors import ProtocolError
from branchline.wire.slot import HEADROOM, Slot
from branchline.wire.ticks import earliest
from tls_support import PKI, MemoryStream, pem

_SEGMENT = 1000
_CAPACITY = 2000
_KEY_HEADER = b"\0\0\0\0\2"
_STRINGS_AT = 5 + 112
_RESETS = (opcodes.HARD_RESET_CLIENT_V2, opcodes.HARD_RESET_CLIENT_V3)
_WITH_WKC = (opcodes.HARD_RESET_CLIENT_V3, opcodes.CONTROL_WKC_V1)


if sys.implementation.name == "micropython":
    import tls

    class TlsServer:
        """The server's end of one TLS connection, by mbedtls."""

        def __init__(self, name="server"):
            self._context = tls.SSLContext(tls.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(pem(name + ".crt"), pem(name + ".key"))
            self._stream = MemoryStream()
            self._ssl = self._context.wrap_socket(
                self._stream, server_side=True, do_handshake_on_connect=False
            )

        def feed(self, data):
            self._stream.input += data

        def read(self):
            return self._ssl.read(4096) or b""

        def write(self, data):
            assert self._ssl.write(data) == len(data)

        def take(self, limit):
            data = self._stream.output[:limit]
            self._stream.output = self._stream.output[limit:]
            return data

else:
    import ssl

    class TlsServer:
        """The server's end of one TLS connection, by OpenSSL."""

        def __init__(self, name="server"):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(PKI + name + ".crt", PKI + name + ".key")
            self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
            self._ssl = context.wrap_bio(self._in, self._out, server_side=True)

        def feed(self, data):
            self._in.write(data)

        def read(self):
            try:
                return self._ssl.read(4096)
            except ssl.SSLWantReadError:
                return b""

        def write(self, data):
            self._ssl.write(data)

        def take(self, limit):
            return self._out.read(limit)


def server_wrap(kind, key, provider, unix_time, direction=None, digest="SHA1"):
    """The server's wrapper for a client's tls_wrap; direction: the client's key-direction."""
    if kind == "auth":
        return TlsAuth(key, {None: None, 0: 1, 1: 0}[direction], provider, digest, unix_time)
    if kind:
        # The two ends of tls-crypt use the halves of the key the other way round.
        return TlsCrypt(key[128:] + key[:128], provider, unix_time)
    return PlainWrap()


class _Negotiation:
    """One key id: its reliability layer, TLS and plaintext so far."""

    def __init__(self, key_id, reset, now):
        self.key_id = key_id
        self.reliable = Reliable(500)
        self.reliable.send(reset, b"", now)
        self.tls = None
        self.text = b""
        self.info = None

    def deliver(self):
        while (payload := self.reliable.next_in_order()) is not None:
            if self.tls is None:
                self.tls = TlsServer()
            else:
                self.tls.feed(payload)
        if self.tls:
            while data := self.tls.read():
                self.text += data

    def flush(self, now):
        while self.tls and self.reliable.can_send():
            data = self.tls.take(_SEGMENT)
            if not data:
                return
            self.reliable.send(opcodes.CONTROL_V1, data, now)


class Server:
    """wrap: see server_wrap; options: TunnelOptions of the data channel, with its cipher and
    peer id; push: the messages that answer PUSH_REQUEST; auth: the data channel's digest; wkc: the
    client's wrapped key."""

    def __init__(self, wrap, provider, random, options, push, auth, wkc=b""):
        self.local_id = random(SESSION_ID_SIZE)
        self.remote_id = None
        self.current = None
        self.push = push
        self.packets = []  # payloads, as they came
        self.messages = []  # control messages
        self.infos = []  # (options, user, password, peer info) of each negotiation
        self.ignored_rekeys = 0  # soft resets still to be ignored
        self.dropped = 0
        self.opcodes = []
        self.key_options = b"V4,dev-type tun,cipher AES-256-GCM"
        self.early_flags = b""
        self.counters = Counters(DataChannel.COUNTERS)
        self.data = None
        self._wrap = wrap
        self._provider = provider
        self._random = random
        self._options = options
        self._wkc = wkc
        self._auth = auth
        self.negotiations = {}
        self._channels = {}
        self._slot = Slot(_CAPACITY)

    # ---- the control channel ----

    def receive(self, packet, now):
        """Takes a datagram (bytes)."""
        opcode = packet[0] >> 3
        if opcode in (opcodes.DATA_V1, opcodes.DATA_V2):
            self._receive_data(packet)
            return
        if self._wkc and opcode in _WITH_WKC:
            if not packet.endswith(self._wkc):
                self.dropped += 1
                return
            packet = packet[: -len(self._wkc)]
        try:
            body = self._wrap.unwrap(packet)
            acks, acked_id, message_id, payload = parse_body(opcode, body)
        except ProtocolError:
            self.dropped += 1
            return
        self.opcodes.append(opcode)
        negotiation = self._match(opcode, packet, now)
        if negotiation is None or acked_id not in (None, self.local_id):
            self.dropped += 1
            return
        for ack in acks:
            negotiation.reliable.acknowledged(ack)
        if message_id is not None and negotiation.reliable.received(message_id, payload):
            try:
                negotiation.deliver()
                self._read(negotiation, now)
            except OSError:
                pass  # TLS came to its end: what the client says of it is what is tested
        negotiation.flush(now)

    def _match(self, opcode, packet, now):
        key_id = packet[0] & 7
        if opcode in _RESETS and self.remote_id is None:
            self.remote_id = packet[1:HEADER_SIZE]
            self._open(0, opcodes.HARD_RESET_SERVER_V2, now)
            self.current = self.negotiations[0]
        if packet[1:HEADER_SIZE] != self.remote_id:
            return None
        if opcode == opcodes.SOFT_RESET_V1 and key_id not in self.negotiations:
            if self.ignored_rekeys:
                self.ignored_rekeys -= 1
                return None
            self._open(key_id, opcodes.SOFT_RESET_V1, now)
        return self.negotiations.get(key_id)

    def _open(self, key_id, reset, now):
        self.negotiations[key_id] = _Negotiation(key_id, reset, now)

    def _read(self, negotiation, now):
        if negotiation.info is None:
            end = _strings_end(negotiation.text)
            if not end:
                return
            self._exchange_keys(negotiation, negotiation.text[:end])
            negotiation.text = negotiation.text[end:]
        while b"\0" in negotiation.text:
            message, _, negotiation.text = negotiation.text.partition(b"\0")
            self.messages.append(message)
            if message == b"PUSH_REQUEST":
                for reply in self.push:
                    self.say(reply, now)

    def _exchange_keys(self, negotiation, text):
        assert text[:5] == _KEY_HEADER
        negotiation.info = _strings(text)
        self.infos.append(negotiation.info)
        random = self._random(64)
        options = self.key_options
        size = (len(options) + 1).to_bytes(2, "big")
        negotiation.tls.write(_KEY_HEADER + random + size + options + b"\0" + bytes(6))
        keys = derive_keys(text[5:_STRINGS_AT], random, self.remote_id, self.local_id)
        data = DataChannel(
            keys,
            negotiation.key_id,
            self._options,
            self._provider,
            self.counters,
            self._auth,
            server=True,
        )
        self._channels[data.first_octet] = data
        if self.data is None:
            self.data = data
        # At most the last two keys are kept, as on the client.
        for key_id in list(self.negotiations):
            if key_id not in (negotiation.key_id, self.current.key_id):
                del self.negotiations[key_id]
        self.current = negotiation

    def say(self, message, now):
        """Sends a control message (bytes)."""
        self.current.tls.write(message + b"\0")
        self.current.flush(now)

    def rekey(self, now):
        """Sends a soft reset, unless the client has sent one."""
        key_id = self.current.key_id % 7 + 1
        if key_id not in self.negotiations:
            self._open(key_id, opcodes.SOFT_RESET_V1, now)

    def next_packet(self, now):
        """The next packet of the control channel, or None."""
        for negotiation in list(self.negotiations.values()):
            reliable = negotiation.reliable
            due = reliable.next_due(now)
            if due and due[0] == opcodes.HARD_RESET_SERVER_V2:
                due = due[0], due[1], self.early_flags
            if due is None and reliable.acks_pending():
                due = (opcodes.ACK_V1, None, b"")
            if due:
                opcode, message_id, payload = due
                body = build_body(reliable.take_acks(), self.remote_id, message_id, payload)
                header = bytes([opcode << 3 | negotiation.key_id]) + self.local_id
                return self._wrap.wrap(header, body)
        return None

    def next_timer(self):
        """The tick at which a packet is due, or None."""
        return earliest(*[n.reliable.next_timer() for n in self.negotiations.values()])

    def forge(self, opcode, body=b"\0\0\0\0\0", session_id=None, key_id=0):
        """A packet as this server would wrap it."""
        header = bytes([opcode << 3 | key_id]) + (session_id or self.local_id)
        return self._wrap.wrap(header, body)

    # ---- the data channel ----

    def seal(self, payload):
        """The data packet of a payload (bytes), as bytes."""
        slot = self._slot
        slot.buf[HEADROOM : HEADROOM + len(payload)] = payload
        n = self.data.seal(slot, len(payload))
        return bytes(slot.at(self.data.wire_offset)[:n])

    def _receive_data(self, packet):
        data = self._channels.get(packet[0])
        if data is None:
            self.dropped += 1
            return
        slot = self._slot
        slot.buf[data.wire_offset : data.wire_offset + len(packet)] = packet
        n = data.open(slot, len(packet))
        if n:
            self.packets.append(bytes(slot.at(HEADROOM)[:n]))
            self.data = data  # the client has the new key: seal with it too


def _strings_end(text):
    """Where the four strings of a client's key-method message end; 0 while it is incomplete."""
    at = _STRINGS_AT
    for _ in range(4):
        if len(text) < at + 2:
            return 0
        at += 2 + int.from_bytes(text[at : at + 2], "big")
    return at if len(text) >= at else 0


def _strings(text):
    found = []
    at = _STRINGS_AT
    for _ in range(4):
        size = int.from_bytes(text[at : at + 2], "big")
        found.append(text[at + 2 : at + 2 + size].rstrip(b"\0"))
        at += 2 + size
    return tuple(found)
