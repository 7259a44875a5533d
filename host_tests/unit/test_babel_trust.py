"""Links that their owner vouches for: patience with lost Hellos, and Hellos that bear losses."""

from babel_pair import GROUP, Bench, Peer
from branchline.babel.tlv import INFINITY
from branchline.wire.ticks import ticks_diff

FAR = "10.2.2.0/24"


def _silent_ms(bench):
    """How long the peer's silence is borne, in ms; its last Hello came just now."""
    began = bench.now
    for _ in range(200):
        bench.wait(250)
        if [event for event in bench.events() if event[0] == "neighbour_down"]:
            return ticks_diff(bench.now, began)
    return None


def test_a_trusted_links_silence_is_borne_longer():
    for trusted, expected in ((False, 1250), (True, 2750)):
        bench = Bench()
        peer = Peer(bench).up()
        bench.wait(5000, (peer,))
        bench.agent.set_trust("a", trusted, False, bench.now)
        peer.ticks = 0
        peer.greet()
        assert _silent_ms(bench) == expected, trusted


def test_with_the_trust_the_patience_ends():
    bench = Bench()
    peer = Peer(bench).up()
    bench.wait(5000, (peer,))
    peer.update(FAR)
    bench.agent.set_trust("a", True, False, bench.now)
    bench.wait(2000)
    bench.events()
    bench.agent.set_trust("a", False, False, bench.now)
    kinds = [event[0] for event in bench.events()]
    assert kinds == ["neighbour_down", "unreachable"]
    # It is as good as any other when it is vouched for again.
    bench.agent.set_trust("a", True, False, bench.now)
    assert [event[0] for event in bench.events()] == ["neighbour_up", "install"]


def _hellos(said):
    """(destination, seqno, interval) of the Hellos of each kind: (multicast, unicast)."""
    kinds = ([], [])
    for call in said:
        if call[2] == "hello":
            kinds[call[3]].append((call[1], call[4], call[5]))
    return kinds


def test_on_a_lossy_link_neighbours_get_unicast_hellos_between_the_others():
    bench = Bench("a", options={"rtt": True})
    peers = [Peer(bench, "a", number).up() for number in (2, 3)]
    assert _hellos(bench.wait(5000, peers))[1] == []
    bench.agent.set_trust("a", True, True, bench.now)
    multicast, unicast = _hellos(bench.wait(10_000, peers))
    assert {destination for destination, _, _ in multicast} == {GROUP}
    for peer in peers:
        own = [hello for hello in unicast if hello[0] == peer.address]
        assert abs(len(own) - len(multicast)) <= 1
        seqnos = [seqno for _, seqno, _ in own]
        assert seqnos == [(seqnos[0] + n) & 0xFFFF for n in range(len(own))]
        assert {interval for _, _, interval in own} == {50}
    bench.agent.set_trust("a", True, False, bench.now)
    assert len(_hellos(bench.wait(5000, peers))[1]) <= len(peers)


def test_neighbours_find_no_gap_but_the_pause_when_unicast_hellos_begin_again():
    """They count those that do not come: whose seqno went on is not taken for late."""
    bench = Bench()
    peer = Peer(bench).up()
    bench.agent.set_trust("a", True, True, bench.now)
    before = _hellos(bench.wait(3000, (peer,)))[1][-1][1]
    bench.agent.set_trust("a", True, False, bench.now)
    beats = len(_hellos(bench.wait(5000, (peer,)))[0])
    bench.agent.set_trust("a", True, True, bench.now)
    after = _hellos(bench.wait(1500, (peer,)))[1][0][1]
    assert abs((after - before & 0xFFFF) - beats - 1) <= 1


def test_trust_is_for_a_link_that_is_down_too():
    bench = Bench()
    bench.agent.interface_down("a", bench.now)
    bench.agent.set_trust("a", True, True, bench.now)
    bench.agent.interface_up("a", bench.now)
    bench.wait(1000)
    assert Peer(bench).up() and bench.wait(1000)


def test_trust_changes_nothing_of_what_is_told():
    bench = Bench()
    peer = Peer(bench).up()
    bench.wait(3000, (peer,))
    bench.agent.set_trust("a", True, False, bench.now)
    costs = [call[4] for call in bench.wait(3000, (peer,)) if call[2] == "ihu"]
    assert set(costs) == {96} and INFINITY not in costs
