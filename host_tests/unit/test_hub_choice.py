"""Which prefixes a hub announces, and whose sessions it ends."""

from branchline.babel.prefix import prefix_key, prefix_text
from branchline.hub.arrivals import Claim
from branchline.hub.choice import MAX_ANNOUNCED, REVOKED, SUPERSEDED, Choice, Rules
from branchline.hub.clients import Server, Session
from branchline.hub.status import Row
from branchline.wire.ip import parse_address, parse_prefix

UDP, TCP = Server("udp", "tun0", None, 0), Server("tcp", "tun1", None, 0)


def _key(text):
    return prefix_key(*parse_prefix(text))


def _session(name, since, *prefixes, server=UDP):
    row = Row(name, 1, "192.0.2.1:1", 0)
    row.prefixes = {_key(text): None for text in prefixes}
    return Session(server, row, since)


def _rules(**changes):
    given = {
        "accept": [parse_prefix("10.100.0.0/24"), parse_prefix("fd00::/16")],
        "skip": ["lyon"],
        "revoked": ["thief"],
        "own": [parse_address("10.100.0.1"), parse_address("10.100.0.2")],
    }
    given.update(changes)
    return Rules(**given)


def _choice(sessions, claims=None, **changes):
    """(prefix -> server, [(name, why, by)], the Choice)."""
    choice = Choice(_rules(**changes))
    choice.update(sessions, claims or {})
    routes = {prefix_text(key): session.server.name for key, session in choice.routes.items()}
    return routes, [(session.name, why, by) for session, why, by in choice.ends], choice


def _claim(since, *prefixes, hub="dublin"):
    return Claim(hub, since, [_key(text) for text in prefixes], since)


def test_what_may_be_announced():
    rules = _rules(accept=[parse_prefix("10.100.0.0/24"), (bytes(16), 0), (bytes(4), 0)])
    for text, allowed in (
        ("10.100.0.50/32", True), ("10.100.0.48/28", True), ("192.168.0.0/16", True),
        ("10.100.0.1/32", False), ("10.100.0.0/24", False),  # a hub's own
        ("0.0.0.0/0", False), ("::/0", False), ("fe80::5/128", False), ("127.0.0.1/32", False),
        ("224.0.0.0/8", False), ("fd00::/8", True),
    ):  # fmt: skip
        assert rules.allow(_key(text)) == allowed, text
    assert not _rules().allow(_key("10.101.0.1/32"))
    assert not _rules(accept=[]).allow(_key("10.100.0.50/32"))


def test_clients_are_announced_and_gateways_are_not():
    anna = _session("anna", 5, "10.100.0.50/32", "172.16.0.0/16", "fd00:5::/64")
    lyon = _session("lyon", 5, "10.100.0.11/32")
    routes, ends, choice = _choice([anna, lyon])
    assert routes == {"10.100.0.50/32": "udp", "fd00:5::/64": "udp"} and ends == []
    assert choice.counters.nonzero() == {"refused": 1}
    assert list(choice.arrivals) == ["anna"]
    since, keys = choice.arrivals["anna"]
    assert since == 5 and sorted(keys) == sorted([_key("10.100.0.50/32"), _key("fd00:5::/64")])
    assert lyon.note == "announces itself"


def test_revoked_sessions_end_and_are_not_announced():
    thief = _session("thief", 5, "10.100.0.60/32")
    routes, ends, choice = _choice([thief])
    assert (routes, ends) == ({}, [("thief", REVOKED, "")]) and choice.arrivals == {}
    thief.ended = 6
    assert _choice([thief])[:2] == ({}, [])


def test_the_latest_session_here_wins():
    old = _session("anna", 5, "10.100.0.50/32")
    new = _session("anna", 9, "10.100.0.50/32", server=TCP)
    for order in ([old, new], [new, old]):
        routes, ends, _ = _choice(order)
        assert routes == {"10.100.0.50/32": "tcp"}
        assert ends == [("anna", SUPERSEDED, "tcp")]
    old.ended = 10
    assert _choice([old, new])[:2] == ({"10.100.0.50/32": "tcp"}, [])


def test_who_has_no_prefix_yet_replaces_nobody():
    old = _session("anna", 5, "10.100.0.50/32")
    assert _choice([old, _session("anna", 9, server=TCP)])[:2] == ({"10.100.0.50/32": "udp"}, [])


def test_the_latest_session_anywhere_wins():
    for claimed, here in ((4, True), (5, True), (6, False)):
        session = _session("anna", 5, "10.100.0.50/32")
        routes, ends, choice = _choice([session], {"anna": _claim(claimed, "10.100.0.50/32")})
        assert routes == ({"10.100.0.50/32": "udp"} if here else {})
        assert ends == ([] if here else [("anna", SUPERSEDED, "dublin")])
        assert list(choice.arrivals) == (["anna"] if here else [])
        assert session.note == ("" if here else "superseded by dublin")


def test_ages_are_compared_across_the_wrap_of_ticks():
    session = _session("anna", (1 << 30) - 5, "10.100.0.50/32")
    assert _choice([session], {"anna": _claim(3, "10.100.0.50/32")})[0] == {}


def test_gateways_have_as_many_sessions_as_they_like():
    sessions = [_session("lyon", 5, "10.8.0.11/32"), _session("lyon", 7, "10.8.1.11/32")]
    assert _choice(sessions, {"lyon": _claim(9, "10.8.2.11/32")})[:2] == ({}, [])


def test_one_prefix_of_two_names_goes_to_the_later_and_ends_nobody():
    anna = _session("anna", 5, "10.100.0.50/32", "10.100.0.51/32")
    bob = _session("bob", 7, "10.100.0.51/32", server=TCP)
    for order in ([anna, bob], [bob, anna]):
        routes, ends, choice = _choice(order)
        assert routes == {"10.100.0.50/32": "udp", "10.100.0.51/32": "tcp"} and ends == []
        assert choice.counters["conflict"] == 1 and "another name" in anna.note
    for since, here in ((3, True), (9, False)):
        routes, ends, _ = _choice([anna], {"eve": _claim(since, "10.100.0.50/32")})
        assert ("10.100.0.50/32" in routes) == here and ends == []


def test_the_number_of_prefixes_has_a_limit():
    sessions = [
        _session("c%d" % i, i, "10.%d.%d.0/24" % (i >> 8, i & 255))
        for i in range(MAX_ANNOUNCED + 3)
    ]
    _, _, choice = _choice(sessions, accept=[parse_prefix("10.0.0.0/8")], own=[])
    assert len(choice.routes) == MAX_ANNOUNCED and choice.counters["full"] == 3
