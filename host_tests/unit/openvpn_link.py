"""A client session and the server of openvpn_server joined in one process, in virtual time.

Datagrams take 10 ms each way; a seeded generator loses, doubles, delays and damages them, so
that a run is the same every time and on every interpreter.
"""

import sys

from branchline.crypto.aead import Providers
from branchline.crypto.pure import Pure
from branchline.crypto.x509 import hostname
from branchline.openvpn import session as ovpn
from branchline.openvpn.options import TunnelOptions
from branchline.openvpn.profile import Profile
from branchline.wire.slot import HEADROOM, Slot
from branchline.wire.ticks import ticks_add, ticks_diff
from openvpn_server import Server, pem, server_wrap

if sys.implementation.name == "micropython":
    from branchline.hal.linux import mbedtls
    from branchline.hal.tls_micropython import TlsContext

    NATIVE = mbedtls.load()
else:
    from branchline.hal.tls_cpython import TlsContext

    NATIVE = None

CAPACITY = 1600
UNIX_TIME = 1_800_000_000
STATIC_KEY = bytes([(i * 167 + 13) & 255 for i in range(256)])
WKC = bytes([(i * 31 + 7) & 255 for i in range(290)])
PUSH = b"PUSH_REPLY,ifconfig 10.8.0.2 255.255.255.0,topology subnet,peer-id 5,cipher AES-128-CBC"
PUSH_GCM = PUSH.replace(b"CBC", b"GCM")
_DELAY = 10
_MAX_STEPS = 200_000


class Random:
    """A small generator (Lehmer's): the same octets on both interpreters."""

    def __init__(self, seed):
        self._state = seed + 1

    def below(self, n):
        self._state = self._state * 48271 % 0x7FFFFFFF
        return self._state % n

    def octets(self, n):
        return bytes([self.below(256) for _ in range(n)])


class Faults:
    """What happens to datagrams, in percent; flip damages one octet of a control packet."""

    def __init__(self, seed=0, loss=0, double=0, delay=0, flip=0):
        self._random = Random(seed)
        self.loss, self.double, self.delay, self.flip = loss, double, delay, flip

    def _hits(self, percent):
        return percent and self._random.below(100) < percent

    def deliveries(self, packet):
        """(delay in ms, datagram) of each copy that arrives."""
        if self._hits(self.loss):
            return []
        out = [(_DELAY, packet)]
        if self._hits(self.double):
            out.append((_DELAY + self._random.below(100), packet))
        if self._hits(self.delay):
            out[0] = (_DELAY + self._random.below(100), packet)
        if self._hits(self.flip):
            damaged = bytearray(packet)
            damaged[self._random.below(len(packet))] ^= 1 << self._random.below(8)
            out[0] = (out[0][0], bytes(damaged))
        return out


def make_profile(**settings):
    """A client's profile; settings are its attributes, or those of its options."""
    profile = Profile()
    profile.name = "test.ovpn"
    profile.dev = profile.dev_type = "tun"
    profile.ca, profile.cert, profile.key = pem("ca.crt"), pem("client.crt"), pem("client.key")
    profile.pull = True
    profile.data_ciphers = ("AES-128-CBC",)
    for name, value in settings.items():
        where = profile.options if hasattr(profile.options, name) else profile
        setattr(where, name, value)
    return profile


def make_provider():
    """The pure provider, which needs no library."""
    return Providers([Pure], lambda level, text: None)


class Link:
    """A session and a server; server: attributes of the Server to set before the start; start:
    the first tick; all else are settings of the profile."""

    def __init__(self, faults=None, server=None, start=0, tcp=False, push=(PUSH,), **settings):
        self.profile = profile = make_profile(**settings)
        self.faults = faults or Faults()
        self.random = Random(1)
        self.checked = []
        self._provider = make_provider()
        self._start = start
        self._ms = 0
        self._order = 0
        self._tcp = tcp
        self._flying = []
        self._slot = Slot(CAPACITY)
        self._tap_slot = Slot(CAPACITY)
        self._out = memoryview(bytearray(2048))
        self.events = []
        self.received = []
        self.sizes = []
        self.silent = False  # True: no datagram arrives any more
        self.env = ovpn.Environment(
            TlsContext(profile, hostname, NATIVE),
            self._provider,
            self.random.octets,
            self.checked.append,
        )
        options = TunnelOptions()
        options.cipher = profile.data_ciphers[0]
        options.peer_id = 5
        wrap = server_wrap(
            profile.tls_wrap,
            profile.tls_key,
            self._provider,
            UNIX_TIME,
            profile.key_direction,
            profile.auth,
        )
        self.server = Server(
            wrap,
            self._provider,
            self.random.octets,
            options,
            push,
            profile.auth,
            profile.wkc or b"",
        )
        for name, value in (server or {}).items():
            setattr(self.server, name, value)
        self.session = ovpn.Session(
            profile, self.env, tcp, False, UNIX_TIME, profile.auth_user_pass
        )
        patience_s = self.profile.server_poll_timeout or 120
        self.session.start(self.now(), patience_s * 1000)
        self._drain()

    def now(self):
        """The present tick."""
        return ticks_add(self._start, self._ms)

    def kinds(self):
        """The kinds of all events so far."""
        return [kind for kind, _ in self.events]

    def down(self):
        """(reason, text) of the session's end, or None."""
        ends = [detail for kind, detail in self.events if kind == ovpn.DOWN]
        assert len(ends) < 2
        return ends[0] if ends else None

    # ---- packets ----

    def send(self, payload):
        """A packet of the client's device; False if it was dropped."""
        slot = self._tap_slot
        slot.buf[HEADROOM : HEADROOM + len(payload)] = payload
        n = self.session.ring.seal(slot, len(payload))
        if n:
            self._fly(True, bytes(slot.at(self.session.wire_offset)[:n]))
        return n > 0

    def send_down(self, payload):
        """A packet of the server's device."""
        self._fly(False, self.server.seal(payload))

    def inject(self, packet):
        """A datagram that reaches the client now; answers what receive() does."""
        slot = self._slot
        offset = self.session.wire_offset
        room = len(slot.buf) - offset
        slot.buf[offset : offset + min(len(packet), room)] = packet[:room]
        n = self.session.receive(slot, len(packet), self.now())
        if n:
            self.received.append(bytes(slot.at(HEADROOM)[:n]))
        if self.session.needs_drain:
            self._drain()
        return n

    def _fly(self, to_server, packet):
        for delay, copy in self.faults.deliveries(packet):
            self._order += 1
            self._flying.append((self._ms + delay, self._order, to_server, copy))

    def _drain(self):
        """As the pump does."""
        session = self.session
        session.needs_drain = False
        while n := session.next_datagram(self._out):
            self.sizes.append(n)
            self._fly(True, bytes(self._out[:n]))
        while event := session.next_event():
            self.events.append(event)

    def _serve(self):
        while packet := self.server.next_packet(self.now()):
            self._fly(False, packet)

    # ---- time ----

    def _deliver(self):
        while True:
            due = [flight for flight in self._flying if flight[0] <= self._ms]
            if not due:
                return
            flight = min(due)
            self._flying.remove(flight)
            _, _, to_server, packet = flight
            if self.silent:
                continue
            if to_server:
                self.server.receive(packet, self.now())
                self._serve()
            else:
                self.inject(packet)

    def _next(self, end):
        """The ms of what happens next, at most end."""
        times = [flight[0] for flight in self._flying] + [end]
        timers = (self.session.next_timer(), self.server.next_timer())
        times += [self._ms + ticks_diff(due, self.now()) for due in timers if due is not None]
        return max(self._ms, min(times))

    def run(self, ms, until=None):
        """Lets ms pass, less if until() becomes true; answers whether it did."""
        end = self._ms + ms
        for _ in range(_MAX_STEPS):
            self._deliver()
            if until and until():
                return True
            if self._ms == end:
                return False
            moment = self._next(end)
            # A deadline that has passed has been handled: nothing may come of it twice.
            self._ms = moment if moment > self._ms else self._ms + 1
            self.session.handle_timer(self.now())
            if self.session.needs_drain:
                self._drain()
            self._serve()
        raise AssertionError("the virtual time stands still")

    def come_up(self, ms=60_000):
        """Runs until the session is up; answers self."""
        up = self.run(ms, lambda: ovpn.UP in self.kinds())
        assert up, (self.events, self.session.counters.nonzero())
        return self
