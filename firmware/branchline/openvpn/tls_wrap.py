"""Wrapping of the control channel: none, tls-auth, tls-crypt and tls-crypt-v2.

A wrapper turns `header (opcode 1 | session id 8)` and body into a packet and back. It keeps the
packet ids of both directions over all key negotiations of a session. unwrap raises
ProtocolError whose argument names the counter of the reason.
"""

from micropython import const

from branchline.crypto.aead import DIGEST_SIZES
from branchline.crypto.aes_ctr import AesCtr
from branchline.openvpn import opcodes
from branchline.openvpn.packet_id import LongReplayWindow
from branchline.wire.errors import ProtocolError, Unsupported

HEADER_SIZE = const(9)
_STAMP_SIZE = const(8)  # packet id and the sender's start time (Unix, s), 4 octets each
_TAG_SIZE = const(32)
# The first packet id of a tls-crypt-v2 client that can repeat WKc in its third packet, as
# servers that answer resets statelessly ask for (openvpn 2.6, "early negotiation").
_EARLY_NEGOTIATION = const(0x0F000000)


class PlainWrap:
    """No protection at all."""

    overhead = HEADER_SIZE

    def wrap(self, header, body):
        """The packet as bytes."""
        return header + body

    def unwrap(self, packet):
        """The body of a packet (bytes) that a peer sent."""
        if len(packet) < HEADER_SIZE:
            raise ProtocolError("too_short")
        return packet[HEADER_SIZE:]


class _Stamped:
    """Packet ids with the session's start time, and the replay window over the peer's."""

    def __init__(self, unix_time, first_id=0):
        self._time = (unix_time & 0xFFFFFFFF).to_bytes(4, "big")
        self._id = first_id
        self._window = LongReplayWindow()

    def _stamp(self):
        self._id += 1
        return self._id.to_bytes(4, "big") + self._time

    def _check_replay(self, stamp):
        packet_id = int.from_bytes(stamp[:4], "big")
        seconds = int.from_bytes(stamp[4:], "big")
        if not self._window.accept(packet_id, seconds):
            raise ProtocolError("control_replay")


class TlsAuth(_Stamped):
    """tls-auth: `header | HMAC | stamp | body`, the HMAC over `stamp | header | body`.

    key: the static key's 256 octets; direction: key-direction 0, 1 or None; provider: for
    its hmac; digest: the `auth` digest's name.
    """

    def __init__(self, key, direction, provider, digest, unix_time):
        super().__init__(unix_time)
        send, receive = {None: (64, 64), 0: (64, 192), 1: (192, 64)}[direction]
        size = DIGEST_SIZES.get(digest)
        if size is None:
            raise Unsupported("auth " + digest)
        self._send = provider.hmac(digest, key[send : send + size])
        self._receive = provider.hmac(digest, key[receive : receive + size])
        self._size = size
        self.overhead = HEADER_SIZE + self._size + _STAMP_SIZE

    def wrap(self, header, body):
        """The packet as bytes."""
        stamp = self._stamp()
        signed = stamp + header + body
        mac = bytearray(self._size)
        self._send.compute(signed, len(signed), mac)
        return header + mac + stamp + body

    def unwrap(self, packet):
        """The body of an authentic packet that is not a replay."""
        end = HEADER_SIZE + self._size
        if len(packet) < end + _STAMP_SIZE:
            raise ProtocolError("too_short")
        stamp = packet[end : end + _STAMP_SIZE]
        body = packet[end + _STAMP_SIZE :]
        signed = stamp + packet[:HEADER_SIZE] + body
        if not self._receive.verify(signed, len(signed), packet[HEADER_SIZE:end]):
            raise ProtocolError("control_bad_auth")
        self._check_replay(stamp)
        return body


class TlsCrypt(_Stamped):
    """tls-crypt: `header | stamp | tag | AES-256-CTR(body)`, tag = HMAC-SHA256 of the plaintext.

    The tag's first 16 octets are the counter's start value. key: the static key's 256 octets.
    """

    overhead = HEADER_SIZE + _STAMP_SIZE + _TAG_SIZE

    def __init__(self, key, provider, unix_time, first_id=0):
        super().__init__(unix_time, first_id)
        self._send_cipher = AesCtr(key[128:160])
        self._send_mac = provider.hmac("SHA256", key[192:224])
        self._receive_cipher = AesCtr(key[:32])
        self._receive_mac = provider.hmac("SHA256", key[64:96])

    def wrap(self, header, body):
        """The packet as bytes."""
        head = header + self._stamp()
        tag = bytearray(_TAG_SIZE)
        signed = head + body
        self._send_mac.compute(signed, len(signed), tag)
        return head + tag + self._send_cipher.crypt(bytes(tag[:16]), body)

    def unwrap(self, packet):
        """The body of an authentic packet that is not a replay."""
        if len(packet) < self.overhead:
            raise ProtocolError("too_short")
        head = packet[: HEADER_SIZE + _STAMP_SIZE]
        tag = packet[len(head) : self.overhead]
        body = self._receive_cipher.crypt(tag[:16], packet[self.overhead :])
        signed = head + body
        if not self._receive_mac.verify(signed, len(signed), tag):
            raise ProtocolError("control_bad_auth")
        self._check_replay(head[HEADER_SIZE:])
        return body


class TlsCryptV2(TlsCrypt):
    """tls-crypt-v2: tls-crypt under the client's own key, which the server learns from WKc.

    key: Kc, 256 octets; wkc: the wrapped key, appended to the packets that introduce it.
    """

    def __init__(self, key, wkc, provider, unix_time):
        super().__init__(key, provider, unix_time, _EARLY_NEGOTIATION)
        self._wkc = wkc

    def wrap(self, header, body):
        """The packet as bytes."""
        packet = super().wrap(header, body)
        if header[0] >> 3 in (opcodes.HARD_RESET_CLIENT_V3, opcodes.CONTROL_WKC_V1):
            return packet + self._wkc
        return packet


def make_wrap(profile, provider, unix_time):
    """The wrapper that a profile asks for. Raises Unsupported for a digest nobody provides."""
    key = profile.tls_key
    if profile.tls_wrap == "auth":
        return TlsAuth(key, profile.key_direction, provider, profile.auth, unix_time)
    if profile.tls_wrap == "crypt":
        return TlsCrypt(key, provider, unix_time)
    if profile.tls_wrap == "crypt-v2":
        return TlsCryptV2(key, profile.wkc, provider, unix_time)
    return PlainWrap()
