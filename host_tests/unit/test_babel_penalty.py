"""Links that their owner judges: penalties, and the way a lost link's traffic moves at once."""

from babel_pair import GROUP, ROUTER_ID, Bench, Peer, key
from branchline.babel.packet import route_request, seqno_request
from branchline.babel.prefix import address
from branchline.babel.tlv import INFINITY
from branchline.wire.errors import StateError
from branchline.wire.ip import parse_prefix
from branchline.wire.ticks import ticks_add
from support import raises

OWN = "10.1.1.0/24"
FAR = "10.2.2.0/24"
R2 = b"router-2"
R3 = b"router-3"


def pair(*texts, **more):
    """A bench that announces prefixes, and a usable neighbour on each of its two interfaces."""
    bench = Bench("ab", **more)
    for text in texts:
        bench.agent.announce(*(parse_prefix(text) + (bench.now,)))
    peers = Peer(bench, "a", 2).up(), Peer(bench, "b", 3).up()
    bench.wait(1_000, peers)
    return (bench,) + peers


def by(event):
    """What an event says of a route: its kind or the interface."""
    return event[4] if event[0] == "install" else event[0]


def updates(said, interface):
    """(prefix, seqno, metric) of the updates on an interface."""
    return [call[3:4] + call[5:7] for call in said if call[0] == interface and call[2] == "update"]


def rxcosts(said, interface):
    """The costs in the IHUs on an interface."""
    return [call[4] for call in said if call[0] == interface and call[2] == "ihu"]


def test_a_penalty_is_told_at_once_and_again_and_moves_traffic_at_once():
    bench, one, two = pair()
    one.update(FAR, metric=0)
    two.update(FAR, metric=100)
    bench.said()
    bench.events()
    bench.agent.set_penalty("a", 200, bench.now)
    assert [by(event) for event in bench.events()] == ["b"]
    said = bench.said()
    assert rxcosts(said, "a") == [296]
    assert rxcosts(said, "b") == []
    assert rxcosts(bench.wait(250), "a") == [296]
    bench.agent.set_penalty("a", 0, bench.now)
    assert [by(event) for event in bench.events()] == ["a"]
    assert rxcosts(bench.said(), "a") == [96]


def test_a_penalty_that_rises_refreshes_what_is_known_of_us():
    # (penalties in turn, by how much our seqno rises)
    cases = (((50,), 1), ((50, 20), 1), ((50, INFINITY), 2), ((50, INFINITY, 0), 2))
    for penalties, raised in cases:
        bench, _one, _two = pair(OWN, seqno=65535)
        for penalty in penalties:
            bench.agent.set_penalty("a", penalty, bench.now)
        assert bench.agent.seqno == (65535 + raised) & 0xFFFF, penalties
        said = bench.said()
        assert (key(OWN), bench.agent.seqno, 0) in updates(said, "b")


def test_an_infinite_penalty_replaces_routes_in_one_step():
    bench, one, two = pair(OWN)
    one.update(FAR, metric=0)
    two.update(FAR, metric=50)
    one.update("10.3.0.0/16")
    bench.said()
    bench.events()
    bench.agent.set_penalty("a", INFINITY, bench.now)
    events = bench.events()
    assert ("neighbour_down", "a", one.address) in events
    routes = [event for event in events if event[0] != "neighbour_down"]
    expected = [("b", address(key(FAR))), ("unreachable", address(key("10.3.0.0/16")))]
    assert sorted([(by(event), event[1]) for event in routes]) == expected
    # Only by the other interface is anything told but a retraction.
    said = bench.wait(250)
    assert (key(FAR), 1, 146) in updates(said, "b")
    assert {metric for _, _, metric in updates(said, "a")} == {INFINITY}


def test_an_infinite_penalty_is_said_in_one_packet_twice():
    bench, _one, _two = pair(OWN)
    bench.agent.set_penalty("a", INFINITY, bench.now)
    for said in (bench.said(), bench.wait(250)):
        said = [call for call in said if call[:2] == ("a", GROUP)]
        assert [call[2] for call in said] == ["hello", "ihu", "update"]
        assert rxcosts(said, "a") == [INFINITY]
        assert updates(said, "a") == [(None, 0, INFINITY)]


def test_while_the_penalty_is_infinite_hellos_go_on_and_all_else_is_retracted():
    bench, one, two = pair(OWN)
    two.update(FAR, interval=6000)
    bench.agent.set_penalty("a", INFINITY, bench.now)
    bench.wait(500, (one, two))
    one.say(route_request(None))
    one.say(route_request(key(OWN)))
    one.say(seqno_request(key(OWN), bench.agent.seqno + 1 & 0xFFFF, 64, ROUTER_ID))
    said = bench.wait(5_000, (one, two))
    assert {metric for _, _, metric in updates(said, "a")} == {INFINITY}
    assert len([call for call in said if call[0] == "a" and call[2] == "hello"]) >= 9
    assert set(rxcosts(said, "a")) == {INFINITY}
    assert (key(OWN), bench.agent.seqno, 0) in updates(said, "b")


def test_a_link_is_usable_at_once_when_its_infinite_penalty_ends():
    bench, one, two = pair(OWN)
    one.update(FAR, metric=0, interval=6000)
    bench.agent.set_penalty("a", INFINITY, bench.now)
    bench.wait(5_000, (one, two))
    bench.events()
    # What it tells meanwhile is kept.
    one.update(FAR, seqno=2, metric=7, interval=6000)
    assert bench.events() == []
    bench.agent.set_penalty("a", 0, bench.now)
    assert [by(event) for event in bench.events()] == ["neighbour_up", "a"]
    said = bench.said()
    assert rxcosts(said, "a") == [96]
    assert (key(OWN), bench.agent.seqno, 0) in updates(said, "a")


def test_penalties_that_change_nothing_or_are_none():
    bench, _one, _two = pair()
    bench.agent.set_penalty("a", 0, bench.now)
    assert bench.said() == []
    for wrong in (-1, INFINITY + 1):
        assert raises(StateError, bench.agent.set_penalty, "a", wrong, bench.now)
    # One that is down tells nobody, and has its penalty when it comes up.
    bench.agent.interface_down("a", bench.now)
    bench.agent.set_penalty("a", 40, bench.now)
    bench.agent.interface_up("a", bench.now)
    Peer(bench, "a", 2).greet()
    assert rxcosts(bench.said(), "a") == [136]


def test_a_refresh_asks_for_the_seqno_and_then_announces_it_in_one_packet():
    bench, one, two = pair(OWN)
    bench.agent.set_penalty("a", INFINITY, bench.now)
    bench.wait(1_000, (one, two))
    before = bench.agent.seqno
    bench.agent.refresh(bench.now)
    seqno = (before + 1) & 0xFFFF
    assert bench.agent.seqno == seqno
    packets = bench.packets()
    assert [packet[:2] for packet in packets if packet[0] == "b"] == [("b", GROUP)]
    # Three times in all, and the seqno rises once.
    told = 1
    for _ in range(20):
        bench.now = ticks_add(bench.now, 20)
        bench.agent.handle_timer(bench.now)
        said = bench.said()
        asked = [call for call in said if call[2] == "seqno_request"]
        assert {call[0] for call in asked} <= {"b"}
        if asked:
            told += 1
            mine = [call[2] for call in said if call[0] == "b" and call[2] != "hello"]
            assert mine[:2] == ["seqno_request", "update"]
            assert asked[0][3:] == (key(OWN), seqno, 64, ROUTER_ID)
            assert (key(OWN), seqno, 0) in updates(said, "b")
    assert told == 3
    assert bench.agent.seqno == seqno


def doubting(**more):
    """A pair whose selected route by a lacks the seqno that b has just shown."""
    bench, one, two = pair(**more)
    one.update(FAR, seqno=5, metric=0)
    two.update(FAR, seqno=5, metric=90)
    bench.wait(1_000, (one, two))
    assert [by(event) for event in bench.events()] == ["a"]
    two.update(FAR, seqno=6, metric=90)
    return bench, one, two


def test_a_route_that_does_not_show_the_newest_seqno_in_time_is_left():
    bench, one, two = doubting()
    # Asked at once, and given a moment.
    assert bench.said_of("seqno_request") == [("a", one.address, key(FAR), 6, 64, R2)]
    assert bench.events() == []
    bench.wait(250)
    assert [by(event) for event in bench.events()] == ["b"]
    # As long as it does not, it is not preferred, however good it is.
    for _ in range(20):
        bench.wait(500, (one, two))
        one.update(FAR, seqno=5, metric=0)
        two.update(FAR, seqno=6, metric=90)
    assert bench.events() == []
    # When it does, the ordinary choice is back.
    one.update(FAR, seqno=6, metric=0)
    bench.wait(5_000, (one, two))
    assert [by(event) for event in bench.events()] == ["a"]


def test_a_route_that_shows_the_newest_seqno_in_time_stays():
    bench, one, _two = doubting()
    one.update(FAR, seqno=6, metric=0)
    bench.wait(1_000)
    assert bench.events() == []


def test_a_route_without_the_newest_seqno_is_better_than_none():
    # A stub has announced nothing, so that the older one stays feasible.
    bench, _one, two = doubting(stub=True)
    bench.wait(250)
    assert [by(event) for event in bench.events()] == ["b"]
    two.update(FAR, metric=INFINITY)
    assert [by(event) for event in bench.events()] == ["a"]
    bench, _one, two = doubting()
    two.update(FAR, metric=INFINITY)
    bench.wait(250)
    assert bench.events() == []


def test_what_raises_no_doubt():
    # (name, the update that the other neighbour tells)
    cases = (
        ("the same seqno", {"seqno": 5, "metric": 0}),
        ("an older one", {"seqno": 4, "metric": 0}),
        ("another router's", {"seqno": 6, "metric": 90, "router_id": R3}),
        ("no way for us", {"seqno": 6, "metric": INFINITY - 1}),
    )
    for name, update in cases:
        bench, one, two = pair()
        one.update(FAR, seqno=5, metric=0)
        bench.wait(1_000, (one, two))
        bench.events()
        two.update(FAR, **update)
        asked = [call for call in bench.said_of("seqno_request") if call[1] == one.address]
        assert asked == [], name
        bench.wait(250)
        assert [by(e) for e in bench.events() if e[0] != "conflict"] == [], name


def test_doubts_are_bounded():
    bench, one, two = pair()
    for seqno, peer in ((5, one), (6, two)):
        for i in range(100):
            peer.update("10.%d.0.0/16" % i, seqno=seqno, metric=peer is two and 90)
    assert len([c for c in bench.said_of("seqno_request") if c[1] == one.address]) == 64
    bench.wait(250)
    assert len([event for event in bench.events() if by(event) == "b"]) == 64
