"""hal.linux on a pipe and on loopback sockets: what needs no privileges."""

import struct

import micropython

from branchline.hal import clock, entropy
from branchline.hal.linux.descriptor import LIBC, Descriptor
from branchline.hal.linux.tun import check_name
from branchline.hal.linux.udp import open_udp
from branchline.hal.poller import Poller
from branchline.wire.ticks import PERIOD
from support import raises

_EBADF = 9
_ECONNREFUSED = 111
_LOOPBACK = bytes((127, 0, 0, 1))


def _pipe():
    fds = bytearray(8)
    assert LIBC.func("i", "pipe2", "pi")(fds, 0x80800) == 0
    reader, writer = struct.unpack("@ii", fds)
    return Descriptor(reader), Descriptor(writer)


def _pair():
    """Two UDP sockets on loopback that send to each other."""
    one = open_udp(_LOOPBACK, 9, local=_LOOPBACK)
    two = open_udp(_LOOPBACK, one.local()[1], local=_LOOPBACK)
    port = two.local()[1]
    own = one.local()[1]
    one.close()
    return open_udp(_LOOPBACK, port, local=_LOOPBACK, lport=own), two


def test_reading_and_writing():
    reader, writer = _pipe()
    view = memoryview(bytearray(64))
    assert reader.readinto(view) is None and reader.errors == 0
    view[:5] = b"abcde"
    assert writer.write(view, 5) == 5
    view[:5] = b"....."
    assert reader.readinto(view) == 5 and view[:5] == b"abcde"
    writer.close()
    writer.close()
    assert writer.fileno() == -1
    assert writer.write(view, 5) is None and writer.errors == 1 and writer.last_errno == _EBADF
    reader.close()


def test_datagrams_stay_apart():
    one, two = _pair()
    view = memoryview(bytearray(64))
    for n in (3, 5, 0, 7):
        assert one.write(view, n) == n
    assert [two.readinto(view) for _ in range(5)] == [3, 5, 0, 7, None]
    one.close()
    two.close()


def test_a_closed_port_is_counted_and_no_more():
    one, two = _pair()
    two.close()
    view = memoryview(bytearray(64))
    assert one.write(view, 3) == 3
    assert one.readinto(view) is None
    assert one.errors == 1 and one.last_errno == _ECONNREFUSED
    one.close()


def test_floating_follows_only_when_told():
    served = open_udp(_LOOPBACK, 9, local=_LOOPBACK, floating=True)
    one, two = _pair()
    here = served.local()[1]
    other = open_udp(_LOOPBACK, here, local=_LOOPBACK)
    view = memoryview(bytearray(64))
    assert other.write(view, 4) == 4
    assert served.readinto(view) == 4
    assert served.source() == other.local() and served.peer()[1] == 9
    assert served.follow() and not served.follow()
    assert served.peer() == other.local()
    assert served.write(view, 6) == 6 and other.readinto(view) == 6
    for udp in (served, one, two, other):
        udp.close()


def test_nothing_is_allocated():
    one, two = _pair()
    poller = Poller()
    view = memoryview(bytearray(64))
    read = two.readinto
    write = one.write
    poller.register(two, lambda readable, writable: read(view))
    wait = poller.wait
    wait(0)
    micropython.heap_lock()
    try:
        for _ in range(20):
            write(view, 40)
            wait(0)
            assert read(view) is None
    finally:
        micropython.heap_unlock()
    poller.unregister(two)
    one.close()
    two.close()


def test_poller_calls_what_is_ready():
    reader, writer = _pipe()
    poller = Poller()
    calls = []
    view = memoryview(bytearray(64))
    poller.register(reader, lambda readable, writable: calls.append(("r", readable, writable)))
    poller.register(writer, lambda readable, writable: calls.append(("w", readable, writable)))
    poller.wait(0)
    assert calls == []
    poller.want_write(writer, True)
    poller.wait(0)
    assert calls == [("w", False, True)]
    poller.want_write(writer, False)
    writer.write(view, 1)
    poller.wait(1000)
    assert calls[1:] == [("r", True, False)]
    poller.unregister(writer)
    poller.unregister(writer)
    writer.close()
    reader.readinto(view)
    poller.wait(1000)  # a hang-up counts as readable
    assert calls[2:] == [("r", True, False)]
    poller.unregister(reader)
    poller.wait(0)
    assert len(calls) == 3
    reader.close()


def test_a_handler_may_unregister_the_others():
    pipes = [_pipe() for _ in range(4)]
    poller = Poller()
    calls = []
    view = memoryview(bytearray(64))

    def handler(readable, writable):
        calls.append(readable)
        for reader, _ in pipes:
            poller.unregister(reader)

    for reader, writer in pipes:
        poller.register(reader, handler)
        writer.write(view, 1)
    poller.wait(0)
    assert calls == [True]
    for pipe in pipes:
        for end in pipe:
            end.close()


def test_names_of_interfaces():
    for name in ("tun0", "tun%d", "tun-dublin", "a", "fifteen-letters"):
        check_name(name)
    for name in ("", ".", "..", "a/b", "a b", "sixteen-letters-", "a:b", "a\n"):
        raises(ValueError, check_name, name)


def test_clock_and_entropy():
    assert 0 <= clock.ticks() < PERIOD
    assert clock.unix_time() > 1700000000
    assert len(entropy.random_octets(16)) == 16
    assert entropy.random_octets(16) != entropy.random_octets(16)
