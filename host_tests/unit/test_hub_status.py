"""The answer to `status 3`: clients, their prefixes, and what cannot be read."""

from branchline.babel.prefix import prefix_text
from branchline.hub.status import Status
from branchline.wire.counters import Counters
from hub_words import HEADERS, ROUTES, client, route


def _taken(*lines):
    status = Status(Counters(("malformed", "overfull")))
    for line in HEADERS + lines:
        status.take(line)
    return status


def _texts(row):
    return sorted([prefix_text(key) for key in row.prefixes])


def test_clients_and_what_is_theirs():
    status = _taken(
        client("anna", 7, "10.100.0.50"), client("lyon", 8, "10.8.1.11", 900),
        client("UNDEF", 9, ""), ROUTES,
        route("anna", 7, "10.100.0.50"), route("anna", 7, "192.168.50.0/24"),
        route("lyon", 8, "fd00::/64"), route("lyon", 8, "10.8.1.11"),
        route("lyon", 8, "192.168.11.9C"), route("nobody", 7, "10.0.0.0/8"),
    )  # fmt: skip
    assert status.time == 1000 and sorted(status.rows) == [7, 8]
    anna = status.rows[7]
    assert (anna.name, anna.real, anna.created) == ("anna", "192.0.2.7:1194", 990)
    assert _texts(anna) == ["10.100.0.50/32", "192.168.50.0/24"]
    assert _texts(status.rows[8]) == ["10.8.1.11/32", "fd00::/64"]


def test_one_name_twice_is_told_apart_by_where_it_comes_from():
    status = _taken(
        client("anna", 1, "10.0.0.1"), client("anna", 2, "10.0.0.2"), ROUTES,
        route("anna", 2, "10.2.0.0/16"),
    )  # fmt: skip
    assert _texts(status.rows[1]) == ["10.0.0.1/32"]
    assert _texts(status.rows[2]) == ["10.0.0.2/32", "10.2.0.0/16"]


def test_addresses_of_a_tap_device_are_passed_over():
    status = _taken(
        client("anna", 1, "10.0.0.1"), ROUTES,
        route("anna", 1, "00:ff:12:34:56:78"), route("anna", 1, "00:ff:12:34:56:78@7"),
    )  # fmt: skip
    assert _texts(status.rows[1]) == ["10.0.0.1/32"]


def test_what_cannot_be_read_is_counted():
    good = client("anna", 1, "10.0.0.1")
    for lines, name in (
        (("CLIENT_LIST",), "malformed"),
        (("CLIENT_LIST\tanna\tx",), "malformed"),
        ((client("anna", "x", "10.0.0.1"),), "malformed"),
        ((client("anna", 1, "10.0.0"),), "malformed"),
        ((client("", 1, "10.0.0.1"),), "malformed"),
        ((client("n" * 65, 1, "10.0.0.1"),), "malformed"),
        (("TIME\tnow",), "malformed"),
        (("HEADER",), "malformed"),
        ((route("anna", 1, "10.0.0.1"),), "malformed"),  # before its columns are named
        ((good, ROUTES, route("anna", 1, "10.0.0.1/8")), "malformed"),
        ((good, ROUTES, route("anna", 1, "zz")), "malformed"),
        ((good, ROUTES) + tuple([route("anna", 1, "10.1.%d.0/24" % i) for i in range(64)]),
         "overfull"),
    ):  # fmt: skip
        status = Status(Counters(("malformed", "overfull")))
        for line in HEADERS + lines:
            status.take(line)
        assert status._counters.nonzero() == {name: 1}, lines
    assert _taken("", "x", "END\t", "GLOBAL_STATS\ta\tb").rows == {}
