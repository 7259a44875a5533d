"""Hello histories, IHUs, link costs and round-trip times, across the wrap of the ticks."""

from branchline.babel.interface import Interface
from branchline.babel.neighbour import HelloHistory, Neighbour
from branchline.babel.outbox import Alarm
from branchline.babel.rtt import RttEstimator
from branchline.babel.tlv import INFINITY
from branchline.wire.ip import parse_address
from branchline.wire.ticks import PERIOD, ticks_add

NOW = PERIOD - 700
OURS = parse_address("fe80::1")
THEIRS = parse_address("fe80::2")


def neighbour(**more):
    interface = Interface("a", OURS, **more)
    interface.start(lambda n: bytes(n), NOW, Alarm())
    return Neighbour(interface, THEIRS, NOW)


def test_a_1_hello_history():
    # (name, seqnos heard, history afterwards)
    cases = (
        ("the first makes up two", (7,), "11"),
        ("in turn", (7, 8, 9), "1111"),
        ("one missed", (7, 9), "1011"),
        ("across the wrap of seqnos", (65534, 65535, 0), "1111"),
        ("missed across the wrap", (65535, 1), "1011"),
        ("an old one again undoes what came after it", (7, 8, 9, 8), "111"),
        ("restarted: further off than 16", (7, 8, 9, 100), "11"),
        ("restarted, downwards", (100, 101, 7), "11"),
        ("16 missed is no restart", (7, 24), "1" + "0" * 15),
    )
    for name, seqnos, expected in cases:
        history = HelloHistory()
        for seqno in seqnos:
            history.heard(seqno, 500, NOW)
        bits = "".join(["1" if history.bits >> (15 - i) & 1 else "0" for i in range(16)])
        assert (bits + "0" * 16)[: len(expected)] == expected, (name, bits)
        assert "1" not in bits[len(expected) :], (name, bits)


def test_a_1_hello_timer_expires_after_one_and_a_half_intervals_then_every_interval():
    history = HelloHistory()
    history.heard(1, 500, NOW)
    # (ms after the Hello, is up)
    for ms, up in ((749, True), (750, True), (1249, True), (1250, False), (9000, False)):
        history.expire(ticks_add(NOW, ms))
        assert history.is_up() == up, ms
    assert history.bits == 0
    assert history.due is None


def test_a_lost_hello_that_the_timer_counted_is_not_counted_again():
    history = HelloHistory()
    history.heard(1, 500, NOW)
    history.expire(ticks_add(NOW, 800))
    assert not history.heard(3, 500, ticks_add(NOW, 1000))
    assert history.bits >> 12 == 0b1011


def test_3_4_1_unscheduled_hello_changes_no_timer():
    history = HelloHistory()
    history.heard(1, 500, NOW)
    due = history.due
    history.heard(2, 0, ticks_add(NOW, 100))
    assert history.due == due


def test_a_neighbour_that_promises_no_hello_is_forgotten_in_the_end():
    history = HelloHistory()
    history.heard(1, 0, NOW)
    history.expire(ticks_add(NOW, 5_000))
    assert history.is_up()
    # The timer counted Hellos that nobody promised: the next one undoes that (A.1).
    history.expire(ticks_add(NOW, 20_000))
    history.heard(2, 0, ticks_add(NOW, 20_000))
    assert history.bits >> 12 == 0b1110
    history.expire(ticks_add(NOW, 100_000))
    assert history.bits == 0


def test_a_2_1_two_out_of_three():
    cases = ((0xE000, True), (0xC000, True), (0xA000, True), (0x6000, True), (0x8000, False),
             (0x2000, False), (0x1FFF, False))  # fmt: skip
    for bits, up in cases:
        history = HelloHistory()
        history.bits = bits
        assert history.is_up() == up, bits


def test_a_2_link_cost():
    # (name, wireless, history, rxcost told to us, cost, rxcost told to them)
    cases = (
        ("wired", False, 0xFFFF, 96, 96, 96),
        ("wired, they pay more", False, 0xFFFF, 200, 200, 96),
        ("wired, not heard by them", False, 0xFFFF, INFINITY, INFINITY, 96),
        ("wired, not heard by us", False, 0x1FFF, 96, INFINITY, INFINITY),
        ("a cost of 0 is 1: strict monotonicity", False, 0xFFFF, 0, 1, 96),
        ("ETX without loss", True, 0xFFFF, 256, 256, 256),
        ("ETX, half lost here", True, 0x5555, 256, 512, 512),
        ("ETX, half lost there", True, 0xFFFF, 512, 512, 256),
        ("ETX, half lost both ways", True, 0x5555, 512, 1024, 512),
        ("ETX, nothing heard", True, 0, 256, INFINITY, INFINITY),
    )
    for name, wireless, bits, txcost, cost, rxcost in cases:
        peer = neighbour(wireless=wireless)
        peer.multicast.bits = bits
        peer.heard_ihu(txcost, 1500, NOW)
        peer.recost()
        assert peer.cost == cost, name
        assert peer.rxcost() == rxcost, name


def test_a_penalty_is_added_once_to_each_direction():
    # (name, wireless, penalty, rxcost told to us, cost, rxcost told to them)
    cases = (
        ("wired", False, 50, 96, 146, 146),
        ("a cost of 0", False, 50, 0, 51, 146),
        ("ETX", True, 50, 512, 562, 306),
        ("saturated", False, INFINITY - 50, 96, INFINITY, INFINITY),
        ("infinite", False, INFINITY, 96, INFINITY, INFINITY),
        ("not heard by them", False, 50, INFINITY, INFINITY, 146),
    )
    for name, wireless, penalty, txcost, cost, rxcost in cases:
        peer = neighbour(wireless=wireless)
        peer.multicast.bits = 0xFFFF
        peer.heard_ihu(txcost, 1500, NOW)
        peer.interface.penalty = penalty
        peer.recost()
        assert peer.cost == cost, name
        assert peer.rxcost() == rxcost, name


def test_unicast_hellos_alone_keep_a_link_up():
    peer = neighbour()
    peer.unicast.heard(1, 500, NOW)
    peer.heard_ihu(96, 1500, NOW)
    assert peer.recost()
    assert peer.cost == 96
    assert not peer.recost()


def test_ihus_expire_after_three_and_a_half_intervals():
    peer = neighbour()
    peer.heard_ihu(96, 1500, NOW)
    peer.expire(ticks_add(NOW, 5249))
    assert peer.txcost == 96
    peer.expire(ticks_add(NOW, 5250))
    assert peer.txcost == INFINITY


def test_next_timer_is_the_earliest():
    peer = neighbour()
    assert peer.next_timer() is None
    peer.heard_ihu(96, 100, NOW)
    peer.multicast.heard(1, 500, NOW)
    peer.unicast.heard(1, 200, NOW)
    assert peer.next_timer() == ticks_add(NOW, 300)


def test_rfc_9616_3_1_rtt_needs_no_common_clock():
    # (name, our origin, their receive, their sent, now, rtt)
    cases = (
        ("at once", 1000, 5_000_000, 5_000_000, 81_000, 80_000),
        ("held for half a second", 1000, 5_000_000, 5_500_000, 581_000, 80_000),
        ("our clock wraps", 0xFFFFFFFF - 999, 7, 7, 79_000, 80_000),
        ("their clock wraps", 1000, 0xFFFFFFFF, 9_999, 91_000, 80_000),
    )
    for name, origin, receive, sent, now, rtt in cases:
        estimator = RttEstimator()
        assert estimator.sample(origin, receive, sent, now), name
        assert estimator.rtt_us == rtt, name


def test_rfc_9616_5_senseless_samples_are_dropped():
    cases = (
        ("held longer than away", 1000, 0, 100_000, 50_000),
        ("their clock went back", 1000, 100_000, 0, 50_000),
        ("more than a minute", 0, 0, 0, 60_000_001),
        ("held for over ten minutes", 0, 0, 600_000_001, 600_100_000),
        ("our origin lies ahead", 100_000, 0, 0, 50_000),
    )
    for name, origin, receive, sent, now in cases:
        estimator = RttEstimator()
        assert not estimator.sample(origin, receive, sent, now), name
        assert estimator.rtt_us is None, name


def test_rfc_9616_4_1_smoothing():
    estimator = RttEstimator()
    estimator.sample(0, 0, 0, 10_000)
    estimator.sample(0, 0, 0, 110_000)
    assert estimator.rtt_us == (10_000 * 214 + 110_000 * 42) // 256
    for _ in range(100):
        estimator.sample(0, 0, 0, 110_000)
    assert 109_900 < estimator.rtt_us <= 110_000


def test_rfc_9616_4_2_cost():
    cases = ((None, 0), (0, 0), (10_000, 0), (65_000, 48), (120_000, 96), (5_000_000, 96))
    for rtt, expected in cases:
        estimator = RttEstimator()
        estimator.rtt_us = rtt
        assert estimator.penalty(10_000, 120_000, 96) == expected, rtt


def test_the_delay_adds_to_the_cost_and_does_not_change_what_we_tell():
    peer = neighbour(rtt=True)
    peer.multicast.heard(1, 500, NOW)
    peer.heard_ihu(96, 1500, NOW)
    peer.rtt.sample(0, 0, 0, 65_000)
    peer.recost()
    assert peer.cost == 96 + 48
    assert peer.rxcost() == 96


def test_a_2_1_two_out_of_six_where_the_owner_vouches_for_the_link():
    # (the last Hellos, newest first, up, up if trusted)
    cases = (
        ("111111", True, True),
        ("001111", False, True),
        ("000011", False, True),
        ("100001", False, True),
        ("000001", False, False),
        ("0000001111", False, False),
        ("1000001111", False, False),
    )
    for bits, up, trusted in cases:
        link = neighbour()
        link.multicast.bits = int((bits + "0" * 16)[:16], 2)
        for is_trusted, is_up in ((False, up), (True, trusted)):
            link.interface.trusted = is_trusted
            assert (link.rxcost() < INFINITY) == is_up, (bits, is_trusted)
            # The kind of the Hellos makes no difference.
            link.multicast, link.unicast = link.unicast, link.multicast
            assert (link.rxcost() < INFINITY) == is_up, (bits, is_trusted)
