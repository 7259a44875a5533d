"""What hubs tell each other of arrivals: the datagrams, when they go, what is believed."""

from branchline.babel.prefix import prefix_key
from branchline.hub.arrivals import MAX_DATAGRAM, Arrivals, decode, encode
from branchline.wire.errors import ProtocolError
from branchline.wire.ip import parse_address, parse_prefix
from branchline.wire.ticks import ticks_add
from support import raises, unhex

PARIS, DUBLIN, GHENT = [parse_address("10.100.0.%d" % number) for number in (1, 2, 3)]
KEY = prefix_key(*parse_prefix("10.100.0.50/32"))
LAN = prefix_key(*parse_prefix("192.168.5.0/24"))
SIX = prefix_key(*parse_prefix("fd00:5::/64"))


def _encoded(told, now=0):
    out = bytearray(MAX_DATAGRAM)
    n, end = encode(told, 0, now, out)
    assert end == len(told)
    return bytes(out[:n])


def test_octets():
    octets = _encoded([("anna", ticks_add(0, -1500), [KEY, LAN])])
    assert octets == unhex("424c4101 000005dc 04616e6e61 02 01200a640032 0118c0a805")
    assert decode(octets, len(octets)) == [(1500, "anna", [KEY, LAN])]
    assert _encoded([]) == b"BLA\x01"
    told = [("a", 0, []), ("b", 0, [SIX])]
    octets = _encoded(told)
    assert decode(octets, len(octets)) == [(0, "a", []), (0, "b", [SIX])]


def test_what_is_no_datagram_of_arrivals():
    for text in (
        "", "424c41", "424c4102", "424c4201", "00000000",
        "424c4101 00", "424c4101 00000000", "424c4101 00000000 04616e6e",
        "424c4101 00000000 00 00",  # no name
        "424c4101 00000000 0161",  # no number of prefixes
        "424c4101 00000000 0161 01", "424c4101 00000000 0161 01 0120 0a0000",
        "424c4101 00000000 0161 01 0320 0a000001",  # no family
        "424c4101 00000000 0161 01 0121 0a00000100", "424c4101 00000000 0161 01 0281 " + "00" * 17,
        "424c4101 00000000 0161 01 0107 03",  # bits behind the length
        "424c4101 00000000 0161 41",  # 65 prefixes
        "424c4101 10000001 0161 00",  # older than ticks can tell
        "424c4101 00000000 010a 00", "424c4101 00000000 01e9 00",  # no printable ASCII
        "424c4101 00000000 41 " + "61" * 65 + "00",
        "424c4101 00000000 0161 00 ff",
    ):  # fmt: skip
        octets = unhex(text)
        raises(ProtocolError, decode, octets, len(octets))


def _sent(arrivals, now):
    """[(address, datagram)] of what is to be sent."""
    out = bytearray(MAX_DATAGRAM + 1)
    found = []
    while n := arrivals.next_datagram(out, now):
        found.append((arrivals.out_address, bytes(out[:n])))
        assert len(found) < 1000
    return found


def _hub(now=0):
    arrivals = Arrivals([("dublin", DUBLIN), ("ghent", GHENT)], now)
    arrivals.handle_timer(now)
    assert _sent(arrivals, now) == [(DUBLIN, b"BLA\x01"), (GHENT, b"BLA\x01")]
    return arrivals


def test_an_arrival_is_told_to_all_at_once_and_again():
    arrivals = _hub()
    arrivals.tell({"anna": (3000, [KEY]), "old": (ticks_add(3000, -30_000), [LAN])}, 3000)
    times = []
    now = 3000
    while now < 45_000:
        arrivals.handle_timer(now)
        sent = _sent(arrivals, now)
        if sent and len(sent[0][1]) > 4:
            assert [address for address, _ in sent] == [DUBLIN, GHENT]
            assert decode(sent[0][1], len(sent[0][1])) == [(now - 3000, "anna", [KEY])]
            times.append(now - 3000)
        now = arrivals.next_timer()
    assert times[:4] == [0, 200, 1200, 2200] and 29_000 <= times[-1] < 30_000
    # After that one datagram each 5 s tells that the hub is there.
    assert len(times) == 31
    arrivals.handle_timer(now)
    assert len(_sent(arrivals, now)) == 2 and arrivals.next_timer() == now + 5000


def test_what_was_told_already_is_not_hurried():
    arrivals = _hub()
    arrivals.tell({"anna": (3000, [KEY])}, 3000)
    arrivals.handle_timer(3000)
    _sent(arrivals, 3000)
    arrivals.handle_timer(3200)
    _sent(arrivals, 3200)
    arrivals.tell({"anna": (3000, [KEY])}, 3300)
    assert arrivals.next_timer() == 4200
    arrivals.tell({"anna": (3000, [KEY, LAN])}, 3300)
    assert arrivals.next_timer() == 3300
    arrivals.tell({}, 3301)
    arrivals.handle_timer(3301)
    assert _sent(arrivals, 3301)[0][1] == b"BLA\x01"


def test_many_take_several_datagrams():
    arrivals = _hub()
    told = {"client-%d" % i: (1000, [KEY, LAN, SIX]) for i in range(100)}
    told["long" * 16] = (1000, [prefix_key(bytes(15) + bytes([i]), 128) for i in range(64)])
    arrivals.tell(told, 1000)
    arrivals.handle_timer(1000)
    heard = {}
    for address, datagram in _sent(arrivals, 1000):
        assert len(datagram) <= MAX_DATAGRAM
        for _, name, keys in decode(datagram, len(datagram)):
            heard.setdefault(name, []).append((address, keys))
    assert sorted(heard) == sorted(told)
    for name, found in heard.items():
        assert found == [(DUBLIN, told[name][1]), (GHENT, told[name][1])]


def _hear(arrivals, source, told, now):
    octets = _encoded(told, now)
    arrivals.receive_datagram(source, octets, len(octets), now)


def test_the_latest_arrival_counts():
    arrivals = _hub()
    _hear(arrivals, DUBLIN, [("anna", 900, [KEY])], 1000)
    claim = arrivals.claims["anna"]
    assert (claim.hub, claim.since, claim.keys) == ("dublin", 900, [KEY]) and arrivals.changed
    arrivals.changed = False
    _hear(arrivals, DUBLIN, [("anna", 900, [KEY])], 2000)
    assert not arrivals.changed
    # Datagrams take their time: the same session seems a little later.
    _hear(arrivals, DUBLIN, [("anna", 920, [KEY])], 2000)
    assert not arrivals.changed and arrivals.claims["anna"].since == 900
    _hear(arrivals, DUBLIN, [("anna", 899, [KEY])], 2000)
    assert not arrivals.changed and arrivals.claims["anna"].since == 899
    # She was elsewhere, for a moment only.
    _hear(arrivals, DUBLIN, [("anna", 920, [KEY])], 2000)
    assert arrivals.changed and arrivals.claims["anna"].since == 920
    arrivals.changed = False
    _hear(arrivals, GHENT, [("anna", 800, [KEY])], 2000)
    assert not arrivals.changed and arrivals.claims["anna"].hub == "dublin"
    _hear(arrivals, GHENT, [("anna", 2000, [KEY])], 2000)
    assert arrivals.changed and arrivals.claims["anna"].hub == "ghent"
    for change in ([("anna", 2000, [KEY, LAN])], [("anna", 3500, [KEY, LAN])]):
        arrivals.changed = False
        _hear(arrivals, GHENT, change, 4000)
        assert arrivals.changed


def test_what_is_not_heard_again_is_forgotten():
    arrivals = _hub()
    _hear(arrivals, DUBLIN, [("anna", 1000, [KEY])], 1000)
    _hear(arrivals, DUBLIN, [("bob", 2000, [LAN])], 2000)
    _hear(arrivals, DUBLIN, [("anna", 1000, [KEY])], 20_000)
    arrivals.changed = False
    for now, names in (
        (36_000, ["anna", "bob"]), (36_999, ["anna", "bob"]), (37_000, ["anna"]),
        (54_999, ["anna"]), (55_000, []),
    ):  # fmt: skip
        arrivals.handle_timer(now)
        assert sorted(arrivals.claims) == names
    assert arrivals.changed and arrivals._claims_due is None


def test_who_is_heard():
    arrivals = _hub()
    good = _encoded([("anna", 0, [KEY])])
    for source, octets, counter in (
        (PARIS, good, "stranger"), (bytes(4), good, "stranger"), (bytes(16), good, "stranger"),
        (DUBLIN, good[:-1], "malformed"), (DUBLIN, b"", "malformed"),
        (DUBLIN, bytes(MAX_DATAGRAM + 1), "malformed"),
    ):  # fmt: skip
        before = arrivals.counters[counter]
        arrivals.receive_datagram(source, octets, len(octets), 0)
        assert arrivals.counters[counter] == before + 1 and not arrivals.claims
    assert arrivals.hubs[0].heard is None
    arrivals.receive_datagram(DUBLIN, good, len(good), 77)
    assert arrivals.hubs[0].heard == 77 and arrivals.counters["heard"] == 1


def test_the_number_of_claims_has_a_limit():
    arrivals = _hub()
    for i in range(4100):
        arrivals._heard(arrivals.hubs[0], 0, "c%d" % i, [], 0)
    assert len(arrivals.claims) == 4096 and arrivals.counters["full"] == 4
    arrivals._heard(arrivals.hubs[1], 5, "c1", [], 0)
    assert arrivals.claims["c1"].hub == "ghent"


def test_a_hub_alone_is_silent():
    arrivals = Arrivals([], 0)
    arrivals.tell({"anna": (0, [KEY])}, 0)
    assert arrivals.next_timer() is None and _sent(arrivals, 0) == []
