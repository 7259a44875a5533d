"""tunnel.names: names are asked for anew each time; an old answer serves where there is none."""

from branchline.tunnel.names import Names
from branchline.wire.ticks import PERIOD, ticks_add

_START = PERIOD - 1000
_ONE, _TWO = b"\1\1\1\1", b"\2\2\2\2"


class Query:
    """A question that is answered when the test says so."""

    def __init__(self):
        self.done = False
        self.addresses = []
        self.error = ""
        self.finished = None

    def give(self, *addresses, error=""):
        self.done = True
        self.addresses = list(addresses)
        self.error = error

    def finish(self, error):
        assert not self.done and self.finished is None
        self.finished = error


class Rig:
    def __init__(self):
        self.asked = []
        self.queries = []
        self.names = Names(self._resolve)

    def _resolve(self, host, family, now):
        self.asked.append((host, family))
        self.queries.append(Query())
        return self.queries[-1]

    def ask(self, now, host="hub", family=0, as_host=None):
        self.names.ask(host, family, now, as_host)
        return self.queries[-1]

    def know(self, now, *addresses, host="hub"):
        self.ask(now, host).give(*addresses)
        assert self.names.answer(now) == list(addresses)


def test_an_answer_is_waited_for():
    rig = Rig()
    query = rig.ask(_START)
    assert rig.names.asking and rig.names.next_timer() is None
    # Without an earlier answer for as long as the resolver takes.
    assert rig.names.answer(ticks_add(_START, 60_000)) is None
    query.give(_ONE, _TWO)
    assert rig.names.answer(ticks_add(_START, 60_000)) == [_ONE, _TWO]
    assert not rig.names.asking and rig.names.age_ms == 0


def test_the_answer_there_is_none():
    rig = Rig()
    rig.ask(_START).give(error="no such name")
    assert rig.names.answer(_START) == [] and rig.names.error == "no such name"
    assert rig.names.known("hub", 0, _START) is None


def test_an_old_answer_serves_after_a_moment_of_silence():
    rig = Rig()
    rig.know(_START, _ONE)
    now = ticks_add(_START, 5000)
    query = rig.ask(now)
    assert rig.names.next_timer() == ticks_add(now, 1500)
    assert rig.names.answer(ticks_add(now, 1499)) is None
    assert rig.names.answer(ticks_add(now, 1500)) == [_ONE]
    assert rig.names.age_ms == 6500 and "say nothing" in rig.names.error
    assert query.finished is not None and not rig.names.asking
    assert rig.names.next_timer() is None


def test_an_old_answer_serves_at_once_where_the_servers_have_none():
    rig = Rig()
    rig.know(_START, _ONE)
    now = ticks_add(_START, 300)
    rig.ask(now).give(error="server failure")
    assert rig.names.answer(now) == [_ONE]
    assert (rig.names.age_ms, rig.names.error) == (300, "server failure")


def test_the_present_answer_wins():
    rig = Rig()
    rig.know(_START, _ONE)
    rig.know(ticks_add(_START, 1000), _TWO)
    assert rig.names.age_ms == 0
    now = ticks_add(_START, 2000)
    rig.ask(now)
    assert rig.names.answer(ticks_add(now, 1500)) == [_TWO]
    assert rig.names.known("hub", 0, now) == _TWO


def test_another_host_or_family_has_an_answer_of_its_own():
    rig = Rig()
    rig.know(_START, _ONE)
    for host, family in (("other", 0), ("hub", 6)):
        query = rig.ask(_START, host, family)
        assert rig.names.next_timer() is None
        query.give(error="no such name")
        assert rig.names.answer(_START) == []
        assert rig.names.known(host, family, _START) is None


def test_a_random_label_is_asked_for_but_not_remembered():
    """OpenVPN manual, --remote-random-hostname."""
    rig = Rig()
    rig.ask(_START, as_host="1a2b.hub").give(_ONE)
    assert rig.names.answer(_START) == [_ONE] and rig.asked == [("1a2b.hub", 0)]
    rig.ask(_START, as_host="3c4d.hub")
    assert rig.names.answer(ticks_add(_START, 1500)) == [_ONE]


def test_eight_hosts_are_remembered():
    rig = Rig()
    for number in range(10):
        rig.know(ticks_add(_START, number * 1000), bytes([number] * 4), host="h%d" % number)
        # The first is asked for again, so it is not the oldest.
        rig.know(ticks_add(_START, number * 1000 + 1), bytes(4), host="h0")
    now = ticks_add(_START, 20_000)
    known = [n for n in range(10) if rig.names.known("h%d" % n, 0, now) is not None]
    assert known == [0, 3, 4, 5, 6, 7, 8, 9]


def test_an_answer_too_old_to_tell_its_age_is_not_offered():
    rig = Rig()
    rig.know(_START, _ONE)
    assert rig.names.known("hub", 0, ticks_add(_START, (1 << 28) - 1)) == _ONE
    assert rig.names.known("hub", 0, ticks_add(_START, 1 << 28)) is None


def test_giving_up():
    rig = Rig()
    rig.names.give_up()
    query = rig.ask(_START)
    rig.names.give_up()
    assert query.finished == "given up" and not rig.names.asking
    # A further question gives the one before up.
    first = rig.ask(_START)
    second = rig.ask(_START)
    assert first.finished == "given up" and second.finished is None and rig.names.asking
