"""OpenVPN's management interface: lines, replies, and what makes no sense."""

from branchline.openvpn.management import NOTICE, REPLY, Management, text_of
from branchline.wire.errors import StateError
from support import raises


def _events(management):
    found = []
    while event := management.next_event():
        found.append(event)
    return found


def _asked(*commands):
    """A Management whose commands are under way; a trailing * asks for lines up to END."""
    management = Management()
    for command in commands:
        management.command(command.rstrip("*"), 0, command.endswith("*"))
    management.sent(len(management.next_octets()))
    return management


def test_what_lines_mean():
    for commands, octets, expected in (
        ((), b">HOLD:Waiting for release:0\r\n", [(NOTICE, "HOLD", "Waiting for release:0")]),
        ((), b">BYTECOUNT:1,2\r\n>STATE:\r\n",
         [(NOTICE, "BYTECOUNT", "1,2"), (NOTICE, "STATE", "")]),
        ((), b">NEED-OK:x", []),
        (("state on",), b"SUCCESS: on\r\n", [(REPLY, "state on", (True, ["on"]))]),
        (("signal X",), b"ERROR: no such\r\n", [(REPLY, "signal X", (False, ["no such"]))]),
        (("a", "b"), b"SUCCESS: 1\nERROR: 2\n",
         [(REPLY, "a", (True, ["1"])), (REPLY, "b", (False, ["2"]))]),
        (("status 3*",), b"a\tb\r\nSUCCESS: is a line\r\n>LOG:1,I,x\r\nEND\r\n",
         [(NOTICE, "LOG", "1,I,x"), (REPLY, "status 3", (True, ["a\tb", "SUCCESS: is a line"]))]),
        (("get*", "pid"), b"ERROR: no\nSUCCESS: pid=7\n",
         [(REPLY, "get", (False, ["no"])), (REPLY, "pid", (True, ["pid=7"]))]),
        (("get*",), b"END\r\n", [(REPLY, "get", (True, []))]),
    ):  # fmt: skip
        for size in (1, 3, 1000):  # however the stream cuts them
            management = _asked(*commands)
            for start in range(0, len(octets), size):
                management.receive(octets[start : start + size])
            assert _events(management) == expected, octets
            assert management.broken is None and not management.counters.nonzero()


def test_what_makes_no_sense_is_counted():
    for commands, octets, counter in (
        ((), b">WHAT:1\n", "unknown"),
        ((), b">\n", "unknown"),
        ((), b"SUCCESS: of nothing\n", "unexpected"),
        ((), b"\n", "unexpected"),
        ((), b"END\n", "unexpected"),
        (("pid",), b"pid=7\n", "unexpected"),
        (("get*",), b"x\n" * 4097, "overlong"),
    ):
        management = _asked(*commands)
        management.receive(octets)
        assert management.counters.nonzero() == {counter: 1}, octets
        assert management.broken is None and _events(management) == []


def test_lines_without_end_break_the_conversation():
    for parts in ((b"x" * 8193,), (b"x" * 8000, b"x" * 8000), (b"x" * 9000 + b"\n>HOLD:\n",)):
        management = Management()
        for part in parts:
            management.receive(part)
        assert "8192" in management.broken and _events(management) == []
        management.receive(b">HOLD:\n")
        assert _events(management) == [] and management.next_timer() is None
    management = Management()
    management.receive(b">ECHO:" + b"x" * 8186 + b"\n")
    assert management.broken is None and len(_events(management)) == 1


def test_a_command_is_answered_in_time():
    management = Management()
    assert management.next_timer() is None and management.is_quiet()
    management.command("remote MOD 192.0.2.1 1194", 1000)
    management.command("pid", 3000)
    assert management.next_octets() == b"remote MOD 192.0.2.1 1194\npid\n"
    management.sent(7)
    assert management.next_octets() == b"MOD 192.0.2.1 1194\npid\n"
    assert management.next_timer() == 6000 and not management.is_quiet()
    management.receive(b"SUCCESS: x\r\n")
    management.handle_timer(7999)
    assert management.broken is None and management.next_timer() == 8000
    management.handle_timer(8000)
    assert management.broken == "no answer to pid in 5 s"


def test_commands_that_cannot_be_given():
    management = Management()
    for text in ("pid\nsignal SIGTERM", "pid\r"):
        raises(StateError, management.command, text, 0)
    assert management.next_octets() == b""
    for _ in range(16):
        management.command("pid", 0)
    raises(StateError, management.command, "pid", 0)
    assert len(management.next_octets()) == 16 * 4


def test_texts_are_printable():
    assert text_of(b"a\x1b[31m\xff\t\0~") == "a?[31m?\t?~"
