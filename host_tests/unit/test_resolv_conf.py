"""hal.resolv_conf: which names a host stands for (resolv.conf(5): ndots, search)."""

from branchline.hal.resolv_conf import ResolvConf, find_in_hosts

_NOWHERE = "/nonexistent/file"


def test_without_a_file_the_local_host_is_asked():
    conf = ResolvConf(_NOWHERE)
    assert conf.servers == ["127.0.0.1"]
    assert conf.candidates("hub") == ["hub"]
    assert find_in_hosts(_NOWHERE, "hub", (4, 16)) == []


def test_candidates():
    conf = ResolvConf(_NOWHERE)
    conf.search = ["a.example", "b.example."]
    for ndots, host, expected in (
        (1, "hub", ["hub.a.example", "hub.b.example", "hub"]),
        (1, "hub.x", ["hub.x", "hub.x.a.example", "hub.x.b.example"]),
        (2, "hub.x", ["hub.x.a.example", "hub.x.b.example", "hub.x"]),
        (0, "hub", ["hub", "hub.a.example", "hub.b.example"]),
        (1, "hub.", ["hub"]),
    ):
        conf.ndots = ndots
        assert conf.candidates(host) == expected, (ndots, host)
