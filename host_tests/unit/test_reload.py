"""app.reload: what a changed folder changes, in which order, and what it does not."""

from branchline.app.reload import Reload, differences
from branchline.app.settings import Config, Lan, Routing, Tunnel
from branchline.filter.table import Table
from branchline.tunnel.tunnel import DOWN, UP
from branchline.wire.errors import ConfigError
from branchline.wire.ticks import PERIOD, ticks_add

_LAN = b"\xc0\xa8\x0b\0"


class _Link:
    def __init__(self, device):
        self.device = device


class _Tunnel:
    def __init__(self, name):
        self.name = name
        self.state = UP
        self.finished = False
        self.link = _Link("tun-" + name)
        self.engine = None

    def replace_engine(self, engine, now):
        self.engine = engine
        self.state = DOWN
        self.link = None

    def come_up(self):
        self.state = UP
        self.link = _Link("tun-" + self.name)


class _Routing:
    def __init__(self):
        self.left = []
        self.used = set()
        self.taken = None

    def leave(self, device, now):
        self.left.append(device)

    def is_used(self, device):
        return device in self.used

    def reload(self, routing, now):
        self.taken = routing


def _config(**digests):
    config = Config()
    config.name = "lyon"
    for name in sorted(digests):
        tunnel = Tunnel(name, name + ".ovpn", None)
        tunnel.digest = digests[name]
        config.tunnels.append(tunnel)
    return config


class _Rig:
    """The tunnels a, b, ... with the digests b"1"; `folder` is what the folder holds."""

    def __init__(self, names="ab", routing=True):
        self.now = PERIOD - 1000
        self.tunnels = [_Tunnel(name) for name in names]
        self.config = _config(**{name: b"1" for name in names})
        self.folder = None
        self.notes = []
        self.routing = None
        if routing:
            self.routing = _Routing()
            self.config.routing = Routing()
        self.reload = Reload(self._load, self.config, self, self.routing, self._note)

    def _load(self):
        if isinstance(self.folder, Exception):
            raise self.folder
        return self.folder, lambda names: ["engine " + name for name in names]

    def _note(self, subject, event, reason, level):
        self.notes.append((level, subject, reason))

    # what it takes for a Manager

    def find(self, name):
        found = [tunnel for tunnel in self.tunnels if tunnel.name == name]
        return found[0] if found else None

    def others_work(self, name):
        return any(tunnel.name != name and tunnel.state == UP for tunnel in self.tunnels)

    # what the tests do

    def hangup(self, **digests):
        """The folder's profiles are others, and the gateway is told."""
        self.folder = _config(**digests)
        self.folder.routing = self.config.routing and Routing()
        return self.begin()

    def begin(self):
        self.reload.begin(self.now)
        return self

    def run(self, ms):
        for _ in range(ms // 50):
            self.reload.handle_timer(self.now)
            self.now = ticks_add(self.now, 50)
        return self

    def replaced(self):
        return "".join(tunnel.name for tunnel in self.tunnels if tunnel.engine)


def test_a_tunnel_is_left_before_it_starts_anew():
    rig = _Rig().hangup(a=b"2", b=b"1").run(1500)
    assert (rig.routing.left, rig.replaced()) == (["tun-a"], "")
    rig.run(1000)
    assert rig.find("a").engine == "engine a"
    rig.find("a").come_up()
    assert rig.run(10_000).replaced() == "a"
    assert rig.reload.next_timer() is None
    assert rig.config.tunnels[0].digest == b"2"


def test_nothing_changes_where_nothing_has_changed():
    rig = _Rig().hangup(a=b"1", b=b"1").run(5000)
    assert (rig.routing.left, rig.replaced()) == ([], "")


def test_the_next_waits_until_another_tunnel_works():
    """A profile that does not work takes no branch off the network."""
    rig = _Rig().hangup(a=b"2", b=b"2").run(30_000)
    assert rig.replaced() == "a"
    assert rig.notes[-1][:2] == ("warning", "b")
    rig.find("a").come_up()
    assert rig.run(3000).replaced() == "ab"


def test_two_of_three_that_do_not_come_up_leave_the_third():
    rig = _Rig("abc").hangup(a=b"2", b=b"2", c=b"2").run(60_000)
    assert rig.replaced() == "ab"


def test_a_tunnel_that_is_down_starts_anew_at_once():
    rig = _Rig()
    rig.find("b").state = DOWN
    rig.hangup(a=b"1", b=b"2").run(50)
    assert (rig.replaced(), rig.routing.left) == ("b", [])


def test_the_only_tunnel_starts_anew_at_once():
    assert _Rig("a").hangup(a=b"2").run(50).replaced() == "a"
    rig = _Rig()
    rig.find("a").state = DOWN
    rig.find("a").finished = True
    assert rig.hangup(a=b"1", b=b"2").run(50).replaced() == "b"


def test_routes_that_stay_are_waited_for_but_not_for_ever():
    rig = _Rig()
    rig.routing.used.add("tun-a")
    rig.hangup(a=b"2", b=b"1").run(14_000)
    assert rig.replaced() == ""
    assert rig.run(2000).replaced() == "a"


def test_a_tunnel_that_ends_while_it_is_left_starts_anew_at_once():
    rig = _Rig().hangup(a=b"2", b=b"1").run(300)
    rig.find("a").state = DOWN
    assert rig.run(300).replaced() == "a"


def test_without_routing_tunnels_start_anew_in_turn():
    rig = _Rig(routing=False).hangup(a=b"2", b=b"2").run(1000)
    assert rig.replaced() == "a"
    rig.find("a").come_up()
    assert rig.run(1000).replaced() == "ab"


def test_the_next_hangup_counts_for_what_has_not_been_done():
    """Back to the former profile: the tunnel is to be used again."""
    rig = _Rig().hangup(a=b"2", b=b"1").run(1000).hangup(a=b"1", b=b"1").run(10_000)
    assert rig.routing.left == ["tun-a", None]
    assert rig.replaced() == ""


def test_a_mistake_changes_nothing():
    rig = _Rig()
    another = _config(a=b"2", b=b"1")
    another.name = "nice"
    another.routing = Routing()
    for mistake, text in (
        (ConfigError("gateway.json:3", "not JSON", "correct that line"), "gateway.json:3"),
        (OSError(2, "no such file"), "no such file"),
        (another, "name"),
    ):
        rig.folder = mistake
        rig.begin().run(5000)
        level, subject, reason = rig.notes[-1]
        assert (level, subject) == ("error", "gateway")
        assert text in reason
    assert (rig.replaced(), rig.routing.left, rig.routing.taken) == ("", [], None)


def test_what_a_profile_asks_too_much_of_changes_nothing():
    rig = _Rig()

    def make(names):
        raise ConfigError("a.ovpn: key", "is of another certificate", "")

    config = _config(a=b"2", b=b"1")
    config.routing = Routing()
    rig.reload = Reload(lambda: (config, make), rig.config, rig, rig.routing, rig._note)
    rig.begin().run(5000)
    assert (rig.replaced(), rig.routing.taken) == ("", None)


def test_keys_and_what_is_accepted_are_routings():
    rig = _Rig().hangup(a=b"1", b=b"1")
    assert rig.routing.taken is rig.folder.routing
    assert len(rig.notes) == 1


def _changed(change):
    running, fresh = _config(a=b"1"), _config(a=b"1")
    for config in (running, fresh):
        config.routing = Routing()
        config.lans = [Lan("eth1", _LAN, 24, False)]
    change(fresh)
    return differences(running, fresh)


class _Firewall:
    def __init__(self):
        self.taken = []
        self.fails = None

    def reload(self, table, tunnels, now):
        if self.fails:
            raise self.fails
        self.taken.append((table, [tunnel.name for tunnel in tunnels]))


def test_the_filter_changes_first_or_nothing_does():
    rig = _Rig()
    firewall = _Firewall()
    rig.reload = Reload(rig._load, rig.config, rig, rig.routing, rig._note, firewall)
    rig.config.filter = Table((b"", b""), {}, [])
    rig.folder = _config(a=b"2", b=b"1")
    rig.folder.filter = Table((b"", b""), {}, [(True, "hubs", bytes(5))])
    firewall.fails = OSError(0, "nft refuses the filter")
    rig.reload.begin(rig.now)
    assert rig.reload.next_timer() is None and "nft refuses" in rig.notes[-1][2], rig.notes
    firewall.fails = None
    rig.reload.begin(rig.now)
    assert firewall.taken == [(rig.folder.filter, ["a", "b"])]
    assert rig.reload.next_timer() is not None


def _set(*path):
    """A change: the value at the end of path is another."""

    def change(config):
        thing = config
        for name in path[:-2]:
            thing = getattr(thing, name)
        setattr(thing, path[-2], path[-1])

    return change


def test_what_only_a_restart_takes_up():
    key = ("k1", "hmac-sha256", bytes(32), (None, None), (None, None))
    other = Lan("eth2", _LAN, 24, False)
    for change, keys in (
        (lambda config: None, []),
        (_set("tunnels", _config(a=b"2").tunnels), []),
        (_set("routing", "accept", [(_LAN, 24, None, None, None)]), []),
        (_set("tunnels", _config(a=b"1", b=b"1").tunnels), ["tunnels"]),
        (_set("tunnels", _config(b=b"1").tunnels), ["tunnels"]),
        (_set("filter", Table((b"", b""), {}, [])), ["filter"]),
        (_set("address", b"\x0a\0\0\1"), ["address"]),
        (_set("lans", []), ["lans"]),
        (_set("lans", [other]), ["lans"]),
        (_set("watchdog", "probe_ms", 100), ["watchdog"]),
        (_set("api", None), ["api"]),
        (_set("log_level", "debug"), ["log"]),
        (_set("routing", None), ["routing"]),
        (_set("routing", "hello_ms", 200), ["routing.hello_ms"]),
        (_set("routing", "keys", [key]), ["routing.keys"]),
    ):
        assert _changed(change) == keys, keys
