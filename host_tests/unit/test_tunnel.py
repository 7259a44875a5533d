"""tunnel.tunnel: which attempt follows on what, with an engine that does what the test says."""

from branchline.openvpn.profile import Remote
from branchline.tunnel import engine as e
from branchline.tunnel.manager import MAX_TUNNELS, Manager
from branchline.tunnel.tunnel import (
    DOWN,
    SETUP,
    TEARDOWN,
    TUNNEL_DOWN,
    TUNNEL_FINISHED,
    TUNNEL_UP,
    UP,
)
from branchline.wire.errors import StateError
from branchline.wire.ticks import PERIOD, ticks_add, ticks_diff
from openvpn_link import Random
from support import raises

_HUB, _OTHER = b"\xc0\0\2\1", b"\xc0\0\2\2"
_LINK = e.Link("tun0", [], 1500, _HUB, None, _HUB)


class Engine:
    """Tells what it was called for; `prompt`: it disconnects at once."""

    kind = "fake"
    random_host = False

    def __init__(self, remotes, retry=None, name="paris"):
        self.name = name
        self.retry = retry or e.Retry()
        self.remotes = remotes
        self.patience_ms = None
        self.prompt = True
        self.can_check = True
        self.counts = None
        self.calls = []
        self.events = []

    def open(self, now):
        self.calls.append("open")
        self.events.append((e.READY, self.remotes))

    def connect(self, index, address, now):
        self.calls.append(("connect", index, address))

    def disconnect(self, now):
        self.calls.append("disconnect")
        if self.prompt:
            self.events.append((e.DOWN, (e.STOPPED, "")))

    def rebind(self, now):
        self.calls.append("rebind")
        return True

    def check(self, index, address, now):
        self.calls.append(("check", index, address))
        return self.can_check

    def close(self, now):
        self.calls.append("close")
        self.events = []

    def handle_timer(self, now):
        """It has no timers."""

    def next_timer(self):
        return None

    def next_event(self):
        return self.events.pop(0) if self.events else None

    def traffic(self):
        return self.counts

    def status(self):
        return {}


class Query:
    def __init__(self, addresses, done):
        self.addresses = addresses
        self.done = done
        self.error = "" if addresses else "no such name"

    def finish(self, error):
        """Nothing is under way."""


class System:
    def __init__(self, names):
        self.names = names
        self.now = PERIOD - 5000
        self.random = Random(1).octets
        self.lines = []
        self.asked = []
        self.slow = False  # the name servers say nothing

    def ticks(self):
        return self.now

    def log(self, level, subject, event, text):
        self.lines.append((level, event, text))

    def resolve(self, host, family, now):
        self.asked.append(host)
        return Query(self.names.get(host, []), not self.slow)


class Rig:
    """A Manager of one Tunnel, or of several with the same remotes."""

    def __init__(self, *protos, retry=None, tunnels=1, names=None):
        hosts = ("hub", "other", "third")
        remotes = [Remote(h, 1194, proto) for h, proto in zip(hosts, protos or ("udp",))]
        names = {"hub": [_HUB], "other": [_OTHER], "third": [_OTHER]} if names is None else names
        self.system = System(names)
        self.engines = [Engine(remotes, retry, "t%d" % n) for n in range(tunnels)]
        self.engine = self.engines[0]
        self.events = []
        self.manager = Manager(self.engines, self.system, self._on_event)
        self.tunnel = self.manager.tunnels[0]
        self.manager.start(self.system.now)

    def _on_event(self, tunnel, kind, detail):
        self.events.append((kind, detail))

    def run(self, ms):
        system = self.system
        while True:
            self.manager.handle_timer(system.now)
            due = self.manager.next_timer()
            wait = ms if due is None else min(ms, max(1, ticks_diff(due, system.now)))
            if not ms:
                return self
            ms -= wait
            system.now = ticks_add(system.now, wait)

    def tell(self, kind, detail, run_ms=0):
        """The engine has something to say."""
        self.engine.events.append((kind, detail))
        return self.run(run_ms)

    def up(self):
        return self.tell(e.UP, _LINK)

    def calls(self):
        """What the engine was called for since the last time."""
        calls, self.engine.calls = self.engine.calls, []
        return calls

    def kinds(self):
        return [kind for kind, _ in self.events]

    def logged(self, event):
        return [text for _, name, text in self.system.lines if name == event]


def test_an_attempt_and_a_session():
    rig = Rig()
    assert rig.tunnel.state == SETUP and rig.calls() == ["open", ("connect", 0, _HUB)]
    assert rig.tunnel.status()["remote"] == "192.0.2.1:1194/udp"
    rig.up()
    assert rig.tunnel.state == UP and rig.tunnel.link is _LINK
    assert rig.events == [(TUNNEL_UP, _LINK)]
    rig.tell(e.DOWN, ("ping-restart", "silence"))
    assert rig.tunnel.state == DOWN and rig.tunnel.link is None
    assert rig.events[1] == (TUNNEL_DOWN, ("ping-restart", "silence"))
    # Its name is resolved anew.
    rig.run(1300)
    assert rig.system.asked == ["hub", "hub"] and rig.calls() == [("connect", 0, _HUB)]


def test_waits_scatter():
    waits = set()
    rig = Rig()
    for _ in range(20):
        rig.tell(e.DOWN, ("timeout", ""))
        waits.add(ticks_diff(rig.manager.next_timer(), rig.system.now))
        rig.run(1300)
    assert len(waits) > 10


def test_patience_by_what_else_there_is():
    for protos, retry, patience in (
        (("udp",), e.Retry(), 60_000),
        (("udp", "tcp"), e.Retry(), 10_000),
        (("udp",), e.Retry(poll_s=7), 7000),
        (("udp", "tcp"), e.Retry(poll_s=120), 120_000),
    ):
        assert Rig(*protos, retry=retry).engine.patience_ms == patience, protos


def test_a_restart_in_every_state():
    rig = Rig()
    rig.calls()
    # SETUP: the attempt ends, another begins.
    rig.tunnel.restart("asked", rig.system.now)
    assert rig.tunnel.state == SETUP and rig.calls() == ["disconnect", ("connect", 0, _HUB)]
    rig.up()
    rig.tunnel.restart("asked", rig.system.now)
    rig.run(0)
    assert rig.tunnel.state == SETUP and rig.calls() == ["disconnect", ("connect", 0, _HUB)]
    assert rig.events[-1] == (TUNNEL_DOWN, ("restart", "asked"))
    # DOWN: the wait ends.
    rig.tell(e.DOWN, ("timeout", ""))
    assert rig.tunnel.state == DOWN
    rig.tunnel.restart("asked", rig.system.now)
    assert rig.tunnel.state == SETUP and rig.calls() == [("connect", 0, _HUB)]
    # While a name is resolved.
    rig.tell(e.DOWN, ("timeout", ""))
    rig.system.slow = True
    rig.run(1300)
    assert rig.calls() == []
    rig.system.slow = False
    rig.tunnel.restart("asked", rig.system.now)
    assert rig.calls() == [("connect", 0, _HUB)]
    # When it was final.
    rig.tell(e.FATAL, ("device", "forbidden"))
    assert rig.tunnel.finished and rig.kinds()[-1] == TUNNEL_FINISHED
    rig.calls()
    rig.tunnel.restart("asked", rig.system.now)
    assert not rig.tunnel.finished and rig.calls() == ["close", "open", ("connect", 0, _HUB)]


def test_a_restart_with_the_next_remote():
    rig = Rig("udp", "udp").up()
    assert rig.tunnel.has_other_remote
    rig.calls()
    rig.tunnel.restart("silence", rig.system.now, True, True)
    rig.run(0)
    assert rig.calls() == ["disconnect", ("connect", 1, _OTHER)]
    assert rig.events[-1] == (TUNNEL_DOWN, ("watchdog", "silence"))
    assert not Rig().tunnel.has_other_remote


def test_an_engine_that_answers_late():
    rig = Rig().up()
    rig.engine.prompt = False
    rig.calls()
    rig.tunnel.restart("asked", rig.system.now)
    rig.run(3000)
    assert rig.tunnel.state == TEARDOWN and rig.calls() == ["disconnect"]
    assert rig.kinds() == [TUNNEL_UP, TUNNEL_DOWN]
    # A second one changes nothing.
    rig.tunnel.restart("asked", rig.system.now)
    assert rig.calls() == []
    rig.tell(e.DOWN, (e.STOPPED, ""))
    assert rig.tunnel.state == SETUP and rig.calls() == [("connect", 0, _HUB)]


def test_an_engine_that_does_not_stop_is_restarted():
    rig = Rig().up()
    rig.engine.prompt = False
    rig.calls()
    rig.tunnel.restart("asked", rig.system.now)
    rig.run(3999)
    assert rig.calls() == ["disconnect"]
    rig.run(1)
    assert rig.calls() == ["close", "open", ("connect", 0, _HUB)]
    assert rig.tunnel.state == SETUP and rig.kinds() == [TUNNEL_UP, TUNNEL_DOWN]


def test_a_session_that_comes_up_while_it_is_torn_down():
    rig = Rig()
    rig.engine.prompt = False
    rig.tunnel.restart("asked", rig.system.now)
    rig.up()
    assert rig.tunnel.state == TEARDOWN and rig.events == []
    rig.tell(e.DOWN, (e.STOPPED, ""))
    assert rig.tunnel.state == SETUP and rig.events == []


def test_a_stop_while_it_is_torn_down():
    rig = Rig().up()
    rig.engine.prompt = False
    rig.tunnel.restart("asked", rig.system.now)
    rig.manager.stop(rig.system.now)
    assert rig.tunnel.state == DOWN and rig.tunnel.next_timer() is None
    rig.calls()
    rig.run(600_000)
    assert rig.calls() == [] and rig.tunnel.state == DOWN


def test_the_engine_itself_is_restarted():
    for state in ("setup", "up", "down"):
        rig = Rig()
        if state == "up":
            rig.up()
        elif state == "down":
            rig.tell(e.DOWN, ("timeout", ""))
        assert rig.tunnel.status()["state"] == state
        rig.calls()
        rig.tunnel.restart_engine("nothing else has helped", rig.system.now)
        rig.run(0)
        assert rig.calls() == ["close", "open", ("connect", 0, _HUB)], state
        assert rig.tunnel.state == SETUP and rig.kinds().count(TUNNEL_DOWN) == (state == "up")


def test_another_engine_goes_on_with_its_own_remotes():
    for state in ("setup", "up", "down", "finished"):
        rig = Rig("udp", "tcp-client")
        if state == "up":
            rig.up()
        elif state == "down":
            rig.tell(e.DOWN, ("timeout", ""))
        elif state == "finished":
            rig.tell(e.FATAL, ("options-error", ""))
        rig.calls()
        fresh = Engine([Remote("other", 1194, "udp")], name="t0")
        rig.tunnel.replace_engine(fresh, rig.system.now)
        rig.run(0)
        assert rig.calls() == ["close"], state
        assert fresh.calls == ["open", ("connect", 0, _OTHER)], state
        assert rig.kinds().count(TUNNEL_DOWN) == (state == "up")
        rig.engine = fresh
        assert rig.up().tunnel.state == UP


def test_only_a_session_moves_to_a_fresh_socket():
    rig = Rig()
    assert not rig.tunnel.rebind(rig.system.now)
    rig.up().calls()
    assert rig.tunnel.rebind(rig.system.now) and rig.calls() == ["rebind"]
    assert rig.tunnel.state == UP and rig.kinds() == [TUNNEL_UP]


def test_a_name_that_stops_nothing():
    """One tunnel stuck in DNS delays no other, and an old answer has to do."""
    rig = Rig(tunnels=2)
    for engine in rig.engines:
        engine.events.append((e.UP, _LINK))
    rig.run(0)
    rig.system.slow = True
    rig.tell(e.DOWN, ("ping-restart", ""), 1300)
    assert rig.tunnel.state == SETUP and rig.manager.tunnels[1].state == UP
    rig.calls()
    rig.run(1600)
    assert rig.calls() == [("connect", 0, _HUB)]
    assert "the answer of" in rig.logged("resolve")[0]


def test_resolv_retry():
    """OpenVPN manual: an only remote is asked for so long; among several it is passed over."""
    rig = Rig(names={})
    rig.run(600_000)
    assert rig.tunnel.attempts > 50 and not rig.tunnel.finished
    rig = Rig(names={}, retry=e.Retry(resolv_s=20, max_rounds=1))
    rig.run(15_000)
    assert not rig.tunnel.finished
    rig.run(10_000)
    assert rig.tunnel.finished
    rig = Rig("udp", "udp", names={"other": [_OTHER]})
    rig.run(2000)
    assert rig.calls() == ["open", ("connect", 1, _OTHER)]


def _by_tcp():
    """A tunnel whose UDP remote failed, and that is up by TCP."""
    rig = Rig("udp", "tcp")
    rig.tell(e.DOWN, ("timeout", "no answer"), 1300)
    assert rig.calls()[-1] == ("connect", 1, _OTHER)
    return rig.up()


def test_udp_is_asked_for_while_tcp_works():
    rig = _by_tcp()
    rig.run(299_000)
    assert rig.calls() == []
    rig.run(1000)
    assert rig.calls() == [("check", 0, _HUB)] and rig.tunnel.state == UP
    # Still blocked: the next time is further away.
    rig.tell(e.ANSWER, False, 599_000)
    assert rig.calls() == []
    rig.run(1000)
    assert rig.calls() == [("check", 0, _HUB)]
    rig.tell(e.ANSWER, True)
    assert rig.calls() == ["disconnect", ("connect", 0, _HUB)]
    assert rig.events[-1] == (TUNNEL_DOWN, ("restart", "UDP works again"))
    rig.up().run(3_600_000)
    assert rig.calls() == [] and rig.tunnel.state == UP


def test_udp_is_asked_for_once_an_hour_at_last():
    rig = _by_tcp()
    for _ in range(8):
        while rig.calls() == []:
            rig.run(60_000)
        rig.tell(e.ANSWER, False)
    began = rig.system.now
    while rig.calls() == []:
        rig.run(60_000)
    assert 3_600_000 - 60_000 <= ticks_diff(rig.system.now, began) <= 3_600_000


def test_udp_that_fails_all_the_same_leads_back_to_tcp():
    rig = _by_tcp()
    rig.run(300_000)
    rig.tell(e.ANSWER, True)
    rig.calls()
    rig.tell(e.DOWN, ("timeout", "no answer"), 1300)
    assert rig.calls() == [("connect", 1, _OTHER)]


def test_an_answer_that_comes_too_late():
    rig = _by_tcp()
    rig.run(300_000)
    rig.tell(e.DOWN, ("transport", "broken"))
    rig.calls()
    rig.tell(e.ANSWER, True)
    assert rig.calls() == [] and rig.tunnel.state == DOWN


def test_an_engine_that_cannot_ask_tries_where_another_tunnel_works():
    for others in (False, True):
        rig = Rig("udp", "tcp", tunnels=2)
        rig.tell(e.DOWN, ("timeout", "no answer"), 1300)
        rig.up()
        rig.engine.can_check = False
        if others:
            rig.engines[1].events.append((e.UP, _LINK))
        rig.calls()
        rig.run(300_000)
        expected = [("check", 0, _HUB)]
        if others:
            expected += ["disconnect", ("connect", 0, _HUB)]
        assert rig.calls() == expected
        assert rig.tunnel.state == (SETUP if others else UP)


def test_no_way_back_where_udp_is_no_better():
    for protos in (("tcp", "udp"), ("tcp", "tcp"), ("udp", "udp")):
        rig = Rig(*protos)
        rig.tell(e.DOWN, ("timeout", ""), 1300)
        rig.up().calls()
        rig.run(3_600_000)
        assert rig.calls() == [], protos


def test_a_fight_for_one_certificate_is_told_and_not_looped():
    rig = Rig()
    for _ in range(4):
        assert rig.tunnel.status()["problem"] is None
        rig.run(200)
        rig.up().run(5000)
        rig.tell(e.DOWN, ("ping-restart", ""))
        if rig.logged("duplicate"):
            break
        rig.run(1300)
    assert "give each board a certificate of its own" in rig.logged("duplicate")[0]
    assert rig.tunnel.status()["problem"] == "another client uses this certificate"
    rig.calls()
    rig.run(59_000)
    assert rig.calls() == [] and rig.tunnel.state == DOWN
    rig.run(1000)
    assert rig.calls() == [("connect", 0, _HUB)]


def test_a_watchdogs_restarts_may_show_the_fight_too():
    rig = Rig()
    for _ in range(4):
        rig.up().run(5000)
        rig.tunnel.restart("silence", rig.system.now, False, True)
    assert rig.tunnel.state == DOWN and len(rig.logged("duplicate")) == 1
    rig.run(60_000)
    assert rig.tunnel.state == SETUP


def test_a_session_lives_as_long_as_octets_come():
    """Two minutes of silence at the end are no long life."""
    for received, fights in ((13_000, False), (1000, True)):
        rig = Rig()
        for _ in range(4):
            rig.engine.counts = (0, 0)
            rig.run(200)
            rig.up()
            for n in range(130):
                rig.engine.counts = (n, min(100 * n, received))
                rig.run(1000)
            rig.tell(e.DOWN, ("ping-restart", ""), 1300)
        assert bool(rig.logged("duplicate")) == fights, received


def test_what_a_server_that_pings_is_to_be_heard_in():
    for ping, restart, expected in (
        (0, 60, None), (10, 0, None), (10, 120, 35_000), (1, 5, 5000), (60, 120, 120_000),
    ):
        assert e.quiet_limit(ping, restart) == expected


def test_notes_of_the_engine_are_logged():
    rig = Rig().tell(e.NOTE, ("warning", "device", "text"))
    assert ("warning", "device", "text") in rig.system.lines


def test_a_manager_has_a_limit_and_finds_by_name():
    engines = [Engine([], name="t%d" % n) for n in range(MAX_TUNNELS + 1)]
    raises(StateError, Manager, engines, System({}))
    manager = Manager(engines[:-1], System({}))
    assert manager.find("t5") is manager.tunnels[5] and manager.find("absent") is None


def test_whether_others_work():
    rig = Rig(tunnels=3)
    rig.up()
    assert rig.manager.others_work("t1") and not rig.manager.others_work("t0")
    useless = Manager(rig.engines, rig.system, None, lambda tunnel: False)
    useless.tunnels[0].state = UP
    assert not useless.others_work("t1")
