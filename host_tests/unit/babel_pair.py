"""Agents and scripted neighbours joined without a network, for the tests of the Babel agent."""

from branchline.babel.agent import Agent
from branchline.babel.interface import GROUP, Interface
from branchline.babel.packet import Packet
from branchline.babel.prefix import prefix_key
from branchline.babel.tlv import Parser, body_end
from branchline.wire.counters import Counters
from branchline.wire.ip import parse_address, parse_prefix
from branchline.wire.ticks import PERIOD, ticks_add

# Half a minute before the ticks wrap, so that most tests cross it.
START = PERIOD - 30_000
OURS = parse_address("fe80::1")
ROUTER_ID = b"our-name"


def key(text):
    return prefix_key(*parse_prefix(text))


class Random:
    """Octets that differ from call to call, the same in every run."""

    def __init__(self, seed):
        self._n = seed

    def __call__(self, n):
        out = bytearray(n)
        for i in range(n):
            self._n = (self._n * 1103515245 + 12345) & 0x7FFFFFFF
            out[i] = self._n >> 16 & 0xFF
        return bytes(out)


class Sink:
    """Notes the TLVs of a packet as tuples, the kind first."""

    def __init__(self):
        self.calls = []

    def ack_request(self, *values):
        self.calls.append(("ack_request",) + values)

    def hello(self, *values):
        self.calls.append(("hello",) + values)

    def ihu(self, *values):
        self.calls.append(("ihu",) + values)

    def update(self, *values):
        self.calls.append(("update",) + values)

    def route_request(self, *values):
        self.calls.append(("route_request",) + values)

    def seqno_request(self, *values):
        self.calls.append(("seqno_request",) + values)


class Bench:
    """One agent, with time and what it says; interfaces are named a, b, ..."""

    def __init__(self, interfaces="a", options=None, **more):
        self.now = START
        self.lines = []
        self.agent = Agent(ROUTER_ID, Random(1), self.lines.append, **more)
        for name in interfaces:
            self.agent.add_interface(
                Interface(name, OURS, ipv4=bytes((192, 0, 2, 1)), **(options or {}))
            )
            self.agent.interface_up(name, self.now)
        self.out = bytearray(1500)

    def packets(self):
        """The packets that are due: (interface, destination, octets)."""
        found = []
        while True:
            n = self.agent.next_datagram(self.out, 0)
            if not n:
                return found
            found.append(
                (self.agent.out_interface, self.agent.out_destination, bytes(self.out[:n]))
            )

    def said(self):
        """The TLVs that are due: (interface, destination, kind, ...)."""
        found = []
        for interface, destination, data in self.packets():
            sink = Sink()
            counters = Counters(("malformed", "truncated", "mandatory"))
            Parser(sink, counters).parse(data, body_end(data, len(data)), OURS)
            assert not counters.nonzero()
            for call in sink.calls:
                found.append((interface, destination) + call)
        return found

    def said_of(self, kind):
        """The TLVs of one kind that are due, as (interface, destination, ...)."""
        return [call[:2] + call[3:] for call in self.said() if call[2] == kind]

    def events(self):
        """All events that wait."""
        found = []
        while True:
            event = self.agent.next_event()
            if event is None:
                return found
            found.append(event)

    def wait(self, ms, peers=()):
        """Lets time pass in steps in which each peer says Hello; what the agent said."""
        said = []
        for _ in range(0, ms, 250):
            self.now = ticks_add(self.now, 250)
            self.agent.handle_timer(self.now)
            for peer in peers:
                peer.greet()
            said += self.said()
        return said


class Peer:
    """A neighbour that says what the test tells it to."""

    def __init__(self, bench, interface="a", number=2):
        self.bench = bench
        self.interface = interface
        self.address = parse_address("fe80::%x" % number)
        self.ipv4 = bytes((192, 0, 2, number))
        self.seqno = 0
        self.ticks = 0

    def send(self, build, destination=GROUP):
        """Delivers the packet that build(packet) writes."""
        buf = bytearray(1200)
        p = Packet(buf, len(buf))
        build(p)
        n = p.finish(b"")
        self.bench.agent.receive_datagram(
            self.interface, self.address, destination, buf, n, self.bench.now
        )

    def greet(self, rxcost=96):
        """A Hello for half a second and an IHU, at every second call."""
        self.ticks += 1
        if self.ticks % 2:
            self.seqno += 1

            def build(p):
                p.hello(self.seqno, 50, False, None)
                p.ihu(OURS, rxcost, 150, None, None)

            self.send(build)

    def up(self):
        """Becomes a neighbour with a usable link; what it was told is thrown away."""
        self.greet()
        self.bench.said()
        self.bench.events()
        return self

    def say(self, tlv):
        """Delivers a packet of one ready TLV."""
        self.send(lambda p: p.raw(tlv))

    def update(self, text, seqno=1, metric=0, router_id=b"router-2", interval=200):
        """An Update TLV, the next hop that of this peer."""
        name = key(text)
        hop = self.ipv4 if name[0] == 1 else None
        if metric == 0xFFFF:
            router_id = None
        self.send(lambda p: p.update(name, interval, seqno, metric, router_id, hop))
