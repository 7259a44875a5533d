"""The engine `openvpn`, over a system and a process that are faked here."""

from branchline.tunnel.engine import DOWN, FATAL, NOTE, READY, UP
from branchline.tunnel.process import ProcessEngine
from branchline.tunnel.stock_link import DeviceNews
from branchline.tunnel.stock_profile import StockProfile
from branchline.tunnel.stock_remotes import RemoteQuery
from branchline.wire.errors import StateError
from branchline.wire.ip import parse_address
from stock_system import System
from support import raises

_HUB = parse_address("192.0.2.1")
_OTHER = parse_address("192.0.2.2")
_PROFILE = b"client\ndev tun\nremote hub\nconnect-retry 2 60\npersist-tun\n"
_ENTRIES = ("0,hub,1194,udp,enabled", "1,far,1195,udp,enabled", "2,hub,443,tcp-client,enabled")
_ENV = ("dev=tun7", "tun_mtu=1400", "ifconfig_local=10.8.0.2", "ifconfig_netmask=255.255.255.0",
        "route_vpn_gateway=10.8.0.1", "X509_0_CN=hub")  # fmt: skip
_CONNECTED = ">STATE:1,CONNECTED,SUCCESS,10.8.0.2,192.0.2.1,1194,,"


class Rig:
    """An engine whose process has yet to say a word."""

    def __init__(self, profile=_PROFILE, **settings):
        self.system = System()
        self.engine = ProcessEngine(
            "paris", ("paris.ovpn", profile), "/etc/paris", "/run/x/paris", self.system, **settings
        )
        self.events = []
        self.notes = []

    def drain(self):
        while event := self.engine.next_event():
            (self.notes if event[0] == NOTE else self.events).append(event)
        return self

    @property
    def child(self):
        return self.system.children[-1]

    @property
    def stream(self):
        return self.system.streams[-1]

    def commands(self):
        """What was asked since the last time."""
        text, self.stream.written = self.stream.written.decode(), b""
        return text.split("\n")[:-1]

    def say(self, *lines):
        """The process says so."""
        self.stream.waiting += "".join([line + "\r\n" for line in lines]).encode()
        self.wake()
        return self.drain()

    def wake(self):
        callback = self.system.poller.callbacks.get(self.stream)
        if callback:
            callback(True, False)

    def answer(self, *lines):
        """Every command succeeds; those that ask for lines get these."""
        for command in self.commands():
            if command.startswith("remote-entry"):
                self.say(*lines)
                self.say("END")
            else:
                self.say("SUCCESS: " + command)
        return self

    def run(self, ms):
        """Time passes, and the process answers nothing."""
        end = self.system.now + ms
        while True:
            self.engine.handle_timer(self.system.now)
            self.drain()
            if self.system.now == end:
                return self
            due = self.engine.next_timer()
            self.system.now = end if due is None else min(end, max(due, self.system.now + 1))

    def exit(self, status, *lines):
        """The process ends."""
        child = self.child
        child.status = status
        child.lines = [line.encode() for line in lines]
        self.stream.is_at_end = True
        if child.on_end:
            child.on_end(child)
        return self.drain()

    def boot(self):
        """From the start of the process to its first question."""
        listener = self.system.listeners[-1]
        self.system.poller.callbacks[listener](True, False)
        self.say(">INFO:OpenVPN Management Interface Version 5", ">HOLD:Waiting:0").answer()
        self.say(">REMOTE:hub,1194,udp")
        return self.answer(*_ENTRIES)

    def ready(self):
        self.engine.open(self.system.now)
        return self.boot()

    def connect(self, index=0, address=_HUB):
        self.engine.connect(index, address, self.system.now)
        return self.drain()

    def come_up(self):
        """The answer has been taken, and all goes well."""
        self.answer().say(">STATE:1,WAIT,,,,,,", ">UPDOWN:UP")
        self.say(*[">UPDOWN:ENV," + line for line in _ENV])
        return self.say(">UPDOWN:ENV,END", _CONNECTED)

    def up(self):
        return self.ready().connect().come_up()

    def ends(self):
        """The events since READY and UP."""
        return [event for event in self.events if event[0] not in (READY, UP)]


def test_the_way_up():
    rig = Rig(device="tun-paris", rank=3)
    rig.engine.open(0)
    argv = " ".join(rig.child.argv)
    for words in ("openvpn ", "--cd /etc/paris", "--management /run/x/paris unix",
                  "--dev tun-paris --dev-type tun", "--route-metric 3"):  # fmt: skip
        assert words in argv, words
    assert rig.child.text == b"client\ndev tun\nremote hub\n\n\n"
    listener = rig.system.listeners[0]
    rig.system.poller.callbacks[listener](True, False)
    assert not listener.open
    rig.say(">INFO:x", ">HOLD:Waiting for hold release:0")
    assert rig.commands() == ["state on", "log on", "bytecount 1", "hold release"]
    rig.say("SUCCESS: 1", "SUCCESS: 2", "SUCCESS: 3", "SUCCESS: 4", ">REMOTE:hub,1194,udp")
    assert rig.commands() == ["remote-entry-get all"]
    rig.say(*_ENTRIES)
    assert rig.events == []
    rig.say("END")
    kind, remotes = rig.events.pop()
    assert kind == READY
    assert [(r.host, r.port, r.proto) for r in remotes] == [
        ("hub", 1194, "udp"), ("far", 1195, "udp"), ("hub", 443, "tcp")
    ]  # fmt: skip
    assert remotes[2].is_tcp() and rig.engine.traffic() is None
    assert (rig.engine.retry.first_s, rig.engine.retry.max_s) == (2, 60)
    rig.connect(1, _OTHER)
    assert rig.commands() == ["remote MOD 192.0.2.2 1195"]
    rig.say("SUCCESS: x", ">BYTECOUNT:500,600")
    rig.come_up()
    kind, link = rig.events.pop()
    assert kind == UP and (link.device, link.mtu, link.server) == ("tun7", 1400, _OTHER)
    assert link.addresses == [(parse_address("10.8.0.2"), 24, None)]
    assert link.gateway == parse_address("10.8.0.1") and link.gateway_ipv6 is None
    assert rig.system.loosened == ["tun7"]
    assert rig.say(">BYTECOUNT:540,700").engine.traffic() == (700, 540)
    status = rig.engine.status()
    assert (status["state"], status["remote"]) == ("up", "192.0.2.2:1195/udp")
    assert (status["address"], status["attempts"]) == ("10.8.0.2/24", 1)
    rig.engine.close(0)
    assert rig.child.told == ["end"] and rig.system.settled() and not rig.ends()


def test_octets_are_those_of_the_session():
    rig = Rig().up().say(">BYTECOUNT:1000,2000", ">STATE:1,RECONNECTING,ping-restart,,,,,")
    rig.say(">HOLD:Waiting:1")
    assert rig.engine.traffic() is None
    rig.connect().answer().say(">REMOTE:hub,1194,udp").come_up()
    assert rig.engine.traffic() == (0, 0)
    assert rig.say(">BYTECOUNT:1001,2002").engine.traffic() == (2, 1)


def test_how_a_remote_is_reached():
    entries = [("a", "1", "udp"), ("b", "2", "udp"), ("c", "3", "tcp-client"), ("d", "4", "udp")]
    for blocks, asked, target, expected in (
        (False, 0, 0, "remote MOD 192.0.2.1 1"),
        (False, 0, 3, "remote MOD 192.0.2.1 4"),  # only host and port differ
        (False, 0, 2, "remote SKIP 2"),
        (False, 2, 1, "remote SKIP 3"),
        (True, 0, 0, "remote MOD 192.0.2.1 1"),
        (True, 0, 3, "remote SKIP 3"),
        (True, 3, 0, "remote SKIP 1"),
    ):
        query = RemoteQuery(entries[target], _HUB, entries, blocks)
        assert query.answer(entries[asked]) == expected
    query = RemoteQuery(entries[0], parse_address("2001:db8::1"), entries, False)
    assert query.answer(entries[0]) == "remote MOD 2001:db8::1 1"
    assert query.answer(("x", "1", "tcp-client")) is None
    for _ in entries:  # it never comes to the right one
        assert query.answer(entries[2]) == "remote SKIP 2"
    assert query.answer(entries[2]) is None


def test_why_an_attempt_ends():
    for up, lines, expected in (
        (True, (">STATE:1,RECONNECTING,ping-restart,,,,,",), (DOWN, "ping-restart")),
        (True, (">STATE:1,RECONNECTING,connection-reset,,,,,",), (DOWN, "transport")),
        (True, (">STATE:1,RECONNECTING,remote-exit,,,,,",), (DOWN, "server-restart")),
        (True, (">STATE:1,RECONNECTING,server-pushed-connection-reset,,,,,",),
         (DOWN, "server-restart")),
        (True, (">STATE:1,RECONNECTING,SIGUSR1,,,,,",), (DOWN, "transport")),
        (False, (">LOG:1,N,TLS Error: cannot verify", ">STATE:1,RECONNECTING,tls-error,,,,,"),
         (DOWN, "tls-error", "TLS Error: cannot verify")),
        (False, (">LOG:1,N,TLS Error: TLS key negotiation failed to occur within 60 seconds",
                 ">STATE:1,RECONNECTING,tls-error,,,,,"), (DOWN, "timeout")),
        (False, (">LOG:1,N,TCP: connect to x failed: refused",
                 ">STATE:1,RECONNECTING,connection-failed,,,,,"),
         (DOWN, "connect", "TCP: connect to x failed: refused")),
        (False, (">PASSWORD:Verification Failed: 'Auth'",
                 ">STATE:1,RECONNECTING,auth-failure,,,,,"), (DOWN, "auth-failed")),
        (False, (">PASSWORD:Verification Failed: 'Auth' ['locked']",
                 ">STATE:1,RECONNECTING,auth-failure,,,,,"), (DOWN, "auth-failed", "locked")),
        (False, (">PASSWORD:Verification Failed: 'Auth'",
                 ">STATE:1,RECONNECTING,auth-failure (auth-token),,,,,"),
         (DOWN, "server-restart")),
        (False, (">STATE:1,RECONNECTING,server_poll,,,,,",), (DOWN, "timeout")),
        (False, (), (DOWN, "connect")),
    ):  # fmt: skip
        rig = Rig().ready().connect().answer()
        if up:
            rig.come_up()
        rig.say(*lines).say(">HOLD:Waiting for hold release:1")
        (end,) = rig.ends()
        assert (end[0],) + end[1][: len(expected) - 1] == expected, lines
        assert len(rig.system.children) == 1 and not rig.child.told
        rig.connect().answer().say(">REMOTE:hub,1194,udp").come_up()
        assert rig.events[-1][0] == UP, lines


def test_why_the_process_ends():
    for lines, status, expected in (
        ((">STATE:1,EXITING,server-pushed-halt,,,,,",), 0, (FATAL, "halt")),
        ((">STATE:1,EXITING,inactive,,,,,",), 0, (FATAL, "finished")),
        ((">FATAL:ERROR: Cannot ioctl TUNSETIFF tun7: Operation not permitted (errno=1)",), 1,
         (FATAL, "device")),
        ((">FATAL:ERROR: Cannot ioctl TUNSETIFF tun7: Device or resource busy (errno=16)",), 1,
         (DOWN, "device")),
        ((">FATAL:Cannot load certificate file x",), 1, (FATAL, "options-error")),
        ((">FATAL:something else",), 1, (DOWN, "exited")),
        ((), 1, (DOWN, "exited")),
        ((), -11, (DOWN, "exited")),
    ):  # fmt: skip
        for up in (False, True):
            rig = Rig().ready().connect().answer()
            if up:
                rig.come_up()
            # The last words may be read only after the end was heard of.
            rig.stream.waiting += "".join([line + "\r\n" for line in lines]).encode()
            rig.exit(status, "last words")
            (end,) = rig.ends()
            assert (end[0], end[1][0]) == expected, lines
            assert rig.system.settled()
            if expected[0] == DOWN:  # the next attempt starts a process by itself
                rig.connect().boot()
                assert rig.commands() == ["remote MOD 192.0.2.1 1194"]
                rig.come_up()
                assert rig.events[-1][0] == UP and len(rig.system.children) == 2
            else:
                rig.engine.open(rig.system.now)


def test_a_process_that_does_not_begin():
    usage = ("Use --help for more information.",)
    for status, lines, expected in (
        (1, ("Options error: bad in /proc/self/fd/0:3: x (2.6.14)",) + usage,
         (FATAL, "options-error", "bad in paris.ovpn:3: x (2.6.14)")),
        (1, ("Cannot pre-load tls-crypt keyfile (x)", "Exiting due to fatal error"),
         (FATAL, "options-error", "Cannot pre-load tls-crypt keyfile (x)")),
        (3, ("why",), (DOWN, "exited", "openvpn ended by code 3: why")),
        (-6, (), (DOWN, "exited", "openvpn ended by signal 6")),
    ):  # fmt: skip
        rig = Rig()
        rig.engine.open(0)
        rig.exit(status, *lines)
        assert rig.events == [(expected[0], expected[1:])] and rig.system.settled()
        rig.engine.open(0)  # and not before somebody says so
        assert len(rig.system.children) == 2


def test_a_program_that_cannot_be_started():
    for error, kind, words in (
        (OSError(2, "openvpn: No such file or directory"), FATAL, "install openvpn"),
        (OSError(12, "start /usr/sbin/openvpn: Cannot allocate memory"), DOWN, "memory"),
    ):
        rig = Rig()
        rig.system.error = error
        rig.engine.open(0)
        ((found, (reason, text)),) = rig.drain().events
        assert (found, reason) == (kind, "exited") and words in text and rig.system.settled()


def test_an_openvpn_that_is_too_old():
    rig = Rig()
    rig.engine.open(0)
    rig.system.poller.callbacks[rig.system.listeners[0]](True, False)
    rig.say(">HOLD:x").answer().say(">REMOTE:hub,1194,udp")
    rig.say("ERROR: unknown command, enter 'help' for more options")
    ((kind, (reason, text)),) = rig.events
    assert (kind, reason) == (FATAL, "options-error") and "2.6" in text
    assert rig.child.told and rig.system.settled()


def test_questions_that_nobody_can_answer():
    for line, reason, words in (
        (">PASSWORD:Need 'Auth' username/password", "auth-failed", "<auth-user-pass>"),
        (">PASSWORD:Need 'Private Key' password", "auth-failed", "askpass"),
        (">PASSWORD:Need", "auth-failed", "password"),
        (">PASSWORD:Verification Failed: 'Private Key'", "options-error", "private key"),
        (">NEED-OK:Need 'token' confirmation MSG:x", "options-error", "nobody"),
    ):
        rig = Rig().ready().connect().answer().say(line)
        ((kind, (found, text)),) = rig.ends()
        assert (kind, found) == (FATAL, reason) and words in text, line
        assert rig.child.told and rig.system.settled()


def test_secrets_are_not_repeated():
    rig = Rig().up().say(">PASSWORD:Auth-Token:SESS_ID_secret", ">ECHO:1,secret")
    rig.say(">STATE:1,RECONNECTING,ping-restart,,,,,", ">HOLD:Waiting:1")
    assert "secret" not in repr(rig.events) + repr(rig.notes) + repr(rig.engine.status())


def test_left_at_any_time():
    rig = Rig().up()
    rig.engine.disconnect(0)
    assert rig.commands() == ["signal SIGUSR1"] and not rig.drain().ends()
    rig.say("SUCCESS: x", ">STATE:1,RECONNECTING,SIGUSR1,,,,,", ">HOLD:Waiting:1")
    assert rig.ends() == [(DOWN, ("stopped", ""))]
    rig.engine.disconnect(0)  # nothing is there to end
    assert len(rig.drain().ends()) == 1
    # Before it asks, the signal may come too early.
    rig.connect()
    assert rig.commands() == ["hold release"]
    rig.engine.disconnect(0)
    assert rig.commands() == ["signal SIGUSR1"]
    rig.say("SUCCESS: 1", "ERROR: signal 'SIGUSR1' is currently ignored", ">REMOTE:hub,1194,udp")
    assert len(rig.ends()) == 2 and rig.ends()[-1] == (DOWN, ("stopped", ""))
    rig.connect()  # it asks already
    assert rig.commands() == ["remote MOD 192.0.2.1 1194"]


def test_left_while_a_process_starts():
    rig = Rig().up()
    rig.exit(-9)
    rig.connect()
    rig.engine.disconnect(0)
    assert rig.drain().ends()[-1] == (DOWN, ("stopped", ""))
    rig.boot()
    assert rig.commands() == [] and len(rig.ends()) == 2
    rig.connect().come_up()
    assert rig.events[-1][0] == UP


def test_a_process_that_does_not_leave_is_killed():
    rig = Rig().up()
    rig.engine.disconnect(0)
    rig.answer().run(3000)
    assert rig.child.told == ["kill"] and rig.ends() == [(DOWN, ("stopped", ""))]


def test_a_process_that_hangs():
    rig = Rig().up().run(4999)
    assert not rig.ends()
    rig.run(1)
    assert rig.ends()[0][1][0] == "management" and rig.child.told == ["kill"]
    rig = Rig().ready().connect().answer().say(">STATE:1,WAIT,,,,,,").run(4999)
    rig.commands()
    rig.run(1)
    assert rig.commands() == ["pid"] and not rig.ends()
    rig.answer().run(4999)
    assert not rig.ends()
    rig.run(5001)
    assert rig.ends()[0][1] == ("management", "no answer to pid in 5 s")


def test_a_process_that_does_not_begin_to_talk():
    rig = Rig()
    rig.engine.open(0)
    rig.run(10_000)
    assert rig.events == [(DOWN, ("management", "it does not connect to the gateway"))]
    rig.engine.open(rig.system.now)
    rig.system.poller.callbacks[rig.system.listeners[-1]](True, False)
    rig.run(5000)
    assert rig.events[1:] == [(DOWN, ("management", "it says nothing"))] and rig.system.settled()


def test_a_gateway_that_slept_reads_first():
    rig = Rig().up()
    rig.system.now += 60_000
    rig.stream.waiting += b">BYTECOUNT:1,1\r\n"
    rig.run(4999)
    assert not rig.ends()
    rig = Rig().ready().connect()
    rig.system.now += 60_000
    rig.stream.waiting += b"SUCCESS: x\r\n"
    rig.run(1)
    assert not rig.ends()


def test_an_answer_is_poked_on():
    rig = Rig().ready().connect()
    assert rig.commands() == ["remote MOD 192.0.2.1 1194"]
    assert rig.run(100).commands() == []  # one at a time
    rig.say("SUCCESS: x")
    assert rig.run(100).commands() == ["pid"]
    rig.say("SUCCESS: pid=77", ">STATE:1,WAIT,,,,,,")
    assert rig.run(1000).commands() == []


def test_an_address_that_the_process_would_keep():
    """It goes to the address of a session that was up again, whatever it is told."""
    rig = Rig().up().say(">STATE:1,RECONNECTING,ping-restart,,,,,", ">HOLD:Waiting:1")
    rig.connect(0, _OTHER).boot()
    assert rig.system.children[0].told == ["kill"] and len(rig.system.children) == 2
    assert rig.commands() == ["remote MOD 192.0.2.2 1194"]


def test_processes_of_an_earlier_run():
    rig = Rig()
    rig.system.strays = [5]
    rig.engine.open(0)
    rig.run(500)
    assert set(rig.system.ended) == {(5, False)} and not rig.system.children
    assert [note[1][1] for note in rig.notes].count("replaced") == 1
    rig.run(600)
    assert rig.system.ended[-1] == (5, True)
    rig.system.strays = []
    rig.run(50)
    assert rig.system.children and not rig.events
    rig = Rig()
    rig.system.strays = [5]
    rig.engine.open(0)
    rig.run(6000)
    assert [event[0] for event in rig.events] == [DOWN] and rig.engine.next_timer() is None


def test_opened_again_before_the_end():
    rig = Rig().up()
    rig.engine.close(0)
    rig.engine.open(0)
    rig.run(1000)
    assert len(rig.system.children) == 1
    rig.child.status = 0
    rig.run(50)
    assert len(rig.system.children) == 2
    rig.boot()
    assert rig.events[-1][0] == READY


def test_illegal_calls_change_nothing():
    rig = Rig()
    raises(StateError, rig.engine.connect, 0, _HUB, 0)
    rig.engine.close(0)
    rig.ready()
    raises(StateError, rig.engine.open, 0)
    raises(StateError, rig.engine.connect, 3, _HUB, 0)
    assert not rig.commands() and not rig.engine.rebind(0)
    rig.connect()
    raises(StateError, rig.engine.connect, 0, _HUB, 0)
    assert rig.commands() == ["remote MOD 192.0.2.1 1194"]


def test_notes():
    rig = Rig().up()
    rig.notes.clear()
    rig.say(">LOG:1,W,careful", ">LOG:1,N,bad", ">LOG:1,F,worse", ">LOG:1,I,fine", ">LOG:x")
    assert [note[1] for note in rig.notes] == [
        ("warning", "openvpn", "careful"), ("warning", "openvpn", "bad"),
        ("error", "openvpn", "worse"), ("debug", "openvpn", "fine"), ("debug", "openvpn", ""),
    ]  # fmt: skip
    rig.stream.waiting += b">LOG:1,I,x\n" * 200
    rig.wake()
    rig.notes.clear()
    assert len(rig.drain().notes) == 64


def test_profiles():
    for text, kept, found in (
        (b"dev tun\nremote a\n", b"dev tun\nremote a\n", {}),
        (b"\xef\xbb\xbfdaemon\r\nverb 9\r\n", b"\n\n", {}),
        (b"--persist-tun\n  remote-random", b"\n", {"random": True}),
        (b"connect-retry 3", b"", {"first_s": 3, "max_s": 300}),
        (b"connect-retry 3 40\nconnect-retry-max 2", b"\n", {"max_s": 40, "max_rounds": 2}),
        (b"connect-retry soon", b"", {"first_s": 1}),
        (b"resolv-retry infinite\nresolv-retry 9", b"\n", {"resolv_s": 9}),
        (b"auth-retry nointeract", b"", {"auth_nointeract": True}),
        (b"<ca>\nverb 3\n</ca>\nverb 3", b"<ca>\nverb 3\n</ca>\n", {}),
        (b"<connection>\nremote a\nconnect-retry 7\n</connection>",
         b"<connection>\nremote a\n\n</connection>", {"first_s": 7}),
        (b"<ca>\n<connection>\nverb 3", b"<ca>\n<connection>\nverb 3", {}),
        (b"\n;verb 3\n# verb 3", b"\n;verb 3\n# verb 3", {}),
    ):  # fmt: skip
        stock = StockProfile(text)
        assert stock.config == kept, text
        for name, value in found.items():
            assert getattr(stock.retry, name) == value, (text, name)
    assert StockProfile(b"<connection>\n").has_blocks
    assert not StockProfile(b"<ca>\n<connection>\n</ca>").has_blocks
    for text, dev_type in (
        (b"", "tun"), (b"dev tap0", "tap"), (b"dev tunnel", "tun"), (b"dev x", "tun"),
        (b"dev-type tap\ndev tun7", "tap"), (b"dev tun7\ndev-type tap", "tap"),
    ):  # fmt: skip
        assert StockProfile(text).dev_type == dev_type, text
    assert StockProfile(b"a\ndaemon x").dropped[0][:2] == ("daemon", 2)


def test_what_a_device_was_given():
    for lines, addresses, gateways in (
        (("ifconfig_local=10.0.0.6", "ifconfig_remote=10.0.0.5"), [("10.0.0.6", 32, "10.0.0.5")],
         ("10.0.0.5", None)),
        (("ifconfig_ipv6_local=fd00::2", "ifconfig_ipv6_netbits=112",
          "ifconfig_ipv6_remote=fd00::1"),
         [("fd00::2", 112, None)], (None, "fd00::1")),
        (("ifconfig_local=here", "ifconfig_netmask=x", "tun_mtu=big", "=", ""), [], (None, None)),
        (("ifconfig_local=10.0.0.6", "ifconfig_netmask=255.0.255.0"), [("10.0.0.6", 32, None)],
         (None, None)),
    ):  # fmt: skip
        news = DeviceNews()
        for line in lines:
            news.take(line)
        link = news.link(_HUB)
        octets = [
            (parse_address(own), plen, peer and parse_address(peer))
            for own, plen, peer in addresses
        ]
        assert link.addresses == octets and link.mtu == 1500
        found = [address and parse_address(address) for address in gateways]
        assert [link.gateway, link.gateway_ipv6] == found
