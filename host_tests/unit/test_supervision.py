"""app.supervision: probes, what routing is told, and the steps, with tunnels that are faked."""

from test_pump import Poller

from branchline.app.settings import Watchdog
from branchline.app.supervision import Supervision
from branchline.tunnel.engine import Link
from branchline.tunnel.tunnel import DOWN, TUNNEL_DOWN, TUNNEL_FINISHED, TUNNEL_UP, UP
from branchline.wire.ip import parse_address
from branchline.wire.ticks import PERIOD, ticks_add, ticks_diff

_INFINITY = 0xFFFF
_HUB, _HUB6 = parse_address("10.8.0.1"), parse_address("fd00::1")
_CONFIGURED = parse_address("10.99.0.1")


class Probe:
    """Answers each probe at once while the hub does."""

    def __init__(self, rig, device, target, identifier):
        self._rig = rig
        self.device = device
        self.target = target
        self.open = True
        self.sent = 0
        self.answers = []

    def send(self, sequence):
        assert self.open
        self.sent += 1
        if self.device not in self._rig.silent:
            self.answers.append(sequence)
        return True

    def receive(self):
        assert self.open
        return self.answers.pop(0) if self.answers else None

    def close(self):
        assert self.open
        self.open = False


class System:
    def __init__(self, rig):
        self._rig = rig
        self.poller = Poller()
        self.now = PERIOD - 10_000
        self.ms = 0
        self.refused = False
        self.probes = []

    def random(self, n):
        return bytes(n)

    def ticks(self):
        return self.now

    def ticks_us(self):
        return self.ms * 1000

    def open_probe(self, device, target, identifier):
        if self.refused:
            raise OSError(1, "make a socket: Operation not permitted")
        self.probes.append(Probe(self._rig, device, target, identifier))
        return self.probes[-1]


class Engine:
    totals = (0, 0)

    def traffic(self):
        return self.totals


class Tunnel:
    """A tunnel that comes and goes as the test says; remembers what it was told to do."""

    def __init__(self, name):
        self.name = name
        self.engine = Engine()
        self.state = DOWN
        self.finished = False
        self.has_other_remote = False
        self.can_rebind = True
        self.calls = []

    def rebind(self, now):
        if self.can_rebind:
            self.calls.append("rebind")
        return self.can_rebind

    def restart(self, reason, now, next_remote=False, silent=False):
        self.calls.append(("restart", next_remote, silent))

    def restart_engine(self, reason, now):
        self.calls.append("restart_engine")


class Routing:
    def __init__(self):
        self.told = []
        self.trusts = []

    def set_penalty(self, device, penalty, now):
        self.told.append((device, penalty))

    def set_trust(self, device, trusted, lossy, now):
        self.trusts.append((device, trusted, lossy))


class Entry:
    def __init__(self, probe=None):
        self.probe = probe


class Rig:
    """Tunnels t0, t1... with the devices tun0, tun1...; silent: devices whose hub is silent."""

    def __init__(self, tunnels=2, routing=True, probe=None, **settings):
        self.silent = set()
        self.system = System(self)
        self.routing = Routing() if routing else None
        self.tunnels = [Tunnel("t%d" % n) for n in range(tunnels)]
        self.notes = []
        self.watchdog = Watchdog()
        self.tunnel_entries = [Entry(probe) for _ in self.tunnels]
        for name, value in settings.items():
            setattr(self.watchdog, name, value)
        self.supervision = Supervision(self._config(), self.system, self, self.routing, self._note)

    def _config(self):
        class Config:
            watchdog = self.watchdog
            tunnels = self.tunnel_entries

        return Config

    def _note(self, subject, event, reason, level="info"):
        self.notes.append((subject, event, reason))

    def up(self, *numbers, gateway=_HUB, gateway_ipv6=None, ends_idle=False, quiet_ms=None):
        for n in numbers or range(len(self.tunnels)):
            self.tunnels[n].state = UP
            link = Link("tun%d" % n, [], 1500, gateway, gateway_ipv6, _HUB, ends_idle, quiet_ms)
            self._tell(n, TUNNEL_UP, link)
        return self

    def down(self, n, reason="ping-restart"):
        self.tunnels[n].state = DOWN
        self._tell(n, TUNNEL_DOWN, (reason, ""))

    def _tell(self, n, kind, detail):
        self.supervision.tunnel_changed(self.tunnels[n], kind, detail, self.system.now)

    def run(self, ms):
        system = self.system
        end = system.ms + ms
        # As app.loop: after an answer it is looked at only where that is asked for.
        look = True
        while True:
            for probe in system.probes:
                if probe.open and probe.answers:
                    look = not system.poller.callbacks[probe](True, False) or look
            if look:
                self.supervision.handle_timer(system.now)
                due = self.supervision.next_timer()
            if system.ms == end:
                return self
            wait = end - system.ms if due is None else max(1, ticks_diff(due, system.now))
            if any(probe.answers for probe in system.probes):
                wait = 1
            wait = min(wait, end - system.ms)
            system.ms += wait
            system.now = ticks_add(system.now, wait)
            look = due is not None and ticks_diff(system.now, due) >= 0

    def flap(self, n):
        self.silent.add("tun%d" % n)
        self.run(2500)
        self.silent.discard("tun%d" % n)
        self.run(1500)

    def told(self, device=None):
        """What routing was told since the last time."""
        told, self.routing.told = self.routing.told, []
        return [t for t in told if device in (None, t[0])]

    def calls(self, n=0):
        calls, self.tunnels[n].calls = self.tunnels[n].calls, []
        return calls

    def events(self, n=0):
        return [event for subject, event, _ in self.notes if subject == "t%d" % n]

    def status(self, n=0):
        return self.supervision.status("t%d" % n, self.system.now)


def test_a_good_tunnel_is_told_nothing_about():
    rig = Rig().up().run(10_000)
    assert rig.told() == [] and rig.calls() == []
    assert 38 <= rig.system.probes[0].sent <= 42
    status = rig.status()
    assert (status["penalty"], status["probes"]) == (0, "10.8.0.1")
    assert status["health"]["state"] == "up"


def test_what_is_probed():
    for settings, link, expected in (
        ({}, {}, _HUB),
        ({}, {"gateway_ipv6": _HUB6}, _HUB),
        ({}, {"gateway": None, "gateway_ipv6": _HUB6}, _HUB6),
        ({"probe": _CONFIGURED}, {}, _CONFIGURED),
        ({"probe": _CONFIGURED}, {"gateway": None}, _CONFIGURED),
    ):
        rig = Rig(1, **settings).up(**link)
        assert rig.system.probes[0].target == expected
        assert rig.status()["probes"] is not None
    assert Rig(1).up(gateway=None, gateway_ipv6=_HUB6).status()["probes"] == "fd00::1"


def test_what_cannot_be_probed_counts_as_working():
    for refused, link in (
        (True, {}), (False, {"gateway": None}), (False, {"ends_idle": True}),
    ):  # fmt: skip
        rig = Rig(1)
        rig.system.refused = refused
        for _ in range(2):
            rig.up(**link).run(5000)
            rig.down(0)
            rig.run(500)
        rig.up(**link)
        rig.told(), rig.calls()
        rig.run(100_000)
        assert rig.events().count("unprobed") == 3
        assert rig.told() == [] and rig.calls() == [] and rig.supervision.works(rig.tunnels[0])
        assert rig.status()["probes"] is None and not rig.system.poller.callbacks


def test_a_dead_tunnel_is_told_once_and_a_live_one_once():
    rig = Rig().up().run(5000)
    rig.silent.add("tun0")
    rig.run(400)
    assert rig.told() == []
    rig.run(200)
    assert rig.told() == [("tun0", _INFINITY)]
    assert not rig.supervision.works(rig.tunnels[0]) and rig.supervision.works(rig.tunnels[1])
    rig.run(1000)
    assert rig.told() == []
    rig.silent.clear()
    rig.run(1000)
    assert rig.told() == [("tun0", 0)]


def test_routing_may_rely_on_a_tunnel_whose_probes_are_answered():
    rig = Rig(1).up().run(2000)
    assert rig.routing.trusts == [("tun0", True, False)]
    # One lost probe is no lossy path, a second one is, until all of the last 64 were answered.
    for _ in range(2):
        rig.silent.add("tun0")
        rig.run(260)
        rig.silent.discard("tun0")
        rig.run(3000)
    assert rig.routing.trusts[1:] == [("tun0", True, True)]
    rig.run(20_000)
    assert rig.routing.trusts[2:] == [("tun0", True, False)]
    rig.silent.add("tun0")
    rig.run(2000)
    assert rig.routing.trusts[3:] == [("tun0", False, False)]
    rig.silent.discard("tun0")
    rig.run(2000)
    assert rig.routing.trusts[4] == ("tun0", True, False)
    # Another session is another device; without probes nothing is known.
    rig.down(0)
    rig = Rig(1)
    rig.silent.add("tun0")
    rig.up().run(10_000)
    assert rig.routing.trusts == []


def test_all_tunnels_are_probed_in_one_moment():
    rig = Rig(3).up(0).run(70).up(1).run(100).up(2).run(1000)
    moments = set()
    for _ in range(2000):
        before = [probe.sent for probe in rig.system.probes]
        rig.run(1)
        after = [probe.sent for probe in rig.system.probes]
        if after != before:
            assert after == [n + 1 for n in before]
            moments.add(rig.system.ms % 250)
    assert len(moments) == 1


def test_an_answer_asks_for_a_look_only_where_it_is_news():
    rig = Rig(1).up()
    asked = []
    for _ in range(4):
        rig.supervision.handle_timer(rig.system.now)
        probe = rig.system.probes[0]
        asked.append(not rig.system.poller.callbacks[probe](True, False))
        rig.system.now = ticks_add(rig.system.now, 250)
    assert asked == [True, False, False, False]


def test_it_says_whether_anything_was_decided():
    rig = Rig(2).up().run(1000)
    assert rig.supervision.handle_timer(rig.system.now) is False
    rig.silent.add("tun0")
    decided = []
    for _ in range(1000):
        rig.system.now = ticks_add(rig.system.now, 1)
        rig.system.ms += 1
        for probe in rig.system.probes:
            if probe.answers:
                rig.system.poller.callbacks[probe](True, False)
        if rig.supervision.handle_timer(rig.system.now):
            decided.append(rig.told())
    assert decided[0] == [("tun0", _INFINITY)]


def test_a_probes_socket_is_closed_with_its_session():
    rig = Rig(1).up().run(1000)
    for reason in ("ping-restart", "restart"):
        rig.down(0, reason)
        assert not rig.system.probes[-1].open and not rig.system.poller.callbacks
        rig.run(1000)
        rig.up().run(1000)
        assert rig.system.probes[-1].open
    rig._tell(0, TUNNEL_FINISHED, ("device", "forbidden"))
    assert not rig.system.poller.callbacks
    rig.up()
    rig.supervision.close()
    assert not rig.system.poller.callbacks and not rig.system.probes[-1].open
    # A session whose end nobody has told.
    rig = Rig(1).up().run(1000).up().run(1000)
    assert [probe.open for probe in rig.system.probes] == [False, True]


def test_a_damped_tunnel_carries_nothing_while_another_works():
    rig = Rig().up().run(2000)
    for _ in range(4):
        rig.flap(0)
    assert rig.events().count("suppressed") == 1
    assert rig.told("tun0")[-1] == ("tun0", _INFINITY) and rig.status()["health"]["state"] == "up"
    assert rig.status()["damping"]["suppressed"]
    rig.run(200_000)
    assert "reused" in rig.events() and rig.told() == [("tun0", 0)]
    assert rig.status()["penalty"] == 0


def test_a_damped_tunnel_is_the_last_resort():
    rig = Rig().up().run(2000)
    for _ in range(4):
        rig.flap(0)
    assert rig.status()["damping"]["suppressed"] and rig.status()["penalty"] == _INFINITY
    rig.told()
    # The other one dies: a flapping tunnel is better than none.
    rig.silent.add("tun1")
    rig.run(1000)
    assert rig.told() == [("tun0", 0), ("tun1", _INFINITY)]
    rig.silent.clear()
    rig.run(1500)
    assert sorted(rig.told()) == [("tun0", _INFINITY), ("tun1", 0)]
    # The same where its session ends, and where both are damped.
    rig.down(1, "transport")
    assert rig.told() == [("tun0", 0)]


def test_an_only_tunnel_is_never_cut_off_by_damping():
    rig = Rig(1).up().run(2000)
    for _ in range(8):
        rig.flap(0)
    assert rig.status()["damping"]["suppressed"] and rig.told()[-1] == ("tun0", 0)


def test_a_damped_tunnel_that_comes_back_is_told_at_once():
    rig = Rig().up().run(2000)
    for _ in range(5):
        rig.down(0)
        rig.up(0).run(1000)
    assert rig.status()["damping"]["suppressed"]
    rig.down(0)
    rig.told()
    rig.up(0)
    assert rig.told() == [("tun0", _INFINITY)]


def test_orderly_ends_are_no_flaps():
    for reason, flap in (
        ("ping-restart", True), ("transport", True), ("server-restart", True), ("restart", False),
        ("auth-failed", False), ("inactive", False),
    ):  # fmt: skip
        rig = Rig().up().run(1000)
        rig.down(0, reason)
        assert (rig.status()["damping"]["penalty"] > 0) == flap, reason


def test_the_steps_are_carried_out():
    rig = Rig().up().run(2000)
    rig.tunnels[0].has_other_remote = True
    rig.silent.add("tun0")
    rig.run(130_000)
    assert rig.calls() == [
        "rebind", ("restart", True, True), "restart_engine", "restart_engine",
    ]  # fmt: skip
    assert rig.calls(1) == [] and "rebind" in rig.events()


def test_no_session_is_restarted_that_is_not_there():
    rig = Rig().up().run(2000)
    rig.tunnels[0].can_rebind = False
    rig.down(0)
    rig.run(70_000)
    assert rig.calls() == ["restart_engine"]
    rig.tunnels[0].finished = True
    rig.run(70_000)
    assert rig.calls() == []


def test_without_routing_a_dead_session_ends_at_once_where_another_works():
    rig = Rig(routing=False).up().run(2000)
    rig.silent.add("tun0")
    rig.run(600)
    assert rig.calls() == ["rebind", ("restart", False, True)]
    rig = Rig(1, routing=False).up().run(2000)
    rig.silent.add("tun0")
    rig.run(600)
    assert rig.calls() == ["rebind"]


def test_the_wan_has_changed():
    rig = Rig(3).up(0, 1).run(2000)
    rig.tunnels[1].can_rebind = False
    rig.supervision.wan_changed(rig.system.now)
    assert rig.calls() == ["rebind"]
    # One that cannot move is left alone while probes get through...
    assert rig.calls(1) == []
    # ...and one that waits tries at once.
    assert rig.calls(2) == [("restart", False, False)]
    # Within ten seconds a dead one is not waited for.
    rig.silent.add("tun1")
    rig.run(600)
    assert rig.calls(1) == [("restart", False, True)]


def test_the_hurry_after_a_change_of_the_wan_ends():
    # After 7 days ticks of then would seem to lie ahead.
    for later in (11_000, 7 * 24 * 3_600_000):
        rig = Rig(1).up().run(2000)
        rig.tunnels[0].can_rebind = False
        rig.supervision.wan_changed(rig.system.now)
        rig.run(11_000)
        rig.system.now = ticks_add(rig.system.now, later)
        rig.down(0)
        rig.up().run(2000)
        rig.calls()
        rig.silent.add("tun0")
        rig.run(1000)
        assert rig.calls() == []


def test_a_dead_one_is_restarted_when_the_wan_changes():
    rig = Rig(1).up().run(2000)
    rig.silent.add("tun0")
    rig.run(1000)
    rig.tunnels[0].can_rebind = False
    rig.calls()
    rig.supervision.wan_changed(rig.system.now)
    assert rig.calls() == [("restart", False, True)]


def test_a_session_that_nobody_is_heard_in_is_made_anew():
    """Another client with the same certificate may have taken it over before the first answer."""
    rig = Rig(1)
    rig.silent.add("tun0")
    rig.up(quiet_ms=8000).run(7000)
    assert rig.status()["health"]["state"] == "unknown"
    rig.run(2000)
    assert rig.status()["health"]["state"] == "down"
    assert rig.calls() == ["rebind"]
    rig.run(5000)
    assert rig.calls() == [("restart", False, True)]


def test_nothing_is_restarted_while_the_wan_is_down():
    rig = Rig(1).up().run(2000)
    rig.supervision.pause(True, rig.system.now)
    rig.silent.add("tun0")
    rig.run(200_000)
    assert rig.calls() == []
    rig.supervision.pause(False, rig.system.now)
    rig.run(4000)
    assert rig.calls() == ["rebind"]


def test_what_works_and_what_devices_there_are():
    rig = Rig().up(0).run(1000)
    assert rig.supervision.any_works() and not rig.supervision.all_work()
    assert rig.supervision.devices() == ["tun0"]
    rig.up(1).run(1000)
    assert rig.supervision.all_work() and rig.supervision.devices() == ["tun0", "tun1"]
    rig.silent.add("tun0")
    rig.silent.add("tun1")
    rig.run(2000)
    assert not rig.supervision.any_works()


def test_what_the_engine_counts_makes_a_tunnel_idle():
    rig = Rig(1, idle_probe_ms=2000).up().run(3000)
    sent = rig.system.probes[0].sent
    rig.run(20_000)
    assert 9 <= rig.system.probes[0].sent - sent <= 12
    for _ in range(20):
        octets = rig.tunnels[0].engine.totals[0] + 50_000
        rig.tunnels[0].engine.totals = (octets, octets)
        rig.run(1000)
    assert rig.system.probes[0].sent - sent > 80
