"""One OpenVPN server's clients: what is asked, what is believed, and for how long."""

from branchline.babel.prefix import prefix_text
from branchline.hub.clients import MAX_AGE_MS, Server
from branchline.wire.ticks import ticks_add, ticks_diff
from hub_words import answer, client, route


class Talk:
    """A Server, and what it is told; `asked` is what it has sent."""

    def __init__(self, password=None, connected=True):
        self.now = 1000
        self.server = Server("udp", "tun0", password, self.now)
        self.asked = []
        if connected:
            self.server.connected(self.now)
            self.say(b">INFO:OpenVPN Management Interface Version 5\r\n")

    def say(self, octets):
        self.server.receive(octets, self.now)
        self.hear()

    def hear(self):
        octets = self.server.next_octets()
        self.asked += octets.decode().split("\n")[:-1]
        if octets:
            self.server.sent(len(octets))

    def wait(self, ms):
        """Lets time pass from one deadline to the next."""
        end = ticks_add(self.now, ms)
        while True:
            due = self.server.next_timer()
            if due is None or ticks_diff(due, end) > 0:
                break
            if ticks_diff(due, self.now) > 0:
                self.now = due
            self.server.handle_timer(self.now)
            self.hear()
        self.now = end

    def first(self, *lines):
        """Answers what is asked at first."""
        assert self.asked == ["env-filter 2", "status 3"]
        self.say(b"SUCCESS: x\r\n" + answer(*lines))
        self.asked = []
        return self

    def count(self, n):
        """Answers the next question for the number of clients."""
        self.wait(250)
        assert self.asked == ["load-stats"], self.asked
        self.asked = []
        self.say(b"SUCCESS: nclients=%d,bytesin=%d,bytesout=2\r\n" % (n, self.now))

    def names(self):
        return sorted([session.name for session in self.server.sessions.values()])


ANNA = client("anna", 1, "10.100.0.50")
BOB = client("bob", 2, "10.100.0.51")


def test_the_list_is_asked_for_at_once():
    talk = Talk()
    server = talk.server
    assert not server.is_known and not server.is_connected
    talk.first(ANNA, route("anna", 1, "192.168.5.0/24"))
    assert server.is_known and server.is_connected and server.changed
    session = server.sessions[1]
    assert (session.name, session.real, session.server) == ("anna", "192.0.2.1:1194", server)
    # TIME less "Connected Since": 10 s.
    assert ticks_diff(talk.now, session.since) == 10_000
    texts = sorted([prefix_text(key) for key in session.prefixes])
    assert texts == ["10.100.0.50/32", "192.168.5.0/24"]


def test_an_arrival_is_told_by_openvpn_and_leaving_by_the_number():
    talk = Talk().first(ANNA)
    talk.count(1)
    talk.wait(30)
    assert talk.asked == ["status 3"]  # what the number was before is not known
    talk.say(answer(ANNA))
    talk.asked = []
    talk.server.changed = False
    talk.count(1)
    talk.wait(100)
    assert talk.asked == [] and not talk.server.changed
    talk.say(b">CLIENT:ESTABLISHED,2\r\n>CLIENT:ENV,common_name=bob\r\n>CLIENT:ENV,END\r\n")
    arrived = talk.now
    assert talk.asked == ["status 3"]
    talk.now += 3
    talk.say(answer(ANNA, BOB))
    assert talk.names() == ["anna", "bob"] and talk.server.changed
    assert talk.server.sessions[2].since == arrived
    talk.asked = []
    for n, lines in ((2, (ANNA, BOB)), (1, (BOB,))):
        talk.server.changed = False
        talk.count(n)
        talk.wait(30)
        assert talk.asked == ["status 3"]
        talk.say(answer(*lines))
        talk.asked = []
    assert talk.names() == ["bob"] and talk.server.changed


def test_many_arrivals_are_not_asked_for_one_by_one():
    talk = Talk().first(*[client("c%d" % i, i, "10.1.0.%d" % i) for i in range(200)])
    for cid in range(1000, 1050):
        talk.say(b">CLIENT:ESTABLISHED,%d\r\n" % cid)
    assert talk.asked == []
    talk.wait(121)  # 20 ms, and half a millisecond for each client
    assert talk.asked == ["status 3"]


def test_an_arrival_during_a_list_is_asked_for_after_it():
    talk = Talk()
    talk.say(b"SUCCESS: x\r\n>CLIENT:ESTABLISHED,2\r\n")
    assert talk.asked == ["env-filter 2", "status 3"]
    talk.say(answer(ANNA))
    talk.wait(20)
    assert talk.asked[2:] == ["status 3"]
    talk.say(answer(ANNA, BOB))
    assert talk.server.sessions[2].since == 1000


def test_a_number_that_comes_again_is_another_session():
    talk = Talk().first(ANNA)
    session = talk.server.sessions[1]
    talk.wait(30)
    talk.say(b">CLIENT:ESTABLISHED,1\r\n")
    talk.say(answer(ANNA))
    assert talk.server.sessions[1] is not session
    assert talk.server.sessions[1].since == talk.now
    again = talk.server.sessions[1]
    talk.wait(30)
    talk.say(b">CLIENT:ESTABLISHED,9\r\n")
    talk.say(answer(ANNA))
    assert talk.server.sessions[1] is again
    for line in (client("anna", 1, "10.100.0.50", 995), client("bob", 1, "10.100.0.50")):
        talk.wait(30)
        talk.say(b">CLIENT:ESTABLISHED,9\r\n")
        talk.say(answer(line))
        assert talk.server.sessions[1] is not again
        again = talk.server.sessions[1]


def test_other_prefixes_are_a_change():
    talk = Talk().first(ANNA)
    talk.server.changed = False
    talk.wait(30)
    talk.say(b">CLIENT:ESTABLISHED,9\r\n")
    talk.say(answer(ANNA, route("anna", 1, "10.2.0.0/16")))
    assert talk.server.changed and len(talk.server.sessions[1].prefixes) == 2


def test_sessions_are_ended():
    for name, for_ever, command in (
        ("anna", False, "client-kill 1"),
        ("anna", True, "kill anna"),
        ("an na", True, "client-kill 1 HALT"),
        ("an:na", True, "client-kill 1 HALT"),
    ):
        talk = Talk().first(client(name, 1, "10.100.0.50"))
        talk.server.end(talk.server.sessions[1], talk.now, for_ever)
        talk.hear()
        assert talk.asked == [command] and talk.server.sessions[1].ended == talk.now
        # What is refused may concern somebody who is gone.
        talk.wait(30)
        talk.say(b"ERROR: no such client\r\n")
        talk.hear()
        assert talk.asked == [command, "status 3"]
        assert talk.server.counters["refused"] == 1


def test_a_session_that_does_not_end_is_told_again():
    talk = Talk().first(ANNA)
    talk.server.end(talk.server.sessions[1], talk.now)
    talk.hear()
    talk.say(b"SUCCESS: x\r\n")
    talk.now = ticks_add(talk.now, 10_001)
    talk.server.handle_timer(talk.now)
    talk.asked = []
    talk.hear()
    talk.say(answer(ANNA))
    assert "client-kill 1" in talk.asked


def test_many_ends_are_given_a_few_at_a_time():
    talk = Talk().first(*[client("c%d" % i, i, "10.1.0.%d" % i) for i in range(40)])
    for session in list(talk.server.sessions.values()):
        talk.server.end(session, talk.now)
    talk.hear()
    assert len(talk.asked) <= 16
    for _ in range(40):
        talk.say(b"SUCCESS: x\r\n")
    ends = [command for command in talk.asked if command.startswith("client-kill")]
    assert len(set(ends)) == 40


def test_a_server_that_is_gone_has_no_clients():
    talk = Talk().first(ANNA)
    server = talk.server
    server.changed = False
    server.disconnected("connection reset", False, talk.now)
    assert talk.names() == ["anna"] and not server.changed and not server.is_connected
    server.disconnected("connection refused", True, talk.now)
    assert talk.names() == [] and server.changed and server.problem == "connection refused"


def test_a_server_that_hangs_is_believed_for_a_while():
    talk = Talk().first(ANNA)
    server = talk.server
    talk.wait(250)
    talk.wait(4999)
    assert server.broken is None
    talk.wait(1)
    assert "5 s" in server.broken
    server.disconnected(server.broken, False, talk.now)
    talk.wait(7999)
    assert talk.names() == ["anna"]
    # Connections that bring nothing do not help it.
    server.connected(talk.now)
    talk.wait(1)
    assert talk.names() == [] and server.changed


def test_who_never_answered_has_no_clients_in_the_end():
    talk = Talk(connected=False)
    talk.server.disconnected("permission denied", False, talk.now)
    talk.wait(7999)
    assert not talk.server.is_known and not talk.server.changed
    talk.wait(1)
    assert talk.server.is_known and talk.server.changed


def test_a_restart_that_was_quick_loses_nobody_who_is_there():
    talk = Talk().first(ANNA, BOB)
    since = talk.server.sessions[1].since
    talk.server.changed = False
    talk.server.disconnected("the end", False, talk.now)
    talk.now += 100
    talk.asked = []
    talk.server.connected(talk.now)
    talk.hear()
    talk.first(ANNA)
    assert talk.names() == ["anna"] and talk.server.changed
    assert talk.server.sessions[1].since == since
    assert talk.server._trust_until is None


def test_a_password_goes_first_and_nowhere_else():
    talk = Talk(password=b"s3cret pass")
    assert talk.asked == ["s3cret pass", "env-filter 2", "status 3"]
    talk.say(b"ENTER PASSWORD:SUCCESS: password is correct\r\n")
    talk.asked = ["env-filter 2", "status 3"]
    talk.first(ANNA)
    assert talk.names() == ["anna"]


def test_a_wrong_password_is_told():
    talk = Talk(password=b"wrong")
    talk.say(b"ENTER PASSWORD:ERROR: bad password\r\nENTER PASSWORD:ERROR: bad password\r\n")
    talk.say(b"ENTER PASSWORD:ERROR: bad password\r\n")
    talk.server.disconnected("closed", False, talk.now)
    assert talk.server.problem == "it refuses the password"
    talk = Talk()
    talk.say(b"ENTER PASSWORD:ERROR: bad password\r\nENTER PASSWORD:ERROR: bad password\r\n")
    assert talk.server.problem == "it does not list its clients: bad password"
    assert not talk.server.is_connected


def test_nonsense_is_counted():
    talk = Talk().first(ANNA)
    for octets, name in (
        (b"what\r\n", "unexpected"), (b">WHAT:1\r\n", "unknown"),
        (b">CLIENT:ESTABLISHED,x\r\n", None), (b">CLIENT:\r\n", None),
        (b">CLIENT:ESTABLISHED,999999999999\r\n", None),
    ):  # fmt: skip
        talk.say(octets)
        assert name is None or talk.server._management.counters[name] == 1
    talk.say(b"x" * 9000)
    assert talk.server.broken
    talk.server.disconnected(talk.server.broken, False, talk.now)
    assert talk.server.counters["unexpected"] == 1 and talk.server.counters["unknown"] == 1


def test_nobody_is_older_than_ticks_can_tell():
    talk = Talk().first(client("anna", 1, "10.100.0.50", 0))
    session = talk.server.sessions[1]
    session.since = ticks_add(talk.now, -MAX_AGE_MS - 7)
    talk.wait(30)
    talk.say(b">CLIENT:ESTABLISHED,9\r\n")
    talk.say(answer(client("anna", 1, "10.100.0.50", 0)))
    assert ticks_diff(talk.now, session.since) == MAX_AGE_MS
