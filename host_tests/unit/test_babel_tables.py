"""Feasibility, the source table, route selection, filters and requests: RFC 8966 as tables."""

from babel_pair import key
from branchline.babel.filters import Policy, Rule, is_martian
from branchline.babel.records import NONE, Rows
from branchline.babel.requests import Requests
from branchline.babel.source import SOURCE_GC_MS, better, newer
from branchline.babel.table import Table
from branchline.babel.tlv import INFINITY
from branchline.wire.counters import Counters
from branchline.wire.ip import parse_address, parse_prefix
from branchline.wire.ticks import PERIOD, ticks_add

R1 = b"router-1"
R2 = b"router-2"
# Just before the wrap of the ticks.
NOW = PERIOD - 50


class Link:
    """Stands in for a neighbour."""

    def __init__(self, cost):
        self.cost = cost


def test_3_2_1_seqnos_compare_modulo_2_16():
    cases = (
        (1, 0, True),
        (0, 1, False),
        (0, 0, False),
        (0, 65535, True),
        (65535, 0, False),
        (32767, 0, True),
        (32768, 0, False),
        (0, 32769, True),
    )
    for a, b, expected in cases:
        assert newer(a, b) == expected, (a, b)


def test_3_5_1_feasibility_condition():
    # (name, seqno, metric, feasible) against a feasibility distance of (100, 50)
    cases = (
        ("same seqno, smaller metric", 100, 49, True),
        ("same seqno, equal metric", 100, 50, False),
        ("same seqno, larger metric", 100, 51, False),
        ("newer seqno, larger metric", 101, 60000, True),
        ("older seqno, smaller metric", 99, 0, False),
        ("newer across the wrap", (100 + 0x7FFF) & 0xFFFF, 60000, True),
        ("older across the wrap", (100 + 0x8000) & 0xFFFF, 0, False),
    )
    for name, seqno, metric, feasible in cases:
        table = Table(4, 4, 4, 0)
        row = table.prefixes.make(key("10.0.0.0/8"))
        assert table.sources.is_feasible(row, R1, seqno, metric), "no source yet: " + name
        assert table.sources.announced(row, R1, 100, 50, NOW)
        assert table.sources.is_feasible(row, R1, seqno, metric) == feasible, name
        assert table.sources.is_feasible(row, R2, seqno, metric), "another source: " + name
        assert better(seqno, metric, 100, 50) == feasible, name


def test_3_7_3_distances_only_get_better():
    # (seqno, metric announced) -> distance afterwards, starting from (100, 50)
    cases = (
        ((100, 60), (100, 50)),
        ((100, 40), (100, 40)),
        ((99, 10), (100, 40)),
        ((101, 500), (101, 500)),
        ((101, 500), (101, 500)),
    )
    table = Table(4, 4, 4, 0)
    sources = table.sources
    row = table.prefixes.make(key("10.0.0.0/8"))
    sources.announced(row, R1, 100, 50, NOW)
    for announced, expected in cases:
        sources.announced(row, R1, announced[0], announced[1], NOW)
        source = sources.find(row, R1)
        assert (sources.seqno[source], sources.metric[source]) == expected, announced


def test_3_2_5_sources_expire_three_minutes_after_the_last_announcement():
    table = Table(4, 4, 4, 0)
    row = table.prefixes.make(key("10.0.0.0/8"))
    table.sources.announced(row, R1, 1, 1, NOW)
    table.sources.announced(row, R2, 1, 1, ticks_add(NOW, 1000))
    table.sources.expire(row, ticks_add(NOW, SOURCE_GC_MS - 1))
    assert table.sources.used == 2
    table.sources.expire(row, ticks_add(NOW, SOURCE_GC_MS))
    assert table.sources.find(row, R1) == NONE
    assert table.sources.find(row, R2) != NONE
    table.sources.announced(row, R2, 1, 1, ticks_add(NOW, SOURCE_GC_MS))
    table.sources.expire(row, ticks_add(NOW, SOURCE_GC_MS + 1000))
    assert table.sources.used == 1


def test_a_full_source_table_forbids_the_announcement():
    table = Table(4, 4, 1, 0)
    row = table.prefixes.make(key("10.0.0.0/8"))
    assert table.sources.announced(row, R1, 1, 1, NOW)
    assert not table.sources.announced(row, R2, 1, 1, NOW)
    assert table.sources.announced(row, R1, 2, 1, NOW)


def table_with(routes, margin=0):
    """A table with one prefix and its routes of (cost, router_id, seqno, metric)."""
    table = Table(4, 8, 8, margin)
    prefix = table.prefixes.make(key("10.0.0.0/8"))
    rows = []
    for cost, router_id, seqno, metric in routes:
        row = table.add_route(prefix, Link(cost))
        table.routes.router_id[row] = router_id
        table.routes.seqno[row] = seqno
        table.routes.metric[row] = metric
        rows.append(row)
    return table, prefix, rows


def test_3_6_selection():
    # (name, distance of R1, routes, index of the best or None)
    cases = (
        ("least metric", None, ((96, R1, 1, 0), (96, R1, 1, 10)), 0),
        ("the link's cost counts", None, ((96, R1, 1, 0), (20, R1, 1, 10)), 1),
        ("retracted", None, ((96, R1, 1, INFINITY), (96, R1, 1, 10)), 1),
        ("link down", None, ((INFINITY, R1, 1, 0), (96, R1, 1, 10)), 1),
        ("sum saturates", None, ((65000, R1, 1, 65000),), None),
        ("unfeasible", (1, 5), ((96, R1, 1, 5), (96, R1, 1, 4)), 1),
        ("all unfeasible", (2, 5), ((96, R1, 1, 0), (96, R1, 2, 5)), None),
        ("another source is feasible", (2, 5), ((96, R1, 1, 0), (96, R2, 1, 50)), 1),
        ("none", None, (), None),
    )
    for name, distance, routes, expected in cases:
        table, prefix, rows = table_with(routes)
        if distance:
            table.sources.announced(prefix, R1, distance[0], distance[1], NOW)
        best = table.best(prefix, NOW)
        assert best == (NONE if expected is None else rows[expected]), name


def test_3_6_routes_without_the_newest_seqno_are_worse_than_all_that_have_it():
    # (name, routes, index of the selected one or None, doubting, index of the best)
    late, fresh = (96, R1, 1, 0), (96, R1, 2, 500)
    cases = (
        ("nothing is selected", (late, fresh), None, False, 1),
        ("the selected one is spared", (late, fresh), 0, False, 0),
        ("until it is doubted", (late, fresh), 0, True, 1),
        ("the other order", (fresh, late), 1, True, 0),
        ("better ones that lack it do not replace it", (late, fresh), 1, False, 1),
        ("the best of those that have it", (late, fresh, (96, R1, 2, 400)), 0, True, 2),
        ("other routers have their own seqnos", (late, fresh, (96, R2, 9, 9)), 0, True, 2),
        ("doubted, but another router's is no newer", (late, (96, R2, 9, 9)), 0, True, 0),
        ("the newest is retracted", (late, (96, R1, 2, INFINITY)), 0, True, 0),
        ("no order among them", (late, (1, R1, 0x6001, 9), (1, R1, 0xC001, 8)), 0, True, 2),
    )
    for name, routes, selected, doubting, expected in cases:
        table, prefix, rows = table_with(routes)
        if selected is not None:
            table.prefixes.selected[prefix] = rows[selected]
        assert table.best(prefix, NOW, doubting) == rows[expected], name


def test_a_3_selected_route_stays_until_another_is_better_by_the_margin_for_a_while():
    table, prefix, rows = table_with(((100, R1, 1, 0), (110, R2, 1, 0)), margin=8)
    routes = table.routes
    now = NOW
    assert table.best(prefix, now) == rows[0]
    table.prefixes.selected[prefix] = rows[0]
    # Better by less than the margin: never.
    routes.neighbour[rows[1]].cost = 95
    for _ in range(100):
        now = ticks_add(now, 1000)
        assert table.best(prefix, now) == rows[0]
    # Better by much, but only just: not yet, then yes.
    routes.neighbour[rows[0]].cost = 300
    routes.neighbour[rows[1]].cost = 200
    now = ticks_add(now, 10)
    assert table.best(prefix, now) == rows[0]
    moved = 0
    while table.best(prefix, now) == rows[0]:
        now = ticks_add(now, 500)
        moved += 500
        assert moved < 60_000
    # The selected route is lost: at once.
    table.prefixes.selected[prefix] = rows[1]
    routes.neighbour[rows[1]].cost = INFINITY
    assert table.best(prefix, now) == rows[0]


def test_a_short_peak_moves_no_traffic():
    table, prefix, rows = table_with(((100, R1, 1, 0), (120, R2, 1, 0)), margin=8)
    now = NOW
    table.prefixes.selected[prefix] = table.best(prefix, now)
    now = ticks_add(now, 60_000)
    table.best(prefix, now)
    table.routes.neighbour[rows[0]].cost = 140
    now = ticks_add(now, 500)
    assert table.best(prefix, now) == rows[0]
    table.routes.neighbour[rows[0]].cost = 100
    now = ticks_add(now, 500)
    assert table.best(prefix, now) == rows[0]


def test_routes_are_chained_and_dropped_in_any_order():
    for order in ((0, 1, 2), (2, 1, 0), (1, 0, 2), (1, 2, 0)):
        table, prefix, rows = table_with(((1, R1, 1, 0), (2, R1, 1, 0), (3, R1, 1, 0)))
        links = [table.routes.neighbour[row] for row in rows]
        for i, dropped in enumerate(order):
            table.drop_route(rows[dropped])
            for j in order[i + 1 :]:
                assert table.find_route(prefix, links[j]) == rows[j]
            for j in order[: i + 1]:
                assert table.find_route(prefix, links[j]) == NONE
        assert table.prefixes.drop_if_idle(prefix)
        assert table.prefixes.find(key("10.0.0.0/8")) == NONE


def test_rows_are_reused_and_bounded():
    rows = Rows(2, {"link": "i", "name": "O", "n": "H"})
    a, b = rows.add(), rows.add()
    assert rows.add() == NONE
    rows.name[a], rows.n[a] = "x", 7
    rows.drop(a)
    assert (rows.used, rows.name[a], rows.n[a]) == (1, None, 0)
    assert rows.add() == a
    assert rows.add() == NONE
    assert (rows.used, len(rows)) == (2, 2)
    assert b != a


def test_shared_columns_let_go_of_what_no_row_holds():
    rows = Rows(8, {"link": "h", "name": "S"})
    a, b, c = rows.add(), rows.add(), rows.add()
    for row, name in ((a, "x"), (b, "y"), (c, "x"), (a, "y"), (a, None), (b, "z"), (a, "w")):
        rows.name[row] = name
    assert [rows.name[row] for row in (a, b, c)] == ["w", "z", "x"]
    rows.drop(b)
    assert [rows.name[row] for row in (a, b, c)] == ["w", None, "x"]
    for i in range(100):
        rows.name[b] = i
    assert [rows.name[row] for row in (a, b, c)] == ["w", 99, "x"]
    assert rows.name.kinds() == 3


def test_martians():
    cases = (
        ("0.0.0.0/8", True),
        ("0.0.0.0/0", False),
        ("10.0.0.0/8", False),
        ("127.0.0.1/32", True),
        ("126.0.0.0/7", False),
        ("169.254.0.0/16", True),
        ("169.253.0.0/16", False),
        ("224.0.0.0/4", True),
        ("240.0.0.0/8", True),
        ("255.255.255.255/32", True),
        ("223.255.255.0/24", False),
        ("::/0", False),
        ("::1/128", True),
        ("::/128", True),
        ("fe80::/64", True),
        ("fec0::/10", False),
        ("ff02::/16", True),
        ("::ffff:10.0.0.0/104", True),
        ("2001:db8::/32", False),
    )
    for text, expected in cases:
        assert is_martian(key(text)) == expected, text


def rule(text, **more):
    octets, plen = parse_prefix(text)
    return Rule(octets, plen, **more)


PEER = parse_address("fe80::1")


def test_accept_rules():
    inside = [rule("10.0.0.0/8")]
    # (name, rules, prefix, reason)
    cases = (
        ("no rules", [], "10.1.0.0/16", None),
        ("no rules, default", [], "0.0.0.0/0", "default_route"),
        ("no rules, IPv6 default", [], "::/0", "default_route"),
        ("inside", inside, "10.1.0.0/16", None),
        ("the whole", inside, "10.0.0.0/8", None),
        ("outside", inside, "11.0.0.0/8", "not_accepted"),
        ("shorter", inside, "8.0.0.0/6", "not_accepted"),
        ("other family", inside, "fd00::/8", "not_accepted"),
        ("martian", [rule("0.0.0.0/0")], "127.0.0.0/8", "martian"),
        ("default by name", [rule("0.0.0.0/0", longest=0)], "0.0.0.0/0", None),
        ("only the default", [rule("0.0.0.0/0", longest=0)], "10.0.0.0/8", "not_accepted"),
        ("too long", [rule("10.0.0.0/8", longest=24)], "10.1.1.1/32", "not_accepted"),
        ("too short", [rule("10.0.0.0/8", shortest=16)], "10.0.0.0/8", "not_accepted"),
        ("interface", [rule("10.0.0.0/8", interface="b")], "10.1.0.0/16", "not_accepted"),
        ("neighbour", [rule("10.0.0.0/8", neighbour=PEER)], "10.1.0.0/16", None),
        (
            "the first rule that matches decides",
            [rule("10.1.0.0/16", allow=False), rule("10.0.0.0/8")],
            "10.1.1.0/24",
            "not_accepted",
        ),
        (
            "even before one for that prefix alone",
            [rule("10.1.0.0/16", allow=False), rule("10.1.1.0/24", longest=24)],
            "10.1.1.0/24",
            "not_accepted",
        ),
        (
            "and after one",
            [rule("10.1.1.0/24", longest=24), rule("10.1.0.0/16", allow=False)],
            "10.1.1.0/24",
            None,
        ),
        (
            "one for that prefix, of another neighbour, decides nothing",
            [rule("10.1.0.0/16", longest=16, neighbour=bytes(16)), rule("10.0.0.0/8")],
            "10.1.0.0/16",
            None,
        ),
    )
    for name, rules, prefix, reason in cases:
        assert Policy(rules).refusal(key(prefix), "a", PEER) == reason, name


def test_routes_that_cover_a_tunnels_remote_are_refused():
    policy = Policy()
    policy.protected.append(parse_address("198.51.100.7"))
    assert policy.refusal(key("198.51.100.0/24"), "a", PEER) == "covers_remote"
    assert policy.refusal(key("198.51.100.7/32"), "a", PEER) == "covers_remote"
    assert policy.refusal(key("198.51.101.0/24"), "a", PEER) is None


def test_what_lies_within_our_own_prefixes_is_refused_but_from_behind_them():
    policy = Policy(own=[(key("10.1.0.0/16"), "lan"), (key("10.100.0.1/32"), None)])
    cases = (
        ("10.1.0.0/16", "tun", "own_prefix"),
        ("10.1.2.0/24", "tun", "own_prefix"),
        ("10.1.2.0/24", "lan", None),
        ("10.0.0.0/8", "tun", None),
        ("10.100.0.1/32", "lan", "own_prefix"),
    )
    for text, interface, reason in cases:
        assert policy.refusal(key(text), interface, bytes(16)) == reason, (text, interface)


def test_announce_rules():
    policy = Policy(announce=[rule("10.0.0.0/8", interface="a"), rule("fd00::/8")])
    cases = (
        ("10.0.0.0/8", "a", True),
        ("10.0.0.0/8", "b", False),
        ("fd00:1::/64", "b", True),
        ("11.0.0.0/8", "a", False),
    )
    for prefix, interface, expected in cases:
        assert policy.may_announce(key(prefix), interface) == expected, (prefix, interface)
    assert Policy().may_announce(key("11.0.0.0/8"), "a")


def test_3_8_1_2_redundant_requests_are_not_forwarded():
    requests = Requests(Counters(("requests_full",)))
    prefix = key("10.0.0.0/8")
    assert requests.add(prefix, R1, 5, NOW, True)
    assert not requests.add(prefix, R1, 5, NOW, True)
    assert not requests.add(prefix, R1, 4, NOW, True)
    assert requests.add(prefix, R2, 5, NOW, True)
    assert requests.add(prefix, R1, 6, NOW, True)
    assert not requests.satisfied(prefix, R1, 5)
    assert requests.satisfied(prefix, R1, 6)
    assert not requests.satisfied(prefix, R1, 6)


def test_3_8_2_1_own_requests_are_sent_again_with_doubled_timeouts_and_given_up():
    requests = Requests(Counters(("requests_full",)))
    requests.add(key("10.0.0.0/8"), R1, 5, NOW, False)
    requests.add(key("10.0.0.0/8"), R2, 5, NOW, True)
    now = NOW
    sent = []
    for _ in range(400):
        for again in requests.due(now):
            assert again == (key("10.0.0.0/8"), R1, 5)
            sent.append((now - NOW) % PERIOD)
        now = ticks_add(now, 100)
    assert sent == [500, 1500, 3500, 7500, 15500]
    assert len(requests) == 0
    assert requests.next_timer() is None


def test_pending_requests_are_bounded():
    counters = Counters(("requests_full",))
    requests = Requests(counters)
    for i in range(100):
        requests.add(key("10.%d.0.0/16" % i), R1, 1, NOW, False)
    assert len(requests) == 64
    assert counters["requests_full"] == 36
    requests.forget(key("10.3.0.0/16"))
    assert len(requests) == 63


def test_what_is_accepted_can_change():
    policy = Policy([rule("10.1.0.0/16"), rule("10.2.0.0/16", longest=16)])
    prefixes = [key(name) for name in ("10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16")]
    for rules, accepted in (
        (None, [True, True, False]), ([rule("10.3.0.0/16")], [False, False, True]),
        ([], [True, True, True]),
    ):  # fmt: skip
        if rules is not None:
            policy.replace_accept(rules)
        assert [policy.refusal(each, "a", PEER) is None for each in prefixes] == accepted


def test_keys_are_found_and_let_go_in_any_order():
    # Nearly as many keys as heads: some share one.
    names = ["10.0.0.0/8", "10.0.0.0/9", "0.0.0.0/0", "::/0", "2001:db8::/32", "fd00::1/128"]
    keys = [key(name) for name in names]
    for shift in range(len(keys)):
        table = Table(len(keys), 1, 1, 0)
        rows = [table.prefixes.make(k) for k in keys]
        assert [table.prefixes.make(k) for k in keys] == rows
        assert [table.prefixes.key[row] for row in rows] == keys
        order = keys[shift:] + keys[:shift]
        for i in range(len(order)):
            assert table.prefixes.drop_if_idle(table.prefixes.find(order[i]))
            assert [table.prefixes.find(k) == NONE for k in order] == [
                j <= i for j in range(len(order))
            ]
