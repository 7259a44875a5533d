"""hal.linux: child processes, UNIX streams and strays, with nothing but a shell."""

import os
import struct

from branchline.hal.clock import ticks
from branchline.hal.linux import child as module
from branchline.hal.linux.child import Children
from branchline.hal.linux.descriptor import LIBC, Descriptor
from branchline.hal.linux.signals import Signals
from branchline.hal.linux.strays import end_stray, find_strays
from branchline.hal.linux.unix_stream import UnixListener
from branchline.hal.poller import Poller
from branchline.wire.ticks import ticks_add, ticks_diff
from support import raises

_PATIENCE_MS = 10_000
_FOLDER = "/tmp/branchline-unit-%d" % LIBC.func("i", "getpid", "")()
_PATH = _FOLDER + "/socket"


class Nursery:
    """Children under a poller of their own."""

    def __init__(self):
        self.poller = Poller()
        self.children = Children(self.poller, ticks)
        self.ended = []

    def start(self, script, text=b"", *arguments):
        argv = ("sh", "-c", script, "name") + arguments
        return self.children.spawn(argv, text, self.ended.append)

    def run(self, child):
        """Waits for its end."""
        until = ticks_add(ticks(), _PATIENCE_MS)
        while child.status is None:
            now = ticks()
            assert ticks_diff(until, now) > 0, "the child does not end"
            self.children.handle_timer(now)
            due = self.children.next_timer()
            self.poller.wait(500 if due is None else max(0, min(500, ticks_diff(due, now))))
        return child


def _descriptors():
    return len(os.listdir("/proc/self/fd"))


def test_what_a_child_is_given_and_how_it_ends():
    nursery = Nursery()
    before = _descriptors()
    for script, status, lines in (
        ("exit 0", 0, []),
        ("exit 3", 3, []),
        ("kill -9 $$", -9, []),
        ("echo one; echo two >&2; printf three", 0, [b"one", b"two"]),
        ("for n in 1 2 3 4 5 6 7 8 9 10 11; do echo $n; done", 0,
         [b"4", b"5", b"6", b"7", b"8", b"9", b"10", b"11"]),
        ("cat; cat /proc/self/fd/0", 0, [b"given", b"given"]),
        ('echo "$0 $*"', 0, [b"name a b c"]),
    ):  # fmt: skip
        child = nursery.run(nursery.start(script, b"given\n", "a b", "c"))
        assert (child.status, child.lines) == (status, lines), script
        assert nursery.ended.pop() is child and not nursery.ended
    assert _descriptors() == before and nursery.children.next_timer() is None


def test_a_child_inherits_neither_descriptors_nor_signals():
    signals = Signals()
    try:
        nursery = Nursery()
        child = nursery.run(nursery.start("grep -E 'Sig(Blk|Ign)' /proc/self/status"))
        masks = [int(line.split()[1].decode(), 16) for line in child.lines]
        assert masks[0] == 0 and not masks[1] >> 12 & 1  # SIGPIPE
        child = nursery.run(nursery.start("echo /proc/self/fd/*"))
        numbers = [int(path.rsplit(b"/", 1)[1].decode()) for path in child.lines[0].split()]
        assert max(numbers) < 10 and len(numbers) <= 4  # the last is the shell's own
    finally:
        signals.close()


def test_long_input_and_output():
    nursery = Nursery()
    child = nursery.run(nursery.start("wc -c", b"0123\n" * 40_000))
    assert child.lines[0].strip() == b"200000"
    child = nursery.run(nursery.start("head -c 100000 /dev/zero | tr '\\0' x; echo; echo end"))
    assert child.lines[-1] == b"end" and max([len(line) for line in child.lines]) <= 400


def test_a_missing_program():
    nursery = Nursery()
    before = _descriptors()
    for name in ("no-such-program", "/no/such/program"):
        error = raises(OSError, nursery.children.spawn, (name,), b"", None)
        assert error.args[0] == 2 and name in error.args[1]
    assert _descriptors() == before


def test_children_are_ended_without_a_word():
    nursery = Nursery()
    child = nursery.start("kill -STOP $$")
    child.kill()
    assert nursery.run(child).status == -9
    child = nursery.start("sleep 60 & wait")
    child.end(ticks(), 60_000)
    assert nursery.run(child).status in (-15, 143)
    child = nursery.start("trap '' TERM; echo deaf; while :; do sleep 0.1; done")
    while not child.lines:
        nursery.poller.wait(100)
    child.end(ticks(), 50)
    assert nursery.run(child).status == -9
    child.end(ticks(), 50)  # it is gone
    child.kill()
    assert not nursery.ended


def test_settling_waits_for_all():
    nursery = Nursery()
    children = [nursery.start("sleep 0.2"), nursery.start("exit 1")]
    nursery.children.settle(_PATIENCE_MS)
    assert [child.status for child in children] == [0, 1]
    stopped = nursery.start("kill -STOP $$")
    nursery.children.settle(50)
    assert stopped.status is None
    stopped.kill()
    nursery.children.settle(_PATIENCE_MS)
    assert stopped.status == -9


def test_without_pidfd():
    usual = module._syscall
    module._syscall = lambda *arguments: -1
    try:
        nursery = Nursery()
        before = _descriptors()
        child = nursery.run(nursery.start("echo last words; exit 4"))
        assert (child.status, child.lines) == (4, [b"last words"]) and nursery.ended == [child]
        assert _descriptors() == before
    finally:
        module._syscall = usual


def test_strays_are_told_by_their_arguments():
    nursery = Nursery()
    script = "kill -STOP $$; exit 5"
    child = nursery.start(script, b"", "--management", _PATH, "unix")
    other = nursery.start(script, b"", "--management", _PATH + "2", "unix")
    assert find_strays("--management", _PATH) == [child.pid]
    assert find_strays("--config", _PATH) == []
    end_stray(child.pid, False)
    assert nursery.run(child).status == -15
    end_stray(other.pid, True)
    assert nursery.run(other).status == -9
    assert find_strays("--management", _PATH) == []


def _connected():
    peer = Descriptor(LIBC.func("i", "socket", "iii")(1, 0x80801, 0))
    address = struct.pack("@H", 1) + _PATH.encode() + b"\0"
    assert LIBC.func("i", "connect", "ipI")(peer.fileno(), address, len(address)) == 0
    return peer


def test_unix_streams():
    listener = UnixListener(_PATH)
    assert os.stat(_FOLDER)[0] & 0o777 == 0o700
    assert listener.accept() is None
    peer = _connected()
    stream = listener.accept()
    listener.close()
    assert os.listdir(_FOLDER) == []
    view = memoryview(bytearray(64))
    assert stream.readinto(view) is None
    assert stream.write(b"hello", 5) == 5
    assert peer.readinto(view) == 5 and bytes(view[:5]) == b"hello"
    assert peer.write(b"world!", 6) == 6
    assert stream.readinto(view[:4]) == 4 and stream.readinto(view) == 2
    full = bytes(64)
    while stream.write(full, 64) is not None:
        pass
    peer.close()
    assert raises(OSError, stream.write, full, 64).args[0] in (32, 104)
    assert raises(OSError, stream.readinto, view).args[0] == 104
    stream.close()


def test_a_listener_takes_the_place_of_one_that_a_crash_left():
    for _ in range(2):
        left = UnixListener(_PATH)
        Descriptor(left.fileno()).close()  # the path stays
        left._fd = -1
        assert os.listdir(_FOLDER) == ["socket"]
    listener = UnixListener(_PATH)
    peer = _connected()
    stream = listener.accept()
    for end in (peer, stream, listener):
        end.close()
    os.rmdir(_FOLDER)


def test_paths_that_cannot_be():
    error = raises(OSError, UnixListener, "/tmp/" + "x" * 110)
    assert "107" in error.args[1]
    assert raises(OSError, UnixListener, "/proc/none/socket").args[0] in (2, 13)
