"""Renegotiation: by either side, by both, under loss, failing; and nothing is lost by it."""

from branchline.openvpn import opcodes
from branchline.openvpn import session as ovpn
from branchline.wire.ticks import PERIOD
from openvpn_link import PUSH, STATIC_KEY, Faults, Link

_CRYPT = {"tls_wrap": "crypt", "tls_key": STATIC_KEY}


def _traffic(link, ms, step=20):
    """Numbered packets both ways for that long; what each side was sent."""
    sent = []
    for i in range(ms // step):
        text = b"E" + i.to_bytes(4, "big") + bytes(i % 300)
        sent.append(text)
        assert link.send(text)
        link.send_down(text)
        link.run(step)
    link.run(200)
    return sent


def _rekeyed(link):
    return [detail for kind, detail in link.events if kind == ovpn.REKEYED]


def test_no_packet_is_lost_whoever_begins():
    for reneg_sec in (40, 3600):
        for settings in ({}, _CRYPT):
            link = Link(reneg_sec=reneg_sec, **settings).come_up()
            if reneg_sec == 3600:
                link.server.rekey(link.now())
            sent = _traffic(link, 75_000, 250)
            assert _rekeyed(link) == [1], reneg_sec
            assert link.received == sent and link.server.packets == sent
            assert link.session.counters.nonzero() == {}
            assert link.session.ring.totals()[:2] == [len(sent), len(sent)]
            assert link.server.data.first_octet == opcodes.DATA_V2 << 3 | 1


def test_both_begin_at_the_same_moment():
    for start in (0, PERIOD - 3100):
        link = Link(reneg_sec=3, start=start).come_up()
        # The session's seconds count from when it came up.
        link.run(2995)
        link.server.rekey(link.now())
        sent = _traffic(link, 2000)
        assert _rekeyed(link) == [1] and link.received == link.server.packets == sent
        assert link.session.counters.nonzero() == {} and len(link.server.infos) == 2


def test_key_ids_go_round():
    link = Link(reneg_sec=10, start=PERIOD - 35_000).come_up()
    sent = []
    while len(_rekeyed(link)) < 16:
        sent += _traffic(link, 1000, 500)
    assert _rekeyed(link) == [1, 2, 3, 4, 5, 6, 7, 1, 2, 3, 4, 5, 6, 7, 1, 2]
    assert link.received == link.server.packets == sent
    assert link.session.ring.totals() == [len(sent)] * 2 + [sum(len(text) for text in sent)] * 2
    assert link.session.counters.nonzero() == {} and link.down() is None


def test_over_bad_lines_the_tunnel_stays():
    for seed in range(4):
        faults = Faults(seed, loss=25, double=10, delay=20, flip=10)
        link = Link(faults, push=(PUSH + b",ping 5,ping-restart 60",), reneg_sec=40, **_CRYPT)
        link.come_up()
        before = 0
        for i in range(20):
            if i % 5 == 4:
                link.server.rekey(link.now())
            _traffic(link, 10_000, 500)
            # Each key in turn carries packets.
            assert len(link.received) > before + 8
            before = len(link.received)
        assert link.down() is None and len(_rekeyed(link)) >= 4


def test_a_packet_or_octet_limit_is_kept_to_once():
    for settings in ({"reneg_pkts": 20}, {"reneg_bytes": 2000}):
        link = Link(reneg_sec=0, **settings).come_up()
        for _ in range(10):
            link.send(b"E" * 100)
            link.send_down(b"E" * 100)
        # Then nobody uses the new key: the ring goes on with the old one for some seconds.
        link.run(30_000)
        assert _rekeyed(link) == [1], settings


def test_a_rekey_that_fails_is_tried_again_while_the_key_goes_on():
    link = Link(reneg_sec=10, hand_window=20, server={"ignored_rekeys": 1000}).come_up()
    link.run(31_000)
    assert link.session.counters.nonzero() == {"rekey_failed": 1}
    assert link.events[-1] == (
        ovpn.INFO,
        "renegotiation failed: no answer within hand-window",
    )
    # The next try is ten seconds later, and fails as well.
    link.run(7000)
    asked = len(link.sizes)
    link.run(3500)
    assert len(link.sizes) > asked
    link.run(20_000)
    assert link.session.counters["rekey_failed"] == 2
    sent = _traffic(link, 1000)
    assert link.received == link.server.packets == sent
    link.server.ignored_rekeys = 0
    link.run(14_000)
    # Each attempt has a key id of its own, as at the stock server.
    assert _rekeyed(link) == [3] and link.down() is None
    assert link.received == link.server.packets == sent


def test_retries_of_a_limit_keep_their_distance():
    link = Link(
        reneg_sec=0, reneg_pkts=5, hand_window=5, server={"ignored_rekeys": 1000}
    ).come_up()
    for _ in range(5):
        link.send(b"E")
    # Every 15 s: 5 s of hand-window, 10 s until the next try.
    link.run(30_000)
    assert link.session.counters["rekey_failed"] == 2


def test_three_rekeys_that_fail_end_the_session():
    link = Link(reneg_sec=10, hand_window=10, server={"ignored_rekeys": 1000})
    link.come_up()
    link.run(55_000)
    assert link.down() is None and link.session.counters["rekey_failed"] == 2
    link.run(5_000)
    assert link.down() == ("rekey-failed", "no answer within hand-window")


def test_the_servers_rekey_may_fail_in_tls():
    link = Link(**_CRYPT).come_up()
    server = link.server
    server.rekey(link.now())
    link.run(5)
    server.negotiations[1].reliable.send(opcodes.CONTROL_V1, b"no record of TLS", link.now())
    link.run(50)
    assert link.session.counters.nonzero() == {"rekey_failed": 1}
    assert link.events[-1][1].startswith("renegotiation failed: TLS failed")
    del server.negotiations[1]
    link.run(9000)
    sent = _traffic(link, 1000)
    assert link.received == link.server.packets == sent and link.down() is None


def test_a_soft_reset_before_the_tunnel_is_up():
    link = Link(push=(), **_CRYPT)
    link.run(200)
    link.inject(link.server.forge(opcodes.SOFT_RESET_V1, key_id=1))
    assert link.session.counters.nonzero() == {"unknown_key": 1}


def test_a_new_key_waits_for_the_peer_at_most_thirty_seconds():
    link = Link().come_up()
    old = link.session.ring.current.first_octet
    link.server.rekey(link.now())
    link.run(500)
    assert link.session.ring.current.first_octet == old and link.session.ring.next
    link.run(31_000)
    assert link.session.ring.current.first_octet == old + 1 and not link.session.ring.next
    # The server still seals with the old key, which is open for tran-window.
    assert link.server.data.first_octet == old
    link.send_down(b"E old")
    link.run(50)
    assert link.received == [b"E old"]


def test_the_old_key_ends_with_tran_window():
    link = Link(tran_window=60).come_up()
    packet = link.server.seal(b"E late")
    link.server.rekey(link.now())
    link.run(80_000)
    assert link.inject(link.server.seal(b"E in time")) == 9
    link.run(20_000)
    assert link.inject(packet) == 0
    assert link.session.counters.nonzero() == {"unknown_key": 1}
