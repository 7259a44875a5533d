"""MAC authentication (RFC 8967): captured packets, challenges, replays, restarts, rotation."""

from babel_pair import GROUP, START, Random, key
from branchline.babel.agent import Agent
from branchline.babel.interface import Interface
from branchline.babel.mac import (
    ACCEPT,
    CHALLENGE,
    REPLAYED,
    CounterTlvs,
    Key,
    Keyring,
    PeerAuth,
    Signer,
    pseudo_header,
)
from branchline.babel.packet import Packet
from branchline.babel.tlv import body_end
from branchline.wire.errors import ConfigError, ProtocolError
from branchline.wire.ip import parse_address, parse_prefix
from branchline.wire.ticks import ticks_add
from support import raises, unhex

# Not a secret: the key under which the packets below were captured.
VECTOR_KEY = b"branchline-babel-test-vector-key"

# (name, source, destination, packet), sent by the peers named.
CAPTURED = (
    (
        "babeld 1.12.1: Hello, IHU, PC to the group",
        "fe80::c826:7cff:fe5a:8898",
        "ff02::1:6",
        "2a02002c 040c000057fa00320304c439a7a5 050e0300ffff0096000000000000000a"
        "110c00000006fed30b800badbdce"
        "1020857652a82d8dcdbc307dd75b732aaba4600c64019c071d6b08da838531b4a133",
    ),
    (
        "babeld 1.12.1: Challenge Request, PC to us",
        "fe80::c826:7cff:fe5a:8898",
        "fe80::a",
        "2a020018 1208d838df45c85b0dc1 110c00000004fed30b800badbdce"
        "10206bd7deb4c2e80bc3c30978e9534de9fb1b953d52d738b5352035218289b63f61",
    ),
    (
        "BIRD 2.0.12: Hello, PC to the group",
        "fe80::b",
        "ff02::1:6",
        "2a02002e 0406000000040032"
        "112400000008133d6705ee09764512deaf3424509825353b140778c15aa3f3cb58a7a0778501"
        "1020486843c3b0fb449ead7c61f0dd6a462bd1f4a66864a6d5861bc8b52f55e9af22",
    ),
    (
        "BIRD 2.0.12: Challenge Reply, PC to us",
        "fe80::b",
        "fe80::a",
        "2a020038 131047beac70ef091e29f2fc8786207371ec"
        "112400000006133d6705ee09764512deaf3424509825353b140778c15aa3f3cb58a7a0778501"
        "1020111b82d93e19fc948281e3e66f2f4bbbdd45dce46eae98f8b01ad74b53d357b5",
    ),
)


def ring(*secrets):
    return Keyring([Key("k%d" % i, "hmac-sha256", s) for i, s in enumerate(secrets)])


def test_captured_packets_are_authentic_and_nothing_else_is():
    for name, source, destination, text in CAPTURED:
        data = bytearray(unhex(text))
        end = body_end(data, len(data))
        header = pseudo_header(parse_address(source), parse_address(destination))
        assert ring(VECTOR_KEY).verify(header, data, end, len(data)), name
        assert ring(b"another", VECTOR_KEY).verify(header, data, end, len(data)), name
        assert not ring(b"another").verify(header, data, end, len(data)), name
        elsewhere = pseudo_header(parse_address(source), parse_address("fe80::c"))
        assert not ring(VECTOR_KEY).verify(elsewhere, data, end, len(data)), name
        assert not ring(VECTOR_KEY).verify(header, data, end, end), name
        for i in range(len(data)):
            if i == end + 1:
                continue  # A shorter MAC is another case, below.
            data[i] ^= 1
            assert not ring(VECTOR_KEY).verify(header, data, end, len(data)), (name, i)
            data[i] ^= 1


def test_a_shortened_or_truncated_mac_is_none():
    name, source, destination, text = CAPTURED[0]
    data = bytearray(unhex(text))
    end = body_end(data, len(data))
    header = pseudo_header(parse_address(source), parse_address(destination))
    for n in range(end, len(data)):
        assert not ring(VECTOR_KEY).verify(header, data, end, n), n
    data[end + 1] = 31
    assert not ring(VECTOR_KEY).verify(header, data, end, len(data) - 1)


def test_4_3_counter_tlvs_are_read_before_all_others():
    data = unhex(CAPTURED[3][3])
    tlvs = CounterTlvs(data, body_end(data, len(data)))
    assert tlvs.pc == 6
    assert len(tlvs.index) == 32
    assert tlvs.reply == unhex("47beac70ef091e29f2fc8786207371ec")
    assert tlvs.request is None
    long_index = b"\x2a\x02\x00\x27\x11\x25" + bytes(4 + 33)
    assert raises(ProtocolError, CounterTlvs, long_index, len(long_index))


class Counted:
    """What CounterTlvs reads, made by hand."""

    def __init__(self, pc, index=b"index", reply=None):
        self.pc = pc
        self.index = index
        self.request = None
        self.reply = reply


def test_4_3_packet_counters():
    auth = PeerAuth()
    random = Random(5)
    assert auth.check(Counted(1), False, START) == CHALLENGE
    nonce = auth.challenge(random, START)[2:]
    assert auth.check(Counted(2, reply=b"wrong" + bytes(11)), False, START) == CHALLENGE
    assert auth.check(Counted(3, reply=nonce), True, START) == ACCEPT
    # (counter, unicast, index, verdict)
    steps = (
        (4, False, b"index", ACCEPT),
        (4, False, b"index", REPLAYED),
        (3, False, b"index", REPLAYED),
        (9, False, b"index", ACCEPT),
        (8, False, b"index", REPLAYED),
        (5, True, b"index", ACCEPT),  # RFC 9467: unicast is counted apart
        (5, True, b"index", REPLAYED),
        (100, False, b"other", CHALLENGE),
        (10, False, b"index", ACCEPT),
        (None, False, None, REPLAYED),
    )
    for pc, unicast, index, verdict in steps:
        assert auth.check(Counted(pc, index), unicast, START) == verdict, (pc, unicast)
    # A reply counts once.
    assert auth.check(Counted(200, b"other", nonce), True, START) == CHALLENGE


def test_4_3_1_challenges_are_rare_and_expire():
    auth = PeerAuth()
    random = Random(6)
    first = auth.challenge(random, START)
    assert auth.challenge(random, ticks_add(START, 299)) is None
    second = auth.challenge(random, ticks_add(START, 300))
    assert first[2:] != second[2:]
    late = ticks_add(START, 300 + 30_000)
    assert auth.check(Counted(1, reply=second[2:]), True, late) == CHALLENGE
    # Half of the ticks' period later, a challenge is sent all the same.
    assert auth.challenge(random, ticks_add(START, (1 << 29) + 1000))


def test_4_3_1_2_replies_are_rare_and_a_challenge_to_the_group_gets_none():
    auth = PeerAuth()
    assert auth.reply(b"nonce", START) == b"\x13\x05nonce"
    assert auth.reply(b"other", ticks_add(START, 299)) is None
    assert auth.reply(b"other", ticks_add(START, 300)) == b"\x13\x05other"
    pair = Pair(ring(b"secret"), ring(b"secret"))
    pair.run(2_000)
    for destination, replies in ((GROUP, 0), (pair.addresses[0], 1)):
        signer = Signer(pair.rings[1], Random(9))
        buf = bytearray(200)
        packet = Packet(buf, 100)
        packet.raw(b"\x12\x0512345")
        n = packet.finish(signer.counter_tlv())
        header = pseudo_header(pair.addresses[1], destination)
        data = bytes(buf[:n]) + signer.trailer(header, memoryview(buf)[:n])
        pair.tap.clear()
        pair.give(0, pair.addresses[1], destination, data)
        pair.run(50)
        assert len([p for p in pair.tap if b"\x13\x0512345" in p[3]]) == replies, destination


def test_keys_are_valid_for_their_times():
    old = Key("old", "hmac-sha256", b"old", send=(None, 100), accept=(None, 120))
    new = Key("new", "hmac-sha256", b"new", send=(100, None), accept=(80, None))
    keys = Keyring([old, new])
    # (seconds, keys that sign, keys that are accepted)
    cases = (
        (0, [old], [old]),
        (90, [old], [old, new]),
        (110, [new], [old, new]),
        (130, [new], [new]),
    )
    message = bytes(36)
    data = b"\x2a\x02\x00\x00"
    for seconds, signing, accepted in cases:
        keys.set_clock(seconds)
        assert keys.sending == signing, seconds
        for one in (old, new):
            mac = one.mac(message + data)
            packet = data + bytes((16, len(mac))) + mac
            assert keys.verify(message, packet, 4, len(packet)) == (one in accepted), seconds
    # A clock that is wrong by years must not silence the gateway.
    only = Keyring([old])
    only.set_clock(1_000_000)
    assert only.sending == [old]


def test_keys_of_unknown_algorithms_and_empty_ones_are_refused_without_their_secret():
    error = raises(ConfigError, Key, "k1", "md5", b"hunter2")
    assert "md5" in str(error) and "hmac-sha256" in str(error)
    assert "hunter2" not in str(error)
    assert raises(ConfigError, Key, "k1", "hmac-sha256", b"")


class Pair:
    """Two agents on one wire; `tap` keeps all packets."""

    def __init__(self, *rings):
        self.now = START
        self.addresses = [parse_address("fe80::1"), parse_address("fe80::2")]
        self.rings = list(rings)
        self.agents = [None, None]
        self.tap = []
        self.boot(0, 11)
        self.boot(1, 22)

    def boot(self, i, seed):
        agent = Agent(b"router-%d" % i, Random(seed), print)
        hop = bytes((192, 0, 2, 1 + i))
        agent.add_interface(Interface("w", self.addresses[i], ipv4=hop, keyring=self.rings[i]))
        agent.interface_up("w", self.now)
        agent.announce(bytes((10, i, 0, 0)), 16, self.now)
        self.agents[i] = agent

    def give(self, to, source, destination, data):
        self.agents[to].receive_datagram("w", source, destination, data, len(data), self.now)

    def run(self, ms):
        out = bytearray(1500)
        for _ in range(0, ms, 50):
            self.now = ticks_add(self.now, 50)
            for i, agent in enumerate(self.agents):
                agent.handle_timer(self.now)
                while True:
                    n = agent.next_datagram(out, None)
                    if not n:
                        break
                    packet = (1 - i, self.addresses[i], agent.out_destination, bytes(out[:n]))
                    self.tap.append(packet)
                    self.give(*packet)

    def routed(self, i):
        return [route[0] for route in self.agents[i].routes() if route[6]]


OTHER = [[key("10.1.0.0/16")], [key("10.0.0.0/16")]]


def test_agents_with_one_key_find_each_other_at_once():
    pair = Pair(ring(b"secret"), ring(b"secret"))
    pair.run(1_000)
    assert [pair.routed(0), pair.routed(1)] == OTHER


def test_agents_without_a_common_key_do_not():
    for rings in ((ring(b"one"), ring(b"two")), (ring(b"one"), None)):
        pair = Pair(*rings)
        pair.run(3_000)
        assert pair.routed(0) == []
        assert pair.agents[0].counters["bad_mac"] > 0
        # No state is kept for whoever has no key.
        assert list(pair.agents[0].neighbours()) == []


def test_replayed_packets_do_nothing():
    pair = Pair(ring(b"secret"), ring(b"secret"))
    pair.run(2_000)
    for packet in list(pair.tap):
        pair.give(*packet)
    before = pair.agents[0].counters["replayed"]
    assert before + pair.agents[1].counters["replayed"] >= len(pair.tap) - 8
    assert [pair.routed(0), pair.routed(1)] == OTHER


def test_after_a_restart_what_was_recorded_before_is_worthless():
    pair = Pair(ring(b"secret"), ring(b"secret"))
    pair.run(2_000)
    recorded = [packet for packet in pair.tap if packet[0] == 0]
    pair.boot(0, 33)
    for packet in recorded:
        pair.give(*packet)
    assert list(pair.agents[0].routes()) == []
    assert pair.agents[0].counters["challenged"] > 0
    pair.run(2_000)
    assert [pair.routed(0), pair.routed(1)] == OTHER


def test_key_rotation_loses_no_neighbour():
    old, new = Key("old", "hmac-sha256", b"old"), Key("new", "hmac-sha256", b"new")
    pair = Pair(Keyring([old]), Keyring([old]))
    pair.run(1_000)
    for agent in pair.agents:
        while agent.next_event():
            pass
    # A new key is first accepted everywhere, then used, then the old one is dropped.
    for i, keys in ((0, [old, new]), (1, [old, new]), (0, [new]), (1, [new])):
        pair.rings[i].replace(keys)
        pair.run(3_000)
    assert [pair.routed(0), pair.routed(1)] == OTHER
    for agent in pair.agents:
        assert agent.counters["bad_mac"] == 0
        assert agent.next_event() is None


def test_packets_of_full_length_leave_room_for_the_trailer():
    pair = Pair(ring(b"one", b"two"), ring(b"one", b"two"))
    for i in range(250):
        pair.agents[0].announce(*(parse_prefix("10.100.%d.0/24" % i) + (pair.now,)))
    pair.run(3_000)
    sizes = [len(packet[3]) for packet in pair.tap]
    assert 1100 < max(sizes) <= 1280 - 48
    assert len(pair.routed(1)) == 251
    assert GROUP in [packet[2] for packet in pair.tap]
