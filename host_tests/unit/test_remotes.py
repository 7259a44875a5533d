"""The order of the remotes, and the waits between attempts."""

from branchline.openvpn.profile import Remote
from branchline.tunnel.engine import Retry
from branchline.tunnel.remotes import Remotes
from openvpn_link import Random

_ONE, _TWO, _THREE = b"\1\1\1\1", b"\2\2\2\2", b"\3\3\3\3"


def _remotes(*hosts, protos=None, seed=1, **settings):
    protos = protos or ["udp"] * len(hosts)
    remotes = [Remote(host, 1194, proto) for host, proto in zip(hosts, protos)]
    return Remotes(remotes, Retry(**settings), Random(seed).octets)


def test_each_address_of_each_remote_has_its_turn():
    remotes = _remotes("a", "b")
    seen = []
    for addresses in ([_ONE, _TWO], [_THREE], [_TWO]):
        assert remotes.address() is None
        remotes.resolved(addresses)
        while remotes.address():
            seen.append((remotes.current().host, remotes.address()))
            assert remotes.failed()
    assert seen == [("a", _ONE), ("a", _TWO), ("b", _THREE), ("a", _TWO)]


def test_a_name_that_cannot_be_resolved_is_passed_over():
    remotes = _remotes("a", "b")
    remotes.failed()
    assert remotes.current().host == "b"


def test_at_most_eight_addresses_are_tried():
    remotes = _remotes("a")
    remotes.resolved([bytes([i]) * 4 for i in range(20)])
    tried = 0
    while remotes.address():
        remotes.failed()
        tried += 1
    assert tried == 8


def test_a_remote_that_worked_is_tried_first_and_resolved_anew():
    remotes = _remotes("a", "b")
    remotes.failed()
    remotes.resolved([_ONE])
    remotes.succeeded()
    remotes.again()
    assert remotes.current().host == "b" and remotes.address() is None


def test_connect_retry_max_counts_rounds():
    for hosts in (("a",), ("a", "b", "c")):
        remotes = _remotes(*hosts, max_rounds=2)
        answers = [remotes.failed() for _ in range(2 * len(hosts))]
        assert answers == [True] * (2 * len(hosts) - 1) + [False]
    remotes = _remotes("a", max_rounds=2)
    remotes.failed()
    remotes.resolved([_ONE])
    remotes.succeeded()
    assert remotes.failed() and not remotes.failed()


def test_waits_double_after_five_rounds_and_scatter_by_a_quarter():
    for hosts in (("a",), ("a", "b")):
        remotes = _remotes(*hosts, first_s=2, max_s=30)
        waits = []
        for _ in range(12):
            waits.append(remotes.wait_ms())
            for _ in hosts:
                remotes.failed()
        expected = [2000] * 6 + [4000, 8000, 16_000, 30_000, 30_000, 30_000]
        for wait, middle in zip(waits, expected):
            assert middle * 3 // 4 <= wait <= middle * 5 // 4, (waits, middle)
        assert len(set(waits)) > 6
        remotes.resolved([_ONE])
        remotes.succeeded()
        assert remotes.wait_ms() <= 2500
    remotes = _remotes("a")
    for _ in range(10_000):
        remotes.failed()
    assert 22_500 <= remotes.wait_ms() <= 37_500


def test_the_address_that_worked_goes_first():
    remotes = _remotes("a")
    remotes.resolved([_ONE, _TWO])
    remotes.failed()
    remotes.succeeded()
    remotes.again()
    remotes.resolved([_THREE, _ONE, _TWO])
    assert remotes.address() == _TWO


def test_udp_is_better_where_the_profile_names_it_first():
    for protos, at, expected in (
        (("udp", "tcp"), 1, 0),
        (("udp", "tcp"), 0, None),
        (("tcp", "udp"), 0, None),
        (("tcp", "udp", "tcp"), 2, 1),
        (("tcp", "tcp"), 1, None),
    ):
        remotes = _remotes(*"abc"[: len(protos)], protos=protos)
        for _ in range(at):
            remotes.failed()
        assert remotes.better() == expected, protos
        if expected is not None:
            remotes.jump(expected, _TWO)
            assert (remotes.index, remotes.address()) == (expected, _TWO)


def test_remote_random():
    hosts = tuple("abcdefgh")
    orders = set()
    for seed in range(10):
        remotes = _remotes(*hosts, random=True, seed=seed)
        order = []
        for _ in hosts:
            order.append(remotes.current().host)
            remotes.failed()
        assert tuple(sorted(order)) == hosts
        orders.add(tuple(order))
    assert len(orders) > 5
