"""What the Babel agent says and tells its owner, rule by rule (RFC 8966)."""

from babel_pair import GROUP, OURS, ROUTER_ID, START, Bench, Peer, key
from branchline.babel.agent import Agent
from branchline.babel.filters import Policy, Rule
from branchline.babel.interface import Interface
from branchline.babel.packet import retraction, route_request, seqno_request
from branchline.wire.errors import StateError
from branchline.wire.ip import parse_prefix
from support import raises

OWN = "10.1.1.0/24"
FAR = "10.2.2.0/24"
R2 = b"router-2"
R3 = b"router-3"
INFINITY = 0xFFFF


def announcing(*texts, **more):
    bench = Bench(**more)
    for text in texts:
        bench.agent.announce(*(parse_prefix(text) + (bench.now,)))
    return bench


def install(text, peer, metric=96):
    octets, plen = parse_prefix(text)
    hop = peer.ipv4 if len(octets) == 4 else peer.address
    return ("install", octets, plen, hop, peer.interface, metric)


def gone(kind, text):
    return (kind,) + parse_prefix(text)


def test_a_new_neighbour_is_told_all_and_asked_for_all():
    bench = announcing(OWN)
    bench.said()
    peer = Peer(bench)
    peer.greet()
    said = bench.said()
    unicast = [call for call in said if call[1] == peer.address]
    kinds = [call[2] for call in unicast]
    # Its routes through us, from before a restart of ours, are void first of all.
    assert unicast[0][2:] == ("update", None, 1, 0, INFINITY, None, None)
    assert ("a", peer.address, "route_request", None) in unicast
    assert key(OWN) in [call[3] for call in unicast if call[2] == "update"]
    assert kinds.count("route_request") == 1
    group = [call[2] for call in said if call[1] == GROUP]
    assert group[:2] == ["hello", "ihu"]


def test_the_table_is_told_again_when_the_link_becomes_usable():
    bench = announcing(OWN)
    peer = Peer(bench)
    peer.greet(rxcost=INFINITY)
    bench.said()
    assert bench.events() == []
    bench.wait(500)
    peer.greet()
    peer.greet()
    assert bench.events() == [("neighbour_up", "a", peer.address)]
    said = bench.wait(500)
    assert [c for c in said if c[1] == peer.address and c[2] == "update" and c[3] == key(OWN)]


def test_a_route_is_installed_replaced_and_removed_after_the_hold_time():
    bench = Bench("ab")
    one, two = Peer(bench, "a", 2).up(), Peer(bench, "b", 3).up()
    one.update(FAR, metric=100)
    assert bench.events() == [install(FAR, one, 196)]
    two.update(FAR, metric=0, router_id=R2)
    assert bench.events() == [install(FAR, two)]
    two.update(FAR, metric=INFINITY)
    one.update(FAR, metric=INFINITY)
    assert bench.events() == [gone("unreachable", FAR)]
    bench.wait(9_000, (one, two))
    assert bench.events() == []
    bench.wait(2_500, (one, two))
    assert bench.events() == [gone("remove", FAR)]


def test_3_7_2_a_loss_is_told_at_once_and_twice():
    bench = Bench("ab")
    one, _two = Peer(bench, "a", 2).up(), Peer(bench, "b", 3).up()
    one.update(FAR)
    bench.wait(1_000)
    one.greet()
    one.update(FAR, metric=INFINITY)
    said = bench.wait(1_000)
    told = [c for c in said if c[0] == "b" and c[2] == "update" and c[3] == key(FAR)]
    assert len(told) >= 2
    assert {call[6] for call in told} == {INFINITY}


def test_a_lost_link_loses_its_routes_at_once():
    bench = Bench("ab")
    one, two = Peer(bench, "a", 2).up(), Peer(bench, "b", 3).up()
    one.update(FAR, metric=0)
    two.update(FAR, metric=0)
    bench.events()
    bench.agent.interface_down("a", bench.now)
    assert bench.events() == [("neighbour_down", "a", one.address), install(FAR, two)]
    # Two Hellos of half a second are missed after 1.25 s, and this is looked at every 50 ms.
    bench.wait(1_500)
    assert bench.events() == [
        ("neighbour_down", "b", two.address),
        gone("unreachable", FAR),
    ]


def test_3_5_3_routes_expire_after_three_and_a_half_intervals():
    bench = Bench()
    peer = Peer(bench).up()
    peer.update(FAR, interval=100)
    bench.events()
    said = bench.wait(3_250, (peer,))
    assert bench.events() == []
    # 3.8.2.3: it is asked for before it is too late.
    assert ("a", peer.address, "route_request", key(FAR)) in said
    bench.wait(1_500, (peer,))
    assert bench.events() == [gone("unreachable", FAR)]
    assert bench.agent.counters["expired"] == 1


def test_3_5_3_a_retraction_does_not_put_off_the_end_of_a_route():
    bench = Bench()
    peer = Peer(bench).up()
    peer.update(FAR, interval=100)
    bench.wait(1_000, (peer,))
    peer.update(FAR, metric=INFINITY, interval=60_000)
    assert len(list(bench.agent.routes())) == 1
    bench.wait(5_000, (peer,))
    assert list(bench.agent.routes()) == []


def test_3_5_4_a_lost_prefix_is_held_until_what_we_announced_has_expired():
    # (Hello interval, ms for which the prefix is unreachable)
    for hello_ms, held in ((500, 10_000), (2_000, 28_000)):
        bench = Bench(options={"hello_ms": hello_ms})
        peer = Peer(bench).up()
        peer.update(FAR)
        bench.events()
        peer.update(FAR, metric=INFINITY)
        assert bench.events() == [gone("unreachable", FAR)]
        bench.wait(held - 1_500, (peer,))
        assert bench.events() == []
        bench.wait(3_000, (peer,))
        assert bench.events() == [gone("remove", FAR)]


def test_3_4_1_the_first_unicast_hello_of_a_neighbour_leaves_its_routes():
    bench = Bench()
    peer = Peer(bench).up()
    peer.update(FAR)
    assert bench.events() == [install(FAR, peer)]
    peer.send(lambda p: p.hello(700, 0, True, None), OURS)
    assert bench.events() == []
    # But the multicast ones say when it has restarted.
    peer.send(lambda p: p.hello(700, 50, False, None))
    assert gone("unreachable", FAR) in bench.events()


def test_3_8_1_2_a_seqno_request_raises_our_seqno_by_one():
    # (asked for beyond ours, raised by)
    for beyond, raised in ((-1, 0), (0, 0), (1, 1), (100, 1), (40000, 0)):
        bench = announcing(OWN, seqno=65535)
        peer = Peer(bench).up()
        wanted = (65535 + beyond) & 0xFFFF
        peer.say(seqno_request(key(OWN), wanted, 64, ROUTER_ID))
        assert bench.agent.seqno == (65535 + raised) & 0xFFFF, beyond
        said = bench.wait(250)
        answers = [c for c in said if c[2] == "update" and c[3] == key(OWN)]
        assert answers, beyond
        assert answers[0][5] == bench.agent.seqno


def test_3_8_1_2_forwarding():
    # (name, hop count, stub, router-id asked for, hop count forwarded or None)
    cases = (
        ("forwarded", 64, False, R2, 63),
        ("at the end of its hops", 1, False, R2, None),
        ("a stub forwards nothing", 64, True, R2, None),
        ("another source: answered", 64, False, R3, None),
    )
    for name, hops, stub, router_id, forwarded in cases:
        bench = Bench("ab", stub=stub)
        one, two = Peer(bench, "a", 2).up(), Peer(bench, "b", 3).up()
        one.update(FAR, seqno=5)
        bench.wait(500)
        tlv = seqno_request(key(FAR), 6, hops, router_id)
        two.say(tlv)
        two.say(tlv)
        sent = bench.said_of("seqno_request")
        expected = [("a", one.address, key(FAR), 6, forwarded, R2)] if forwarded else []
        assert sent == expected, name


def test_3_8_1_2_the_answer_to_a_forwarded_request_is_passed_on():
    bench = Bench("ab")
    one, two = Peer(bench, "a", 2).up(), Peer(bench, "b", 3).up()
    one.update(FAR, seqno=5)
    bench.wait(500)
    two.say(seqno_request(key(FAR), 6, 64, R2))
    bench.said()
    one.update(FAR, seqno=6)
    said = bench.wait(250)
    assert [c for c in said if c[0] == "b" and c[2] == "update" and c[3:6] == (key(FAR), 200, 6)]


def test_3_8_2_starvation_and_unfeasible_updates_ask_for_a_seqno():
    bench = Bench("ab")
    one, two = Peer(bench, "a", 2).up(), Peer(bench, "b", 3).up()
    one.update(FAR, seqno=5)
    bench.wait(500)  # We announce it: the feasibility distance is (5, 96).
    two.update(FAR, seqno=5, metric=96)
    assert bench.said_of("seqno_request") == []
    bench.events()
    one.update(FAR, metric=INFINITY)
    assert bench.events()[-1] == gone("unreachable", FAR)
    asked = bench.said_of("seqno_request")
    assert ("a", GROUP, key(FAR), 6, 64, R2) in asked
    assert ("b", GROUP, key(FAR), 6, 64, R2) in asked
    two.update(FAR, seqno=6, metric=300)
    assert bench.events() == [install(FAR, two, 396)]


def test_3_8_2_2_an_unfeasible_update_of_the_selected_route_is_asked_about_and_not_used():
    bench = Bench()
    peer = Peer(bench).up()
    peer.update(FAR, seqno=5)
    bench.wait(500)
    peer.update(FAR, seqno=5, metric=200)
    assert bench.said_of("seqno_request") == [("a", peer.address, key(FAR), 6, 64, R2)]
    assert [route[3] for route in bench.agent.routes()] == [96]
    # Under another router-id, it is the loss of the old route.
    peer.update(FAR, seqno=5, metric=10, router_id=R3)
    assert [route[4] for route in bench.agent.routes()] == [R3]


def test_our_own_router_id_is_never_a_route():
    bench = announcing(OWN, seqno=10)
    peer = Peer(bench).up()
    peer.update(FAR, seqno=10, metric=96, router_id=ROUTER_ID)
    peer.update(OWN, seqno=9, metric=96, router_id=ROUTER_ID)
    assert bench.events() == []
    assert list(bench.agent.routes()) == []
    assert bench.agent.seqno == 10
    # It is what is left of us from before a restart: we go on from there.
    peer.update(OWN, seqno=12, metric=96, router_id=ROUTER_ID)
    assert bench.agent.seqno == 12
    assert bench.events() == []


def test_another_router_with_our_id_or_our_prefix_is_reported_once():
    bench = announcing(OWN, seqno=5)
    peer = Peer(bench).up()
    for _ in range(3):
        peer.update(OWN, router_id=R3)
    octets, plen = parse_prefix(OWN)
    assert bench.events() == [
        ("conflict", octets, plen, R3),
        ("refused", octets, plen, "a", peer.address, "own_prefix"),
    ]
    bench.wait(61_000, (peer,))
    bench.events()
    peer.update(FAR, seqno=5, metric=96, router_id=ROUTER_ID)
    assert bench.events()[-1] == ("conflict",) + parse_prefix(FAR) + (ROUTER_ID,)


def test_a_copy_of_ourselves_is_reported():
    # (name, ms since the start, seqno, metric, reported)
    cases = (
        ("an echo", 61_000, 5, 96, False),
        ("from before our restart", 0, 6, 96, False),
        ("nobody else raises our seqno", 61_000, 6, 96, True),
        ("an announcement of its own", 0, 5, 0, True),
    )
    for name, ms, seqno, metric, reported in cases:
        bench = announcing(OWN, seqno=5)
        peer = Peer(bench).up()
        bench.wait(ms, (peer,))
        bench.events()
        peer.update(OWN, seqno=seqno, metric=metric, router_id=ROUTER_ID)
        event = ("conflict",) + parse_prefix(OWN) + (ROUTER_ID,)
        assert bench.events() == ([event] if reported else []), name


def test_two_routers_with_one_prefix_are_reported():
    bench = Bench("ab")
    one, two = Peer(bench, "a", 2).up(), Peer(bench, "b", 3).up()
    one.update(FAR)
    two.update(FAR, router_id=R3, metric=500)
    assert ("conflict",) + parse_prefix(FAR) + (R3,) in bench.events()


def test_refused_prefixes_are_counted_shown_and_reported_once():
    octets, plen = parse_prefix("10.0.0.0/8")
    bench = Bench(policy=Policy(accept=[Rule(octets, plen)]))
    peer = Peer(bench).up()
    cases = (
        ("0.0.0.0/0", "default_route"),
        ("127.0.0.0/8", "martian"),
        ("192.168.1.0/24", "not_accepted"),
    )
    for text, reason in cases:
        peer.update(text)
        peer.update(text)
        event = ("refused",) + parse_prefix(text) + ("a", peer.address, reason)
        assert bench.events() == [event], text
        assert bench.agent.counters[reason] == 2
        assert bench.agent.refused[(key(text), peer.address)] == reason
    assert list(bench.agent.routes()) == []


def test_updates_without_router_id_or_next_hop_are_refused():
    bench = Bench()
    peer = Peer(bench).up()
    peer.say(bytes.fromhex("080b0100080000c8000100000a"))
    assert bench.agent.counters["no_router_id"] == 1
    peer.say(bytes.fromhex("060a00000200000000000101080b0100080000c8000100000a"))
    assert bench.agent.counters["no_next_hop"] == 1


def test_requests_for_routes_are_answered():
    bench = announcing(OWN)
    peer = Peer(bench).up()
    bench.wait(1_000, (peer,))
    peer.say(route_request(key(OWN)))
    answer = bench.said_of("update")
    assert [(call[1], call[2], call[5]) for call in answer] == [(peer.address, key(OWN), 0)]
    # 3.8.1.1: there is no such route, and that is an answer.
    peer.say(route_request(key(FAR)))
    assert [call[2:6] for call in bench.said_of("update")] == [(key(FAR), 200, 0, INFINITY)]


def test_a_flood_of_requests_gets_one_table_every_300_ms():
    bench = announcing(OWN)
    peer = Peer(bench).up()
    bench.wait(1_000, (peer,))
    for _ in range(20):
        peer.say(route_request(None))
        bench.packets()
    dumps = 0
    for _ in range(20):
        peer.say(route_request(None))
        dumps += len([c for c in bench.packets() if c[1] == peer.address])
    assert dumps == 0


def test_4_6_3_acknowledgments():
    bench = Bench()
    peer = Peer(bench).up()
    peer.say(bytes.fromhex("0206000012340064"))
    packets = bench.packets()
    assert packets == [("a", peer.address, bytes.fromhex("2a020004 0302 1234".replace(" ", "")))]


def test_a_wildcard_retraction_takes_all_of_a_neighbours_routes():
    bench = Bench("ab")
    one, two = Peer(bench, "a", 2).up(), Peer(bench, "b", 3).up()
    one.update(FAR)
    two.update("10.3.0.0/16")
    bench.events()
    one.say(retraction())
    assert bench.events() == [gone("unreachable", FAR)]


def test_split_horizon():
    for split in (False, True):
        bench = Bench("ab", options={"split_horizon": split})
        one, _two = Peer(bench, "a", 2).up(), Peer(bench, "b", 3).up()
        one.update(FAR)
        said = bench.wait(3_000, (one,))
        told = {c[0] for c in said if c[2] == "update" and c[3] == key(FAR) and c[6] < INFINITY}
        assert told == ({"b"} if split else {"a", "b"})


def test_a_stub_announces_its_own_and_relays_nothing():
    bench = announcing(OWN, interfaces="ab", stub=True)
    one, two = Peer(bench, "a", 2).up(), Peer(bench, "b", 3).up()
    one.update(FAR)
    assert bench.events() == [install(FAR, one)]
    said = bench.wait(5_000, (one, two))
    assert {c[3] for c in said if c[2] == "update"} == {key(OWN)}


def test_what_may_be_announced():
    octets, plen = parse_prefix("10.1.0.0/16")
    bench = announcing(OWN, policy=Policy(announce=[Rule(octets, plen)]))
    peer = Peer(bench).up()
    peer.update(FAR)
    said = bench.wait(5_000, (peer,))
    assert {c[3] for c in said if c[2] == "update"} == {key(OWN)}


def test_rfc_9229_ipv4_over_ipv6_where_there_is_no_ipv4_address():
    for via_v6 in (False, True):
        bench = Bench("")
        bench.agent.add_interface(Interface("a", OURS, v4_via_v6=via_v6))
        bench.agent.interface_up("a", bench.now)
        bench.agent.announce(*(parse_prefix(OWN) + (bench.now,)))
        peer = Peer(bench).up()
        said = bench.wait(3_000, (peer,))
        hops = {c[8] for c in said if c[2] == "update"}
        assert hops == ({OURS} if via_v6 else set())


def test_withdrawn_prefixes_are_retracted_and_told_to_nobody_later():
    bench = announcing(OWN)
    peer = Peer(bench).up()
    bench.wait(1_000, (peer,))
    bench.agent.withdraw(*(parse_prefix(OWN) + (bench.now,)))
    said = bench.wait(1_000, (peer,))
    assert {c[6] for c in said if c[2] == "update" and c[3] == key(OWN)} == {INFINITY}
    # Who announces it, too, was not listened to before.
    assert [c[3] for c in said if c[2] == "route_request"] == [key(OWN)]
    assert bench.events() == []
    bench.wait(12_000, (peer,))
    said = bench.wait(5_000, (peer,))
    assert [c for c in said if c[2] == "update"] == []


def test_the_last_word_retracts_all():
    bench = announcing(OWN, interfaces="ab")
    Peer(bench, "a", 2).up()
    bench.wait(1_000)
    # What waits is not told any more: it would bring the routes back.
    bench.agent.announce(*(parse_prefix(FAR) + (bench.now,)))
    bench.agent.shut_down(bench.now)
    last = ("update", None, 1, 0, INFINITY, None, None)
    assert bench.said() == [("a", GROUP) + last, ("b", GROUP) + last]


def test_timers_run_across_the_wrap_of_the_ticks():
    bench = announcing(OWN)
    peer = Peer(bench).up()
    peer.update(FAR, interval=6000)
    hellos = 0
    for _ in range(80):
        hellos += len([c for c in bench.wait(1_000, (peer,)) if c[2] == "hello"])
    assert bench.now < START
    # Two a second, a little more often by the jitter.
    assert 160 <= hellos <= 190
    assert [route[6] for route in bench.agent.routes()] == [True]


def test_packets_that_are_dropped():
    bench = Bench()
    peer = Peer(bench)
    agent = bench.agent
    data = bytes.fromhex("2a020000")
    cases = (
        ("no_interface", "z", peer.address, data),
        ("not_link_local", "a", b"\x20\x01" + bytes(14), data),
        ("not_link_local", "a", bytes(16), data),
        ("own_packet", "a", OURS, data),
        ("not_babel", "a", peer.address, b"\x2a\x03\x00\x00"),
        ("not_babel", "a", peer.address, b"\x2a\x02\x00\x01"),
        ("not_babel", "a", peer.address, b""),
    )
    before = dict(agent.counters.nonzero())
    for counter, interface, source, octets in cases:
        count = agent.counters[counter]
        agent.receive_datagram(interface, source, GROUP, octets, len(octets), bench.now)
        assert agent.counters[counter] == count + 1, counter
    assert before == {}
    assert list(agent.neighbours()) == []


def test_what_happens_at_the_limits():
    bench = announcing(OWN, max_neighbours=1, max_prefixes=2, max_routes=1)
    peer = Peer(bench).up()
    Peer(bench, "a", 3).greet()
    counters = bench.agent.counters
    assert counters["neighbours_full"] == 1
    peer.update(FAR)
    peer.update("10.3.0.0/16")
    assert counters["prefixes_full"] == 1
    assert [route[0] for route in bench.agent.routes()] == [key(FAR)]
    bench = Bench(max_routes=1)
    peer = Peer(bench).up()
    peer.update(FAR)
    for i in range(3):
        peer.update("10.%d.0.0/16" % (3 + i))
    assert bench.agent.counters["routes_full"] == 3
    assert len(bench.lines) == 1
    bench.events()
    # What was there is kept up to date all the same.
    peer.update(FAR, metric=INFINITY)
    assert bench.events()[-1] == gone("unreachable", FAR)


def test_events_that_nobody_takes_are_bounded():
    bench = Bench(max_neighbours=200)
    for i in range(2, 100):
        Peer(bench, "a", i).greet()
    assert len(bench.events()) == 64
    assert bench.agent.counters["events_full"] == 98 - 64


def test_illegal_calls_change_nothing():
    assert raises(StateError, Agent, bytes(8), None, None)
    assert raises(StateError, Agent, b"short", None, None)
    bench = Bench()
    assert raises(StateError, bench.agent.add_interface, Interface("a", OURS))
    bench.agent.remove_interface("a", bench.now)
    bench.agent.add_interface(Interface("a", OURS))


def test_a_silent_neighbour_is_forgotten():
    bench = Bench()
    peer = Peer(bench).up()
    peer.update(FAR)
    # Its Hello history is empty after 8 s, and 30 s later it is forgotten.
    bench.wait(30_000)
    assert len(list(bench.agent.neighbours())) == 1
    bench.wait(10_000)
    assert list(bench.agent.neighbours()) == []
    assert list(bench.agent.routes()) == []
