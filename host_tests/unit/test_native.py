"""The native engine and the manager, over a system that is faked here, against a server."""

from test_pump import Poller

from branchline.openvpn.profile import Remote
from branchline.tunnel.manager import Manager
from branchline.tunnel.native import NativeEngine
from branchline.tunnel.tunnel import DOWN, SETUP, TUNNEL_DOWN, TUNNEL_FINISHED, TUNNEL_UP, UP
from branchline.wire.ip import parse_address
from openvpn_link import PUSH, UNIX_TIME, Link, make_provider
from openvpn_server import Server, server_wrap

_ADDRESS = parse_address("192.0.2.1")
_SILENT = parse_address("192.0.2.9")


class Query:
    """A resolver's answer, which is there at once."""

    done = True

    def __init__(self, addresses):
        self.addresses = addresses
        self.error = "" if addresses else "no such name"

    def finish(self, error):
        """Nothing is under way."""


class Transport:
    """UDP to the server, without delay; `silent`: nothing comes back."""

    prefix = 0

    def __init__(self, system, silent):
        self._system = system
        self._silent = silent
        self.open = True
        self.waiting = []

    def readinto(self, view):
        if not self.waiting:
            return None
        packet = self.waiting.pop(0)
        view[: len(packet)] = packet
        return len(packet)

    def write(self, view, n):
        assert self.open
        server = self._system.server
        if not self._silent:
            server.receive(bytes(view[:n]), self._system.now)
            self.collect()
        return n

    def collect(self):
        while packet := self._system.server.next_packet(self._system.now):
            self.waiting.append(packet)

    def close(self):
        assert self.open
        self.open = False


class Device:
    """A TUN device that swallows packets; `waiting`: what hosts send by it."""

    def __init__(self, name):
        self.name = name
        self.open = True
        self.waiting = []
        self.written = []

    def readinto(self, view):
        if not self.waiting:
            return None
        packet = self.waiting.pop(0)
        view[: len(packet)] = packet
        return len(packet)

    def write(self, view, n):
        self.written.append(bytes(view[:n]))
        return n

    def close(self):
        assert self.open
        self.open = False


class Interface:
    """Remembers the plan while it holds."""

    def __init__(self, system):
        self._system = system

    def apply(self, plan, txqueuelen):
        self._system.plans.append(plan)
        return []

    def undo(self):
        self._system.plans.pop()
        return []


class System:
    """What app hands to an engine; names: host -> addresses."""

    def __init__(self, link, names, push=(PUSH,)):
        self.poller = Poller()
        self.now = 0
        self.names = names
        self.push = push
        self.random = link.random.octets
        self.lines = []
        self.asked = []
        self.plans = []
        self.devices = []
        self.transports = []
        self.server = None
        self.refused = False
        self.no_tun = False

    def ticks(self):
        return self.now

    def unix_time(self):
        return UNIX_TIME

    def log(self, level, subject, event, text):
        self.lines.append((level, event, text))

    def resolve(self, host, family, now):
        self.asked.append(host)
        return Query(self.names.get(host, []))

    def open_udp(self, address, port, profile):
        if self.refused:
            raise OSError(101, "network is unreachable")
        provider = make_provider()
        options = profile.options.copy()
        options.cipher, options.peer_id = "AES-128-CBC", 5
        wrap = server_wrap(None, None, provider, UNIX_TIME)
        self.server = Server(wrap, provider, self.random, options, self.push, "SHA1")
        self.transports.append(Transport(self, address == _SILENT))
        return self.transports[-1]

    def open_tun(self, name, tap):
        if self.no_tun:
            raise OSError(1, "make the device tun%d: needs root or CAP_NET_ADMIN")
        self.devices.append(Device(name.replace("%d", "0")))
        return self.devices[-1]

    def make_interface(self, device):
        return Interface(self)

    def settled(self):
        """Whether all that was opened is closed again."""
        ends = self.transports + self.devices
        return not (self.plans or self.poller.callbacks or any(end.open for end in ends))


class Rig:
    """An engine and its system, driven as the gateway's loop does."""

    def __init__(self, hosts=("hub",), names=None, push=(PUSH,), **settings):
        # A Link makes the profile and the environment.
        link = Link(push=(), **settings)
        link.profile.remotes = [Remote(host, 1194, "udp") for host in hosts]
        self.system = System(link, {"hub": [_ADDRESS]} if names is None else names, push)
        engine = NativeEngine("paris", link.profile, link.env, self.system)
        self.events = []
        self.manager = Manager([engine], self.system, self._on_event)
        self.tunnel = self.manager.tunnels[0]
        self.manager.start(0)
        self.run(0)

    def _on_event(self, tunnel, kind, detail):
        assert tunnel is self.tunnel
        self.events.append((kind, detail.device if kind == TUNNEL_UP else detail))

    def run(self, ms):
        system = self.system
        end = system.now + ms
        while True:
            while system.transports and system.transports[-1].waiting:
                transport = system.transports[-1]
                system.poller.callbacks[transport](True, False)
            if system.transports and system.transports[-1].open:
                system.transports[-1].collect()
                if system.transports[-1].waiting:
                    continue
            self.manager.handle_timer(system.now)
            if system.now >= end:
                return self
            due = self.manager.next_timer()
            system.now = end if due is None else min(end, max(due, system.now + 1))

    def say(self, message):
        self.system.server.say(message, self.system.now)
        self.run(10)

    def logged(self, event):
        return [text for _, name, text in self.system.lines if name == event]


def test_up_and_stopped():
    rig = Rig().run(100)
    assert rig.tunnel.state == UP and rig.events == [(TUNNEL_UP, "tun0")]
    assert rig.system.plans and not rig.system.settled()
    status = rig.tunnel.status()
    assert (status["name"], status["state"], status["device"]) == ("paris", "up", "tun0")
    assert (status["cipher"], status["attempts"]) == ("AES-128-CBC", 1)
    assert status["address"] == "10.8.0.2/24" and status["tls"][:4] == "TLSv"
    rig.manager.stop(rig.system.now)
    assert rig.tunnel.state == DOWN and rig.system.settled()
    assert rig.tunnel.status()["state"] == "down" and rig.tunnel.next_timer() is None


def test_stopped_in_every_state():
    for names, ms in (({"hub": [_SILENT]}, 100), ({}, 10), ({"hub": [_ADDRESS]}, 100)):
        rig = Rig(names=names).run(ms)
        rig.manager.stop(rig.system.now)
        assert rig.tunnel.state == DOWN and rig.system.settled()


def test_leaving_is_told_to_the_server():
    rig = Rig(explicit_exit_notify=2).run(100)
    rig.manager.stop(rig.system.now)
    assert len(rig.system.server.packets) == 2


def test_a_restart_of_the_server_is_followed():
    rig = Rig().run(100)
    rig.say(b"RESTART")
    assert rig.tunnel.state == DOWN and rig.system.settled()
    assert rig.events[1][0] == TUNNEL_DOWN and rig.events[1][1][0] == "server-restart"
    rig.run(2000)
    assert rig.tunnel.state == UP and rig.tunnel.attempts == 2
    assert [kind for kind, _ in rig.events] == [TUNNEL_UP, TUNNEL_DOWN, TUNNEL_UP]


def test_silent_servers_are_passed_over():
    names = {"one": [_SILENT, _SILENT], "hub": [_ADDRESS]}
    rig = Rig(("one", "hub"), names, server_poll_timeout=5)
    assert rig.tunnel.state == SETUP
    rig.run(11_990)
    assert rig.tunnel.state == DOWN and rig.tunnel.attempts == 2
    rig.run(1000)
    assert rig.tunnel.state == UP and rig.tunnel.attempts == 3
    assert "no answer from the server" in rig.logged("down")[0]


def test_what_the_system_refuses_is_tried_again():
    rig = Rig(names={})
    assert rig.tunnel.state == DOWN and "no such name" in rig.logged("down")[0]
    rig.system.names["hub"] = [_ADDRESS]
    rig.system.refused = True
    rig.run(20_000)
    assert "network is unreachable" in rig.logged("down")[-1]
    rig.system.refused = False
    rig.run(20_000)
    assert rig.tunnel.state == UP


def test_a_device_that_is_forbidden_is_final():
    rig = Rig(names={})
    rig.system.names["hub"] = [_ADDRESS]
    rig.system.no_tun = True
    rig.run(20_000)
    assert rig.tunnel.state == DOWN and rig.manager.finished() and rig.system.settled()
    assert "needs root" in rig.logged("finished")[0]


def test_ends_that_are_final():
    for settings, push, message, reason in (
        ({}, PUSH, b"HALT,closed", ("halt", "closed")),
        ({}, PUSH + b",inactive 5", None, ("inactive", None)),
        ({}, PUSH + b",ping-exit 5", None, ("ping-exit", None)),
    ):
        rig = Rig(push=(push,), **settings).run(100)
        if message:
            rig.say(message)
        rig.run(10_000)
        assert rig.tunnel.state == DOWN and rig.manager.finished() and rig.system.settled()
        kind, detail = rig.events[-1]
        assert kind == TUNNEL_FINISHED and detail[0] == reason[0]
        assert reason[1] in (None, detail[1])


def test_connect_retry_max():
    rig = Rig(names={"hub": [_SILENT]}, connect_retry_max=2, server_poll_timeout=5)
    rig.run(60_000)
    assert rig.manager.finished() and rig.tunnel.attempts == 2 and rig.system.settled()
    assert rig.events[-1][1][0] == "connect-retry-max"


def test_refused_credentials_are_tried_seldom():
    for settings, push, ms in (
        ({"connect_retry": (2, 100)}, b"AUTH_FAILED,no", 100_000),
        ({"connect_retry": (2, 100), "auth_retry": "nointeract"}, b"AUTH_FAILED,no", 2000),
        ({"connect_retry": (2, 100)}, b"AUTH_FAILED,TEMP:busy", 2000),
    ):
        rig = Rig(push=(push,), auth_user_pass=(b"anna", b"x"), **settings).run(50)
        assert rig.tunnel.state == DOWN and rig.tunnel.attempts == 1
        # Waits scatter by a quarter.
        rig.run(ms * 3 // 4 - 100)
        assert rig.tunnel.attempts == 1
        rig.run(ms // 2 + 200)
        assert rig.tunnel.attempts == 2


def test_an_auth_token_is_used_until_it_expires():
    rig = Rig(push=(PUSH + b",auth-token T",), auth_user_pass=(b"anna", b"x")).run(100)
    rig.say(b"RESTART")
    rig.system.push = (b"AUTH_FAILED,SESSION: expired",)
    rig.run(1500)
    assert rig.system.server.infos[0][1:3] == (b"anna", b"T")
    rig.system.push = (PUSH,)
    rig.run(3000)
    assert rig.system.server.infos[0][1:3] == (b"anna", b"x") and rig.tunnel.state == UP


def test_the_next_remote_when_the_server_says_so():
    names = {"hub": [_ADDRESS], "other": [_ADDRESS]}
    # Otherwise the address that worked is used again.
    for message, expected in (
        (b"RESTART,[N]", ["other"]),
        (b"RESTART,[P,N]moved", ["other"]),
        (b"RESTART", []),
        (b"RESTART,[P]No more", []),
        (b"RESTART,No more", []),
    ):
        rig = Rig(("hub", "other"), names).run(100)
        rig.system.asked = []
        rig.say(message)
        rig.run(3000)
        assert rig.tunnel.state == UP
        assert rig.system.asked == expected, message


def test_packets_reach_the_device():
    rig = Rig().run(100)
    transport = rig.system.transports[0]
    transport.waiting.append(rig.system.server.seal(b"E" * 60))
    rig.run(10)
    assert rig.system.devices[0].written == [b"E" * 60]
    assert rig.tunnel.status()["rx_packets"] == 1


def test_a_restart_takes_all_away_and_connects_again():
    rig = Rig(explicit_exit_notify=1).run(100)
    server = rig.system.server
    rig.tunnel.restart("asked", rig.system.now)
    # The server is told, and everything of the session is closed before the next one begins.
    assert len(server.packets) == 1
    assert not rig.system.transports[0].open and not rig.system.devices[0].open
    assert not rig.system.plans
    rig.run(100)
    assert rig.tunnel.state == UP and rig.tunnel.attempts == 2
    assert [kind for kind, _ in rig.events] == [TUNNEL_UP, TUNNEL_DOWN, TUNNEL_UP]
    rig.manager.stop(rig.system.now)
    assert rig.system.settled()


def test_a_restart_with_the_next_remote():
    rig = Rig(("hub", "other"), {"hub": [_ADDRESS], "other": [_ADDRESS]}).run(100)
    rig.tunnel.restart("silence", rig.system.now, True, True)
    rig.run(100)
    assert rig.tunnel.state == UP and rig.system.asked == ["hub", "other"]


def test_a_restart_of_the_engine():
    for address, ms in ((_ADDRESS, 100), (_SILENT, 100)):
        rig = Rig(names={"hub": [address]}).run(ms)
        rig.tunnel.restart_engine("nothing else has helped", rig.system.now)
        assert not rig.system.transports[0].open and rig.system.transports[-1].open
        rig.system.names["hub"] = [_ADDRESS]
        rig.manager.stop(rig.system.now)
        assert rig.system.settled()


def test_a_session_moves_to_a_fresh_socket():
    rig = Rig().run(100)
    old = rig.system.transports[0]
    server = rig.system.server
    assert rig.tunnel.rebind(rig.system.now)
    fresh = rig.system.transports[1]
    rig.system.server = server  # it goes on: a client floats to another port
    assert not old.open and fresh.open
    assert old not in rig.system.poller.callbacks and fresh in rig.system.poller.callbacks
    # Both directions go by the fresh one, in the same session.
    device = rig.system.devices[0]
    device.waiting.append(b"E up")
    fresh.waiting.append(server.seal(b"E down"))
    rig.run(10)
    assert device.written == [b"E down"]
    rig.system.poller.callbacks[device](True, False)
    assert server.packets == [b"E up"]
    assert rig.tunnel.state == UP and rig.tunnel.attempts == 1 and len(rig.events) == 1
    rig.manager.stop(rig.system.now)
    assert rig.system.settled()


def test_a_session_that_cannot_float_stays_where_it_is():
    # Without a peer-id the server tells clients by their addresses alone.
    for push, refused in ((PUSH.replace(b",peer-id 5", b""), False), (PUSH, True)):
        rig = Rig(push=(push,)).run(100)
        rig.system.refused = refused
        assert not rig.tunnel.rebind(rig.system.now)
        assert len(rig.system.transports) == 1 and rig.system.transports[0].open
        assert rig.tunnel.state == UP
        assert bool(rig.logged("rebind")) == refused


def _asked(rig, index=0, address=_ADDRESS):
    """Asks the engine beside its session; [(answer, when)] of the next 10 s."""
    tunnel = rig.manager.tunnels[0]
    answers = []
    tunnel._answered = lambda answer, now: answers.append((answer, now))
    server = rig.system.server
    assert tunnel.engine.check(index, address, rig.system.now)
    if not rig.system.refused:
        # One question at a time.
        assert not tunnel.engine.check(index, address, rig.system.now)
    for _ in range(100):
        for transport in rig.system.transports[1:]:
            if transport.open and transport.waiting:
                rig.system.poller.callbacks[transport](True, False)
        rig.manager.handle_timer(rig.system.now)
        if answers:
            break
        rig.system.now += 100
    rig.system.server = server
    return answers


def test_a_server_is_asked_beside_the_session():
    for address, refused, expected in (
        (_ADDRESS, False, True), (_SILENT, False, False), (_ADDRESS, True, False),
    ):  # fmt: skip
        rig = Rig().run(100)
        rig.system.refused = refused
        began = rig.system.now
        ((answer, when),) = _asked(rig, address=address)
        assert answer == expected
        assert when - began <= (5000 if address == _SILENT else 100)
        # The session has not noticed.
        assert rig.tunnel.state == UP and rig.system.transports[0].open
        assert not any(transport.open for transport in rig.system.transports[1:])
        rig.manager.stop(rig.system.now)
        assert rig.system.settled()


def test_a_question_ends_with_the_engine():
    rig = Rig().run(100)
    assert rig.manager.tunnels[0].engine.check(0, _SILENT, rig.system.now)
    rig.manager.stop(rig.system.now)
    assert rig.system.settled() and rig.tunnel.next_timer() is None
