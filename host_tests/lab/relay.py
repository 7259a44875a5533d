"""A path that misbehaves on purpose: UDP and TCP relays that lose, delay, damage and replay.

A relay runs in a thread of the lab and its sockets belong to a host, usually a router or the
server's own. "up" is from the client to the server. Chances come from a seeded generator.
"""

import asyncio
import collections
import contextlib
import dataclasses
import inspect
import random
import socket
import struct
import threading
from collections.abc import Callable

from host_tests.lab.netns import Host
from host_tests.lab.ping import checksum

_MAX_DATAGRAM = 65535
_MAX_CAPTURED = 10_000  # packets kept for each direction, the newest
_MAX_CHUNK = 65536  # octets read from a stream at once
_TIMEOUT = 10.0
_IP, _UDP_HEADER = struct.Struct("!BBHHHBBH4s4s"), struct.Struct("!HHHH")
_UNREACHABLE, _PORT_CLOSED = 3, 3  # ICMP type and code


@dataclasses.dataclass
class Faults:
    """What happens to the packets of one direction; shares are between 0 and 1.

    `choose` decides what a packet becomes, before all else: it gets the octets and returns the
    packets to send in their place, none to lose it.
    """

    loss: float = 0.0
    corrupt: float = 0.0  # one bit of the packet flips
    truncate: float = 0.0  # the packet ends at a random place
    duplicate: float = 0.0
    reorder: float = 0.0  # the packet waits until the next one has gone
    delay_ms: float = 0.0
    jitter_ms: float = 0.0  # up to so much is added to the delay
    cut: bool = False
    choose: Callable[[bytes], list[bytes]] | None = None


class _Relay:
    """What the two relays share: the thread with its event loop, faults, captures, counters."""

    _kind: socket.SocketKind

    def __init__(self, host: Host, address: str, port: int, target: tuple[str, int],
                 seed: int = 1):
        """Listen on `address`, `port` of `host` and pass everything on to `target`."""
        self.host = host
        self.target = target
        self.up, self.down = Faults(), Faults()
        self.captured = {
            way: collections.deque(maxlen=_MAX_CAPTURED) for way in ("up", "down")
        }
        self.counters: collections.Counter[str] = collections.Counter()
        self._random = random.Random(seed)
        self._held: dict[str, tuple] = {}
        self._listener = host.call(self._listen, address, port)
        self.address, self.port = self._listener.getsockname()[:2]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._do(self._start)
        host.lab.on_close(self.close)

    @property
    def remote(self) -> str:
        """What a profile's `remote` gets: "ADDRESS PORT"."""
        return f"{self.address} {self.port}"

    def cut(self) -> None:
        """Lose everything, both ways."""
        self.up.cut = self.down.cut = True

    def restore(self) -> None:
        """No faults any more."""
        self.up, self.down = Faults(), Faults()

    def retarget(self, target: tuple[str, int]) -> None:
        """Pass what comes from now on to another server; existing flows move too."""
        def move() -> None:
            self.target = target
            self._drop_flows()

        self._do(move)

    def close(self) -> None:
        """Stop relaying. A second call does nothing."""
        if self._loop.is_closed():
            return
        self._do(self._stop)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._listener.close()
        self._loop.close()

    def _listen(self, address: str, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listener = socket.socket(family, self._kind)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.setblocking(False)
        return listener

    def _new_socket(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.target[0] else socket.AF_INET
        made = self.host.call(socket.socket, family, self._kind)
        made.setblocking(False)
        return made

    def _do(self, function, *args):
        """Run a function, or a coroutine function, in the relay's thread; return its result."""
        async def run():
            result = function(*args)
            return await result if inspect.isawaitable(result) else result

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(_TIMEOUT)

    def _pass(self, way: str, packet: bytes, send) -> None:
        """Let the faults of one direction loose on a packet; `send` gets what is left of it."""
        faults = self.up if way == "up" else self.down
        self.captured[way].append(packet)
        self.counters[way] += 1
        packets = [packet] if faults.choose is None else faults.choose(packet)
        for item in packets:
            self._spoil(way, faults, item, send)

    def _spoil(self, way: str, faults: Faults, packet: bytes, send) -> None:
        if faults.cut or self._happens(way, "loss", faults.loss):
            return
        if packet and self._happens(way, "corrupt", faults.corrupt):
            packet = flip_bit(packet, self._random.randrange(8 * len(packet)))
        if packet and self._happens(way, "truncate", faults.truncate):
            packet = packet[:self._random.randrange(len(packet))]
        copies = 2 if self._happens(way, "duplicate", faults.duplicate) else 1
        if way not in self._held and self._happens(way, "reorder", faults.reorder):
            self._held[way] = (packet, copies, send)
            return
        self._emit(faults, packet, copies, send)
        if way in self._held:
            self._emit(faults, *self._held.pop(way))

    def _emit(self, faults: Faults, packet: bytes, copies: int, send) -> None:
        delay = faults.delay_ms + faults.jitter_ms * self._random.random()
        for _ in range(copies):
            if delay:
                self._loop.call_later(delay / 1000, send, packet)
            else:
                send(packet)

    def _happens(self, way: str, fault: str, share: float) -> bool:
        if share and self._random.random() < share:
            self.counters[f"{way} {fault}"] += 1
            return True
        return False


class UdpRelay(_Relay):
    """Relays datagrams; every client address gets a socket of its own toward the server.

        relay = UdpRelay(router, "203.0.113.1", 1194, target=("203.0.113.6", 1194))
        relay.down.loss = 0.25
        relay.replay("down", relay.captured["down"][:20])

    With `reports_refusals`, clients are told when the server's port is closed, as a NAT does
    (RFC 5508 4.2; IPv4).
    """

    _kind = socket.SOCK_DGRAM
    reports_refusals = False

    def replay(self, way: str, packets) -> int:
        """Send packets "up" or "down" in the latest client's flow, past the faults.

        Returns how many were sent. Recorded, forged, garbage: what they are is up to you.
        """
        return self._do(self._replay, way, list(packets))

    def garbage(self, way: str, count: int, max_size: int = 1500) -> int:
        """Send `count` packets of random octets and sizes."""
        sizes = [self._random.randrange(1, max_size + 1) for _ in range(count)]
        return self.replay(way, [self._random.randbytes(size) for size in sizes])

    def rebind(self, client: str | None = None) -> None:
        """Go on from new ports toward the server: a NAT has forgotten the flows, all or those
        of one client's address."""
        self._do(self._drop_flows, client)

    def _start(self) -> None:
        self._flows: dict[tuple, socket.socket] = {}  # client address -> socket, latest last
        self._loop.add_reader(self._listener, self._from_client)

    def _stop(self) -> None:
        self._loop.remove_reader(self._listener)
        self._close_flows()

    def _drop_flows(self, address: str | None = None) -> None:
        for client, upstream in self._flows.items():
            if address in (None, client[0]):
                self._end_flow(upstream)
                self._flows[client] = self._flow(client)

    def _close_flows(self) -> None:
        for upstream in self._flows.values():
            self._end_flow(upstream)

    def _end_flow(self, upstream: socket.socket) -> None:
        self._loop.remove_reader(upstream)
        upstream.close()

    def _flow(self, client: tuple) -> socket.socket:
        upstream = self._new_socket()
        upstream.connect(self.target)
        self._loop.add_reader(upstream, self._from_server, upstream, client)
        return upstream

    def _from_client(self) -> None:
        packet, client = self._listener.recvfrom(_MAX_DATAGRAM)
        if client not in self._flows:
            self._flows[client] = self._flow(client)
        self._pass("up", packet, lambda data: self._to_server(client, data))

    def _from_server(self, upstream: socket.socket, client: tuple) -> None:
        try:
            packet = upstream.recv(_MAX_DATAGRAM)
        except OSError:  # ICMP: the server does not listen now
            self._refuse(client)
            return
        self._pass("down", packet, lambda data: self._to_client(client, data))

    def _to_server(self, client: tuple, packet: bytes) -> None:
        try:
            self._flows[client].send(packet)
        except OSError:
            self._refuse(client)

    def _refuse(self, client: tuple) -> None:
        self.counters["refused"] += 1
        if self.reports_refusals and not self.down.cut:
            unreachable(self.host, client[:2], (self.address, self.port))

    def _to_client(self, client: tuple, packet: bytes) -> None:
        try:
            self._listener.sendto(packet, client)
        except OSError:
            self.counters["refused"] += 1

    def _replay(self, way: str, packets: list[bytes]) -> int:
        if not self._flows:
            return 0
        client = next(reversed(self._flows))
        send = self._to_server if way == "up" else self._to_client
        for packet in packets:
            send(client, packet)
        return len(packets)


class TcpRelay(_Relay):
    """Relays streams; faults act on the pieces as they are read, cut() stalls the streams.

    `segment` cuts what is passed on into pieces of at most so many octets.
    """

    _kind = socket.SOCK_STREAM

    def __init__(self, host: Host, address: str, port: int, target: tuple[str, int],
                 seed: int = 1, segment: int = _MAX_CHUNK):
        self.segment = segment
        super().__init__(host, address, port, target, seed)

    def reset(self) -> None:
        """Break all connections."""
        self._do(self._drop_flows)

    def _listen(self, address: str, port: int) -> socket.socket:
        listener = super()._listen(address, port)
        listener.listen()
        return listener

    def _start(self) -> None:
        self._flows: set[asyncio.Task] = set()
        self._accepting = self._loop.create_task(self._accept())

    async def _stop(self) -> None:
        self._accepting.cancel()
        self._drop_flows()
        await asyncio.gather(self._accepting, *self._flows, return_exceptions=True)

    def _drop_flows(self) -> None:
        for flow in self._flows:
            flow.cancel()

    async def _accept(self) -> None:
        while True:
            client, _ = await self._loop.sock_accept(self._listener)
            flow = self._loop.create_task(self._serve(client))
            self._flows.add(flow)
            flow.add_done_callback(self._flows.discard)

    async def _serve(self, client: socket.socket) -> None:
        server = self._new_socket()
        with client, server:
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                await self._loop.sock_connect(server, self.target)
                ways = [self._loop.create_task(self._carry("up", client, server)),
                        self._loop.create_task(self._carry("down", server, client))]
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                    await asyncio.gather(*ways, return_exceptions=True)
            except OSError:
                self.counters["refused"] += 1

    async def _carry(self, way: str, source: socket.socket, sink: socket.socket) -> None:
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        async with asyncio.TaskGroup() as group:
            writer = group.create_task(self._write(queue, sink))
            while chunk := await self._loop.sock_recv(source, _MAX_CHUNK):
                self._pass(way, chunk, queue.put_nowait)
            await queue.join()
            writer.cancel()

    async def _write(self, queue: asyncio.Queue, sink: socket.socket) -> None:
        while True:
            data = await queue.get()
            for start in range(0, len(data), self.segment):
                await self._loop.sock_sendall(sink, data[start:start + self.segment])
            queue.task_done()


def unreachable(host: Host, client: tuple[str, int], port: tuple[str, int]) -> None:
    """Tell a client by ICMP that the UDP port it sends to is closed (RFC 792)."""
    source, target = socket.inet_aton(client[0]), socket.inet_aton(port[0])
    size = _IP.size + _UDP_HEADER.size
    inner = _IP.pack(0x45, 0, size, 0, 0, 64, socket.IPPROTO_UDP, 0, source, target)
    inner += _UDP_HEADER.pack(client[1], port[1], _UDP_HEADER.size, 0)
    header = struct.pack("!BBHI", _UNREACHABLE, _PORT_CLOSED, 0, 0)
    header = header[:2] + struct.pack("!H", checksum(header + inner)) + header[4:]
    with host.call(socket.socket, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw, \
            contextlib.suppress(OSError):
        raw.bind((port[0], 0))
        raw.sendto(header + inner, (client[0], 0))


def flip_bit(packet: bytes, bit: int) -> bytes:
    """A copy of the packet with one bit changed; bit 0 is the lowest of the first octet."""
    changed = bytearray(packet)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)
