"""The packet pump between a device and a transport, which are faked here."""

from branchline.openvpn import session as ovpn
from branchline.openvpn.mss import MssClamp
from branchline.tunnel.pump import Pump
from branchline.tunnel.recursion import RecursionCheck
from openvpn_link import CAPACITY, PUSH_GCM, Link
from support import MACHINE_CODE, SMALL_ADDRESSES, heap_lock, heap_unlock, raises, unhex

# The pure provider's CBC allocates.
_GCM = {"push": (PUSH_GCM,), "data_ciphers": ("AES-128-GCM",)}

# An IPv4 TCP SYN with MSS 1460; the checksum is right.
_SYN = unhex(
    "4500 002c 0001 0000 4006 0000 0a08 0002 0a08 0001"
    "1f90 0050 0000 0001 0000 0000 6002 2000 95c6 0000 0204 05b4"
)


class Poller:
    """Remembers who is registered."""

    def __init__(self):
        self.callbacks = {}
        self.writers = set()

    def register(self, source, callback):
        assert source not in self.callbacks
        self.callbacks[source] = callback

    def unregister(self, source):
        del self.callbacks[source]

    def want_write(self, source, wanted):
        assert source in self.callbacks
        (self.writers.add if wanted else self.writers.discard)(source)


class End:
    """A device or transport: gives `packets` one by one, keeps what is written. Copies octet by
    octet, which does not allocate."""

    def __init__(self, prefix=0):
        self.prefix = prefix
        self.packets = ()
        self.written = bytearray(CAPACITY)
        self.sizes = []
        self.count = self.size = 0
        self._at = 0

    def give(self, packets):
        self.packets = packets
        self._at = 0

    def readinto(self, view):
        if self._at == len(self.packets):
            return None
        packet = self.packets[self._at]
        self._at += 1
        for i in range(len(packet)):
            view[i] = packet[i]
        return len(packet)

    def write(self, view, n):
        for i in range(n):
            self.written[i] = view[self.prefix + i]
        self.count += 1
        self.size = n
        return n


class Stream(End):
    """A transport over TCP; takes whole packets while `room`, then one in part, then none."""

    def __init__(self, room):
        super().__init__(2)
        self.room = room
        self.blocked = False

    def write(self, view, n):
        if self.blocked:
            return None
        if self.room:
            self.room -= 1
        self.blocked = not self.room
        return super().write(view, n)

    def flush(self):
        self.blocked = not self.room
        return not self.blocked


def _broken(error, now):
    raise error


def _joined(transport, clamp=None, recursion=None, **settings):
    """(pump, poller, device, link) of a session that is up."""
    link = Link(**settings).come_up()
    poller = Poller()
    pump = Pump(link.session, transport, poller, CAPACITY, link.now, lambda now: None, _broken)
    device = End()
    pump.attach(device, clamp, recursion)
    return pump, poller, device, link


def test_packets_move_both_ways():
    for prefix in (0, 2):
        transport = End(prefix)
        pump, poller, device, link = _joined(transport)
        transport.give([link.server.seal(b"E one"), b"", b"\xff" * 40, link.server.seal(b"E two")])
        poller.callbacks[transport](True, False)
        assert device.count == 2 and bytes(device.written[: device.size]) == b"E two"
        device.give([b"E up"])
        poller.callbacks[device](True, False)
        link.server.receive(bytes(transport.written[: transport.size]), link.now())
        assert link.server.packets == [b"E up"]
        assert link.session.counters.nonzero() == {"too_short": 1, "unknown_opcode": 1}


def test_at_most_sixteen_packets_a_time():
    transport = End()
    pump, poller, device, link = _joined(transport)
    transport.give([link.server.seal(b"E") for _ in range(20)])
    poller.callbacks[transport](True, False)
    assert device.count == 16
    poller.callbacks[transport](True, False)
    assert device.count == 20
    device.give([b"E"] * 20)
    poller.callbacks[device](True, False)
    assert transport.count == 16


def test_tcp_segments_are_clamped_both_ways():
    transport = End()
    pump, poller, device, link = _joined(transport, MssClamp((1300, 1280)))
    transport.give([link.server.seal(_SYN)])
    poller.callbacks[transport](True, False)
    assert bytes(device.written[42:44]) == (1300).to_bytes(2, "big")
    device.give([_SYN])
    poller.callbacks[device](True, False)
    link.server.receive(bytes(transport.written[: transport.size]), link.now())
    assert link.server.packets[0][42:44] == (1300).to_bytes(2, "big")


def test_packets_to_the_server_never_enter_its_tunnel():
    ipv4 = b"\x45" + bytes(15) + b"\xc0\0\x02\x01"
    ipv6 = b"\x60" + bytes(23) + b"\x20\x01" + bytes(13) + b"\x01"
    for server, tap, packet, expected in (
        (ipv4[16:], False, ipv4, True),
        (ipv4[16:], False, ipv4 + bytes(8), True),
        (ipv4[16:], False, ipv4[:-1], False),
        (ipv4[16:], False, ipv4[:-1] + b"\x02", False),
        (ipv4[16:], False, b"\x60" + ipv4[1:], False),
        (ipv4[16:], True, bytes(14) + ipv4, True),
        (ipv4[16:], True, ipv4, False),
        (ipv6[24:], False, ipv6, True),
        (ipv6[24:], False, ipv6[:-1] + b"\x02", False),
    ):
        check = RecursionCheck(server, tap)
        assert check.is_to_server(bytearray(b"??" + packet), 2, len(packet)) == expected, packet
    transport = End()
    pump, poller, device, link = _joined(transport, recursion=RecursionCheck(ipv4[16:], False))
    device.give([ipv4[:-1] + b"\x02", ipv4])
    error = raises(OSError, poller.callbacks[device], True, False)
    assert "outside the tunnel" in error.args[1] and transport.count == 1


def test_a_full_stream_stops_the_device_until_it_is_writable():
    transport = Stream(3)
    pump, poller, device, link = _joined(transport)
    device.give([b"E"] * 10)
    poller.callbacks[device](True, False)
    assert transport in poller.writers and device not in poller.callbacks
    assert transport.count == 3
    poller.callbacks[transport](False, True)
    assert transport in poller.writers and device not in poller.callbacks
    transport.room = 100
    poller.callbacks[transport](False, True)
    assert not poller.writers and device in poller.callbacks
    pump.detach()
    assert not poller.callbacks


def test_a_packet_taken_in_part_is_finished():
    # Nothing follows it: the stream must be watched all the same.
    transport = Stream(1)
    pump, poller, device, link = _joined(transport)
    device.give([b"E"])
    poller.callbacks[device](True, False)
    assert transport.blocked and transport in poller.writers
    transport = Stream(1)
    pump, poller, device, link = _joined(transport)
    link.session.stop()
    link.session._pending_data.append(b"E")
    pump.drain(link.now())
    assert transport.blocked and transport in poller.writers


def test_detaching_while_the_device_waits():
    transport = Stream(1)
    pump, poller, device, link = _joined(transport)
    device.give([b"E"] * 3)
    poller.callbacks[device](True, False)
    pump.detach()
    assert not poller.callbacks and pump.device is None


def test_the_sessions_own_datagrams_and_events():
    link = Link()
    poller = Poller()
    transport = End()
    told = []
    pump = Pump(link.session, transport, poller, CAPACITY, link.now, told.append, _broken)
    link.session.handle_timer(link.now())
    link.session._control.current.reliable.send(4, b"x", link.now())
    pump.drain(link.now())
    assert transport.count and told == [link.now()]
    # Data before the tunnel is up goes nowhere.
    transport.give([b"\x48" + bytes(60)])
    poller.callbacks[transport](True, False)
    assert link.session.counters.nonzero() == {"unknown_key": 1}


def test_the_packet_path_allocates_nothing():
    transport = End()
    check = RecursionCheck(bytes(4), False)
    pump, poller, device, link = _joined(transport, MssClamp((1300, 1280)), check, **_GCM)
    assert link.session.options.cipher == "AES-128-GCM" and link.kinds() == [ovpn.UP]
    device.give([b"E" * 1400, _SYN])
    transport.give([link.server.seal(b"E" * 1400), link.server.seal(_SYN)])
    # The first packets make the views of the slots.
    down, up = poller.callbacks[transport], poller.callbacks[device]
    down(True, False)
    up(True, False)
    packet = link.server.seal(b"E" * 1400)
    damaged = packet[:-1] + bytes([packet[-1] ^ 1])
    device.give([b"E" * 1400, _SYN, b""])
    transport.give([packet, link.server.seal(_SYN), packet, damaged, packet[:9]])
    heap_lock(strict=MACHINE_CODE and SMALL_ADDRESSES)
    try:
        down(True, False)
        up(True, False)
    finally:
        heap_unlock()
    assert device.count == transport.count == 4
    assert link.session.counters.nonzero() == {
        "data_replay": 2,
        "data_too_long": 1,
        "data_too_short": 1,
    }
