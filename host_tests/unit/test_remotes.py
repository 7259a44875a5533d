"""The order of the remotes, and the waits between attempts."""

from branchline.openvpn.profile import Profile, Remote
from branchline.tunnel.remotes import Remotes
from openvpn_link import Random

_ONE, _TWO, _THREE = b"\1\1\1\1", b"\2\2\2\2", b"\3\3\3\3"


def _remotes(*hosts, **settings):
    profile = Profile()
    profile.remotes = [Remote(host, 1194, "udp") for host in hosts]
    for name, value in settings.items():
        setattr(profile, name, value)
    return Remotes(profile, Random(settings.get("seed", 1)).octets)


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
        remotes = _remotes(*hosts, connect_retry_max=2)
        answers = [remotes.failed() for _ in range(2 * len(hosts))]
        assert answers == [True] * (2 * len(hosts) - 1) + [False]
    remotes = _remotes("a", connect_retry_max=2)
    remotes.failed()
    remotes.succeeded()
    assert remotes.failed() and not remotes.failed()


def test_waits_double_after_five_rounds():
    for hosts in (("a",), ("a", "b")):
        remotes = _remotes(*hosts, connect_retry=(2, 30))
        waits = []
        for _ in range(12):
            waits.append(remotes.wait_ms())
            for _ in hosts:
                remotes.failed()
        assert waits == [2000] * 6 + [4000, 8000, 16_000, 30_000, 30_000, 30_000]
        remotes.succeeded()
        assert remotes.wait_ms() == 2000
    remotes = _remotes("a")
    for _ in range(10_000):
        remotes.failed()
    assert remotes.wait_ms() == 300_000


def test_remote_random():
    hosts = tuple("abcdefgh")
    orders = set()
    for seed in range(10):
        remotes = _remotes(*hosts, remote_random=True, seed=seed)
        order = []
        for _ in hosts:
            order.append(remotes.current().host)
            remotes.failed()
        assert tuple(sorted(order)) == hosts
        orders.add(tuple(order))
    assert len(orders) > 5
