"""The connection to a server's management interface: made, lost, made again; all of it faked."""

from branchline.app.hub_link import HubLink
from branchline.app.hub_settings import HubServer
from branchline.hub.clients import Server
from hub_words import answer, client
from stock_system import Stream, System


class Rig:
    """A HubLink; `error` is what the next attempts to connect raise."""

    def __init__(self, by_port=False):
        self.system = System()
        self.system.connect_management = self.connect
        self.error = None
        self.streams = []
        self.times = []
        self.notes = []
        self.changes = 0
        endpoint = (bytes(4), 7505) if by_port else None
        settings = HubServer("udp", "tun0", None if by_port else "/s", endpoint, None)
        self.server = Server("udp", "tun0", None, 0)
        self.link = HubLink(self.system, self.server, settings, self.changed, self.note)

    def connect(self, path, endpoint):
        assert (path is None) != (endpoint is None)
        self.times.append(self.system.now)
        if self.error:
            raise self.error
        self.streams.append(Stream())
        return self.streams[-1]

    def changed(self, now):
        self.changes += 1
        self.server.changed = False

    def note(self, level, subject, event, text):
        assert subject == "udp"
        self.notes.append((event, text))

    def run(self, ms):
        end = self.system.now + ms
        while True:
            due = self.link.next_timer()
            if due is None or due > end:
                break
            self.system.now = max(due, self.system.now)
            self.link.handle_timer(self.system.now)
        self.system.now = end

    def say(self, octets):
        stream = self.streams[-1]
        stream.waiting += octets
        self.system.poller.callbacks[stream](True, False)

    def up(self):
        self.run(0)
        self.say(b"SUCCESS: x\r\n" + answer(client("anna", 1, "10.100.0.50")))
        return self


def test_a_server_is_reached_at_once():
    rig = Rig().up()
    assert rig.times == [0] and rig.notes == [("up", "1 clients")] and rig.changes == 1
    assert rig.streams[0].written == b"env-filter 2\nstatus 3\n"
    rig.run(250)
    assert rig.streams[0].written.endswith(b"load-stats\n")


def test_who_does_not_listen_is_tried_again_ever_more_slowly():
    rig = Rig()
    rig.error = OSError(111, "connect to /s: Connection refused")
    rig.run(10_000)
    assert rig.times[:7] == [0, 100, 300, 700, 1500, 3100, 5100]
    assert rig.notes == [("down", "connect to /s: Connection refused")]
    assert rig.changes == 1  # it is known that nobody is there
    rig.error = None
    rig.run(2000)
    rig.say(b"SUCCESS: x\r\n" + answer())
    assert rig.notes[1:] == [("up", "0 clients")]
    rig.streams[-1].is_at_end = True
    rig.times = []
    now = rig.system.now
    rig.say(b"")
    rig.run(100)
    assert rig.times == [now + 100]


def test_a_restart_of_openvpn():
    rig = Rig().up()
    rig.streams[0].is_at_end = True
    rig.say(b"")
    assert rig.notes[1:] == [("down", "the peer is gone")] and not rig.streams[0].open
    assert len(rig.server.sessions) == 1 and rig.changes == 1
    rig.error = OSError(2, "connect to /s: No such file or directory")
    rig.run(100)
    assert rig.server.sessions == {} and rig.changes == 2


def test_who_hangs_is_parted_with():
    rig = Rig().up()
    rig.run(5250)
    assert not rig.streams[0].open and rig.notes[1][1] == "no answer to load-stats in 5 s"
    rig.run(100)
    assert len(rig.streams) == 2 and rig.streams[1].open


def test_nonsense_is_parted_with():
    rig = Rig().up()
    rig.say(b"x" * 9000)
    assert not rig.streams[0].open and "8192" in rig.notes[1][1]


def test_by_port_the_connection_takes_its_time():
    rig = Rig(by_port=True)
    rig.run(0)
    stream = rig.streams[0]
    stream.connected = lambda: False
    rig.run(4999)
    assert stream.written == b"" and stream.open
    rig.run(1)
    assert not stream.open and rig.notes == [("down", "no connection in 5 s")]
    rig.run(200)
    stream = rig.streams[1]
    stream.connected = lambda: True
    rig.system.poller.callbacks[stream](False, True)
    assert stream.written.startswith(b"env-filter 2\n")
    rig.link.close()
    assert not stream.open


def test_a_refused_port_is_nobody():
    rig = Rig(by_port=True)
    rig.run(0)

    def refuse():
        raise OSError(111, "connect: Connection refused")

    rig.streams[0].connected = refuse
    rig.system.poller.callbacks[rig.streams[0]](False, True)
    assert rig.server.is_known and rig.changes == 1
