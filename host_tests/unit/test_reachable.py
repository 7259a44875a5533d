"""tunnel.reachable: whether a server answers by UDP, asked beside a session."""

from test_native import System

from branchline.tunnel.reachable import Reachable
from branchline.wire.errors import Unsupported
from branchline.wire.ip import parse_address
from openvpn_link import STATIC_KEY, Link
from support import raises

_ADDRESS = parse_address("192.0.2.1")
_SILENT = parse_address("192.0.2.9")


class Rig:
    """A question to a server that has, or has not, the client's wrapping."""

    def __init__(self, address=_ADDRESS, **settings):
        link = Link(push=(), **settings)
        self.system = System(link, {})
        self.question = Reachable(link.profile, link.env, self.system, address, 1194, 0)

    @property
    def transport(self):
        return self.system.transports[0]

    def run(self, ms):
        end = self.system.now + ms
        question = self.question
        while True:
            while self.transport.open and self.transport.waiting:
                self.system.poller.callbacks[self.transport](True, False)
            question.handle_timer(self.system.now)
            due = question.next_timer()
            if self.system.now >= end or due is None:
                return self
            self.system.now = min(end, max(due, self.system.now + 1))


def test_the_first_answer_is_enough():
    rig = Rig().run(10)
    assert rig.question.answer is True and rig.system.settled()
    # No more than the beginning of a handshake was sent.
    assert rig.system.server.infos == []
    rig.question.handle_timer(rig.system.now)
    rig.question.close()
    assert rig.question.answer is True and rig.question.next_timer() is None


def test_silence_is_an_answer_after_five_seconds():
    rig = Rig(_SILENT).run(4999)
    assert rig.question.answer is None and rig.transport.open
    rig.run(1)
    assert rig.question.answer is False and rig.system.settled()


def test_what_is_not_the_servers_is_no_answer():
    reset = b"\x40" + bytes(200)
    auth = {"tls_wrap": "auth", "tls_key": STATIC_KEY}
    for settings, packets in (({}, (b"", reset[:9], b"\xff" * 60)), (auth, (reset,))):
        rig = Rig(_SILENT, **settings)
        rig.transport.waiting.extend(packets)
        rig.run(4000)
        assert rig.question.answer is None
        rig.run(2000)
        assert rig.question.answer is False and rig.system.settled()
    # The fake server wraps nothing.
    assert Rig(**auth).run(6000).question.answer is False


def test_giving_up_closes_all():
    rig = Rig(_SILENT).run(100)
    rig.question.close()
    assert rig.question.answer is False and rig.system.settled()


def test_what_cannot_be_asked_leaves_nothing_open():
    link = Link(push=())
    system = System(link, {})
    system.refused = True
    raises(OSError, Reachable, link.profile, link.env, system, _ADDRESS, 1194, 0)
    system.refused = False
    link.profile.data_ciphers = ("AES-999-GCM",)
    raises(Unsupported, Reachable, link.profile, link.env, system, _ADDRESS, 1194, 0)
    assert system.settled() and not system.transports
