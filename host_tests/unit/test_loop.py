"""app.loop, and asyncio within it: packets pass asyncio by, and each side's timers are kept."""

import asyncio
import struct
import sys

from branchline.app.loop import Loop
from branchline.hal.linux.clock import ticks
from branchline.hal.linux.descriptor import LIBC, Descriptor
from branchline.hal.linux.listener import accept, listen
from branchline.hal.linux.poller import Poller
from branchline.wire.ticks import ticks_add, ticks_diff
from support import raises

if sys.implementation.name == "micropython":
    import socket

    from branchline.hal import asyncio_micropython as bridge

    WAIT = "ipoll"
else:
    import socket

    from branchline.hal import asyncio_cpython as bridge

    WAIT = "select"

_LOOPBACK = b"\x7f\x00\x00\x01"
_PORT = 18086


class Clock:
    """A part that is due every `period` ms and says when it was called."""

    def __init__(self, period, acts=False):
        self._period = period
        self._acts = acts
        self._due = ticks_add(ticks(), period)
        self.looks = 0
        self.fired = 0

    def next_timer(self):
        return self._due

    def handle_timer(self, now):
        self.looks += 1
        if ticks_diff(now, self._due) >= 0:
            self.fired += 1
            self._due = ticks_add(now, self._period)
            return self._acts
        return False


class Packets:
    """A pipe whose handler takes one packet and brings the next, until `count` have passed."""

    def __init__(self, poller, count, moves=False):
        fds = bytearray(8)
        assert LIBC.func("i", "pipe2", "pi")(fds, 0x80800) == 0
        reader, writer = struct.unpack("@ii", fds)
        self._poller = poller
        self._reader, self._writer = Descriptor(reader), Descriptor(writer)
        self._view = memoryview(bytearray(16))
        self._count = count
        self._moves = moves
        self.moved = 0
        poller.register(self._reader, self._move)
        self._writer.write(self._view, 16)

    def _move(self, readable, writable):
        self._reader.readinto(self._view)
        self.moved += 1
        if self.moved < self._count:
            self._writer.write(self._view, 16)
        return not self._moves

    def close(self):
        self._poller.unregister(self._reader)
        self._reader.close()
        self._writer.close()


class Waits:
    """Counts how often asyncio waits while the block runs."""

    def __enter__(self):
        self.count = 0
        self._original = original = getattr(bridge.Waiter, WAIT)

        def counting(waiter, timeout=None):
            self.count += 1
            return original(waiter, timeout)

        setattr(bridge.Waiter, WAIT, counting)
        return self

    def __exit__(self, *error):
        setattr(bridge.Waiter, WAIT, self._original)


def test_a_loop_runs_for_the_time_that_it_is_given():
    loop = Loop(Poller(), ticks, [], lambda: False)
    began = ticks()
    loop.run(30)
    assert ticks_diff(ticks(), began) >= 30


def test_no_time_at_all_is_one_look_at_what_is_ready():
    poller = Poller()
    packets = Packets(poller, 3)
    loop = Loop(poller, ticks, [], lambda: False)
    loop.run(0)
    assert packets.moved == 1
    packets.close()


def test_packets_alone_have_nobody_look_at_the_timers():
    poller = Poller()
    clock = Clock(10_000)
    packets = Packets(poller, 5000)
    loop = Loop(poller, ticks, [clock], lambda: packets.moved == 5000)
    loop.run(60)
    assert packets.moved > 10 and clock.looks <= 3
    packets.close()


def test_who_is_not_due_is_not_looked_at():
    often, seldom = Clock(5), Clock(10_000)
    Loop(Poller(), ticks, [seldom, often], lambda: often.fired == 4).run()
    assert often.looks == 5 and seldom.looks == 1


def test_who_acts_has_all_the_others_looked_at():
    acting, other = Clock(5, acts=True), Clock(10_000)
    Loop(Poller(), ticks, [other, acting], lambda: acting.fired == 3).run()
    # Once at the start, and after each of the first two times.
    assert other.looks == 3


def test_a_handler_has_all_looked_at():
    poller = Poller()
    packets = Packets(poller, 20, moves=True)
    clocks = [Clock(10_000), Clock(20_000)]
    Loop(poller, ticks, clocks, lambda: packets.moved == 20).run()
    assert [clock.looks for clock in clocks] == [21, 21]
    packets.close()


def test_a_part_that_comes_later_is_looked_at():
    late = Clock(5)

    class Maker(Clock):
        def handle_timer(self, now):
            super().handle_timer(now)
            if self.fired == 1 and late not in parts:
                parts.append(late)
                return True
            return False

    parts = [Maker(5)]
    Loop(Poller(), ticks, parts, lambda: late.fired == 2).run(1000)
    assert late.fired == 2


def test_an_interruption_ends_the_turn_after_all_that_was_ready():
    poller = Poller()
    loop = Loop(poller, ticks, [], lambda: False)
    first, second = Packets(poller, 1, True), Packets(poller, 1, True)
    loop.interrupt()
    loop.run()
    assert first.moved + second.moved == 2
    first.close()
    second.close()


def test_packets_cost_no_wake_up_of_asyncio():
    poller = Poller()
    packets = Packets(poller, 2000)
    loop = Loop(poller, ticks, [Clock(10_000)], lambda: False)

    async def main(ended):
        while packets.moved < 2000:
            await asyncio.sleep(0.2)

    with Waits() as waits:
        bridge.run(main, loop)
    assert packets.moved == 2000
    # 2000 packets take some 10 ms: asyncio waited for its sleep, not for each of them.
    assert waits.count < 200, waits.count
    packets.close()


def test_the_timers_of_both_sides_are_kept():
    clock = Clock(20)
    loop = Loop(Poller(), ticks, [clock], lambda: False)
    woken = []

    async def main(ended):
        for _ in range(4):
            began = ticks()
            await asyncio.sleep(0.05)
            woken.append(ticks_diff(ticks(), began))

    bridge.run(main, loop)
    assert len(woken) == 4 and min(woken) >= 49
    assert clock.fired >= 4


def test_timers_and_packets_go_on_while_asyncio_is_busy():
    poller = Poller()
    clock = Clock(1)
    packets = Packets(poller, 1_000_000)
    loop = Loop(poller, ticks, [clock], lambda: False)

    async def main(ended):
        began = ticks()
        while ticks_diff(ticks(), began) < 50:
            await asyncio.sleep(0)

    bridge.run(main, loop)
    assert clock.fired >= 2 and packets.moved > 10
    packets.close()


def test_asyncio_is_told_when_the_loop_is_over():
    over = []

    class Ending(Clock):
        def handle_timer(self, now):
            super().handle_timer(now)
            if self.fired:
                over.append(True)

    loop = Loop(Poller(), ticks, [Ending(20)], lambda: bool(over))
    ends = []

    async def main(ended):
        await ended.wait()
        ends.append(True)

    bridge.run(main, loop)
    assert ends == [True]


def test_what_a_handler_raises_comes_out_and_the_loop_can_go_on():
    poller = Poller()
    packets = Packets(poller, 1)

    def fail(readable, writable):
        poller.unregister(packets._reader)
        raise MemoryError("full")

    poller.unregister(packets._reader)
    poller.register(packets._reader, fail)
    loop = Loop(poller, ticks, [], lambda: False)

    async def main(ended):
        await asyncio.sleep(60)

    assert "full" in str(raises(MemoryError, bridge.run, main, loop))
    loop.run(1)

    async def again(ended):
        await asyncio.sleep(0.001)

    bridge.run(again, loop)
    packets.close()


def test_asyncio_reads_and_writes_its_own_descriptors():
    """More than the socket's buffers hold goes both ways between two tasks."""
    poller = Poller()
    loop = Loop(poller, ticks, [], lambda: False)
    listener = listen(_LOOPBACK, _PORT, 1)
    size = 4 << 20
    received = []

    async def take(sock):
        reader, writer = await bridge.streams(sock)
        total = 0
        while total < size:
            data = await reader.read(65536)
            assert data
            total += len(data)
        received.append(total)
        writer.write(b"all")
        await writer.drain()
        writer.close()

    async def main(ended):
        client = socket.socket()
        client.connect(socket.getaddrinfo("127.0.0.1", _PORT)[0][-1])
        client.setblocking(False)
        taken = accept(listener)
        task = asyncio.create_task(take(taken))
        reader, writer = await bridge.streams(client)
        for _ in range(size // 65536):
            writer.write(bytes(65536))
            await writer.drain()
        assert await reader.read(3) == b"all"
        await task
        writer.close()
        client.close()
        taken.close()

    bridge.run(main, loop)
    assert received == [size]
    listener.close()
    assert not poller._handlers
