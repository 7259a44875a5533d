"""MAC authentication of Babel packets: keys, packet counters and challenges (RFC 8967, 9467)."""

from micropython import const

from branchline.babel.tlv import (
    CHALLENGE_REPLY,
    CHALLENGE_REQUEST,
    HEADER,
    MAC,
    PC,
    PORT,
    tlvs,
)
from branchline.crypto import hmac
from branchline.wire.errors import ConfigError, ProtocolError
from branchline.wire.ticks import ticks_add, ticks_diff

_INDEX_SIZE = const(8)
_MAX_INDEX = const(32)
_NONCE_SIZE = const(16)
_MAX_NONCE = const(192)
_PC_TLV_SIZE = const(14)
_PC_END = const(0xFFFFFFFF)
# At most one challenge to a neighbour in this time, and one reply (4.3.1.1, 4.3.1.2); and how
# long a challenge may take to be answered.
_GAP_MS = const(300)
_CHALLENGE_MS = const(30_000)

ACCEPT, CHALLENGE, REPLAYED = range(3)


def _hmac_sha256(secret, message):
    return hmac.new(secret, message, "sha256").digest()


_ALGORITHMS = {"hmac-sha256": _hmac_sha256}


class Key:
    """A key with the times, in seconds since 1970, within which it signs and is accepted.

    send, accept: (from, until), either None for no bound. The secret appears in no text.
    """

    def __init__(self, name, algorithm, secret, send=(None, None), accept=(None, None)):
        if algorithm not in _ALGORITHMS:
            known = ", ".join(sorted(_ALGORITHMS))
            raise ConfigError("key " + name, "unknown algorithm " + algorithm, "known: " + known)
        if not secret:
            raise ConfigError("key " + name, "the secret is empty", "give 32 octets")
        self.name = name
        self.send = send
        self.accept = accept
        self._secret = secret
        self._algorithm = _ALGORITHMS[algorithm]

    def mac(self, message):
        """The MAC of a message (bytes-like): 32 octets for HMAC-SHA256, 16 for BLAKE2s."""
        return self._algorithm(self._secret, message)


def _within(times, seconds):
    start, end = times
    return (start is None or seconds >= start) and (end is None or seconds < end)


class Keyring:
    """The keys of an interface. Without a clock, all keys sign and are accepted."""

    def __init__(self, keys):
        self.replace(keys)

    def replace(self, keys):
        """Changes the keys; the times of the new ones count from the next set_clock."""
        self._keys = list(keys)
        self.sending = self._keys
        self._accepting = self._keys

    def set_clock(self, seconds):
        """Chooses the keys that are valid now (seconds since 1970).

        Where none would sign, the one whose time ended last goes on: a wrong clock must not
        cut a gateway off.
        """
        keys = self._keys
        self.sending = [key for key in keys if _within(key.send, seconds)]
        if not self.sending:
            self.sending = sorted(keys, key=lambda key: key.send[1] or 0)[-1:]
        self._accepting = [key for key in keys if _within(key.accept, seconds)] or self.sending

    def verify(self, pseudo_header, buf, end, n):
        """Whether a MAC in the trailer buf[end:n] is that of the packet buf[:end] (4.3)."""
        message = pseudo_header + bytes(memoryview(buf)[:end])
        expected = [key.mac(message) for key in self._accepting]
        matches = False
        try:
            for kind, r in tlvs(buf, end, n):
                if kind == MAC:
                    received = r.rest()
                    for mac in expected:
                        matches |= hmac.compare_digest(mac, received)
        except ProtocolError:
            pass  # What came before a truncated TLV still counts.
        return matches


def pseudo_header(source, destination):
    """The addresses and ports that the MAC covers (4.1)."""
    port = bytes((PORT >> 8, PORT & 0xFF))
    return source + port + destination + port


class Signer:
    """Our side on one interface: the index, drawn anew at every start, and the packet counter."""

    def __init__(self, keyring, random):
        self._random = random
        self.keyring = keyring
        self._draw()

    def _draw(self):
        self._index = self._random(_INDEX_SIZE)
        self._pc = 0

    def room(self):
        """The octets to leave free in each packet."""
        # A MAC has at most 32 octets and a TLV's header.
        return _PC_TLV_SIZE + 34 * len(self.keyring.sending)

    def counter_tlv(self):
        """The PC TLV of the next packet (4.2)."""
        if self._pc == _PC_END:
            self._draw()
        self._pc += 1
        return bytes((PC, 4 + _INDEX_SIZE)) + self._pc.to_bytes(4, "big") + self._index

    def trailer(self, header, packet):
        """The trailer of a finished packet (memoryview), a MAC for each key; header: the
        pseudo-header."""
        message = header + bytes(packet)
        out = b""
        for key in self.keyring.sending:
            mac = key.mac(message)
            out += bytes((MAC, len(mac))) + mac
        return out


class PeerAuth:
    """What is known of a neighbour's index and packet counters, and the challenge under way.

    Unicast and multicast are counted apart, as they may overtake each other (RFC 9467).
    """

    def __init__(self):
        self._index = None
        self._last = [0, 0]
        self._nonce = None
        self._nonce_due = None
        self._gap_due = None
        self._reply_due = None

    def check(self, counters, is_unicast, now):
        """Judges a packet whose MAC is right: ACCEPT, CHALLENGE or REPLAYED (4.3)."""
        if counters.pc is None:
            return REPLAYED
        if self._answers(counters.reply, now):
            self._nonce = None
            self._index = counters.index
            self._last = [counters.pc, counters.pc]
            return ACCEPT
        if self._index is None or self._index != counters.index:
            return CHALLENGE
        if counters.pc <= self._last[is_unicast]:
            return REPLAYED
        self._last[is_unicast] = counters.pc
        return ACCEPT

    def _answers(self, reply, now):
        nonce = self._nonce
        return nonce and reply == nonce and ticks_diff(self._nonce_due, now) > 0

    def challenge(self, random, now):
        """A Challenge Request TLV with a fresh nonce, or None while the last one is too new."""
        if _is_ahead(self._gap_due, now):
            return None
        self._gap_due = ticks_add(now, _GAP_MS)
        self._nonce = random(_NONCE_SIZE)
        self._nonce_due = ticks_add(now, _CHALLENGE_MS)
        return bytes((CHALLENGE_REQUEST, _NONCE_SIZE)) + self._nonce

    def reply(self, nonce, now):
        """The Challenge Reply TLV to a request's nonce (4.4.4), or None while the last one is
        too new: the request may be a replay."""
        if _is_ahead(self._reply_due, now):
            return None
        self._reply_due = ticks_add(now, _GAP_MS)
        return bytes((CHALLENGE_REPLY, len(nonce))) + nonce


def _is_ahead(due, now):
    """Whether the end of a gap lies ahead; an old one may lie half the ticks' period back, and
    only seem to."""
    return due is not None and 0 < ticks_diff(due, now) <= _GAP_MS


class CounterTlvs:
    """The TLVs of a packet that authentication looks at before all others (4.3).

    The counter may stand behind the reply that it completes, so all are read first.
    pc, index: of the first PC TLV; request, reply: the first nonces; None where absent.
    """

    def __init__(self, buf, end):
        self.pc = self.index = self.request = self.reply = None
        for kind, r in tlvs(buf, HEADER, end):
            if kind == PC and self.pc is None:
                pc = r.u32()
                if r.remaining() > _MAX_INDEX:
                    raise ProtocolError("index too long")
                self.pc, self.index = pc, r.rest()
            elif kind == CHALLENGE_REQUEST and self.request is None:
                if r.remaining() <= _MAX_NONCE:
                    self.request = r.rest()
            elif kind == CHALLENGE_REPLY and self.reply is None:
                self.reply = r.rest()
