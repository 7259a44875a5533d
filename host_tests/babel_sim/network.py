"""Nodes, links and virtual time; every change of a next hop is checked for a forwarding loop."""

import heapq
import random

from branchline.babel.agent import Agent
from branchline.babel.interface import GROUP, Interface
from branchline.wire.ticks import PERIOD, ticks_diff

# The clocks of all nodes pass the wrap of the ticks 20 s after the start.
_START = PERIOD - 20_000


class Loop(AssertionError):
    """Packets for a prefix would circle."""


class Node:
    """An agent with its links and the next hops that its events told."""

    def __init__(self, network, number):
        self.network = network
        self.number = self.identity = number
        self.prefixes = [(bytes((10, number >> 8, number & 0xFF, 0)), 24)]
        self.prefixes.append((b"\xfd" + number.to_bytes(7, "big") + bytes(8), 64))
        self.links = {}
        self.boots = 0
        self.fib = {}
        self.timer = None
        self.agent = None
        self.boot()

    def boot(self, new_id=False, seqno=None):
        """Starts, or starts again with nothing remembered but what is given."""
        self.boots += 1
        self.fib = {}
        self.timer = None
        if new_id:
            self.identity = 1000 * self.boots + self.number
        self.agent = Agent(
            b"\x02" + self.identity.to_bytes(7, "big"),
            self.network.octets,
            lambda text: None,
            seqno=seqno,
            max_neighbours=64,
        )
        for prefix, plen in self.prefixes:
            self.agent.announce(prefix, plen, self.network.now)
        for link in self.links.values():
            self._attach(link)
        self.network.drain(self)

    def join(self, link):
        """Opens an interface on a link."""
        self.links[link.name] = link
        self._attach(link)
        self.network.drain(self)

    def _attach(self, link):
        interface = Interface(
            link.name,
            self.address(link),
            ipv4=bytes((172, link.number >> 8, link.number & 0xFF, self.number)),
            cost=link.cost,
            hello_ms=500,
            mtu=link.mtu,
            rtt=link.rtt,
            wireless=link.wireless,
        )
        self.agent.add_interface(interface)
        self.agent.interface_up(link.name, self.network.now)

    def address(self, link):
        """The node's link-local address on a link."""
        return (
            b"\xfe\x80"
            + bytes(6)
            + bytes((link.number >> 8, link.number & 0xFF, 0, 0, 0, 0))
            + (self.number.to_bytes(2, "big"))
        )


class Link:
    """Joins two or more nodes; what it does to packets can change at any time."""

    def __init__(self, number, nodes, cost, rtt, mtu, wireless):
        self.number = self.identity = number
        self.name = "link%d" % number
        self.nodes = nodes
        self.cost = cost
        self.rtt = rtt
        self.mtu = mtu
        self.wireless = wireless
        self.up = True
        self.loss = 0.0
        self.delay_ms = (1, 3)
        self.duplicate = 0.0
        self.one_way = None


class Network:
    """All of it; `time` is in ms since the start, `now` the same as a tick."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.time = 0
        self.nodes = []
        self.links = []
        self.datagrams = 0
        self.changes = 0
        self._excused = {}
        self._owners = {}
        self._queue = []
        self._order = 0
        self._out = bytearray(1500)

    @property
    def now(self):
        return (_START + self.time) % PERIOD

    def octets(self, n):
        """The agents' random octets."""
        return self.random.randbytes(n)

    def add_node(self):
        """A new node without links."""
        node = Node(self, len(self.nodes) + 1)
        self.nodes.append(node)
        return node

    def add_link(self, *nodes, cost=96, rtt=False, mtu=1280, wireless=False):
        """A link between nodes."""
        link = Link(len(self.links) + 1, nodes, cost, rtt, mtu, wireless)
        self.links.append(link)
        for node in nodes:
            self._owners[node.address(link)] = node
            self._owners[bytes((172, link.number >> 8, link.number & 0xFF, node.number))] = node
            node.join(link)
        return link

    # -- time

    def run(self, ms):
        """Lets `ms` of virtual time pass."""
        end = self.time + ms
        while self._queue and self._queue[0][0] <= end:
            self.time, _, what, arguments = heapq.heappop(self._queue)
            what(*arguments)
        self.time = end

    def at(self, delay, what, *arguments):
        """Calls what(*arguments) in `delay` ms."""
        self._order += 1
        heapq.heappush(self._queue, (self.time + delay, self._order, what, arguments))

    def _wake(self, node, agent, due):
        if node.agent is agent and node.timer == due:
            node.timer = None
            agent.handle_timer(self.now)
            self.drain(node)

    def _deliver(self, node, agent, link, source, destination, data):
        if agent and node.agent is agent and link.up:
            micros = self.time * 1000 + node.number * 77_777
            agent.receive_datagram(
                link.name, source, destination, data, len(data), self.now, micros & 0xFFFFFFFF
            )
            self.drain(node)

    def drain(self, node):
        """Sends, and acts on, all that a node's agent has to say."""
        agent = node.agent
        if agent is None:
            return
        while True:
            micros = (self.time * 1000 + node.number * 77_777) & 0xFFFFFFFF
            n = agent.next_datagram(self._out, micros)
            if not n:
                break
            self._send(node, agent, bytes(self._out[:n]))
        while True:
            event = agent.next_event()
            if event is None:
                break
            self._act(node, event)
        due = agent.next_timer()
        if due is not None and due != node.timer:
            node.timer = due
            self.at(max(0, ticks_diff(due, self.now)), self._wake, node, agent, due)

    def _send(self, node, agent, data):
        link = node.links[agent.out_interface]
        destination = agent.out_destination
        source = node.address(link)
        for peer in link.nodes:
            if peer is node or (destination != GROUP and destination != peer.address(link)):
                continue
            self.datagrams += 1
            copies = 1 + (self.random.random() < link.duplicate)
            if not link.up or link.one_way is node or self.random.random() < link.loss:
                copies = 0
            for _ in range(copies):
                delay = self.random.randint(*link.delay_ms)
                self.at(delay, self._deliver, peer, peer.agent, link, source, destination, data)

    # -- what the owner of an agent would do

    def _act(self, node, event):
        if event[0] not in ("install", "unreachable", "remove"):
            return
        name = (event[1], event[2])
        self.changes += 1
        if event[0] != "install":
            node.fib.pop(name, None)
            return
        node.fib[name] = self._owners[event[3]]
        self._check(node, name)

    def _check(self, node, name):
        """Follows the next hops from a node whose own has just changed."""
        seen = [node]
        at = node.fib.get(name)
        while at is not None and name not in at.prefixes:
            if at in seen:
                if not any(self._excused.get(what, 0) > self.time for what in seen + [name]):
                    path = " > ".join([str(n.number) for n in seen + [at]])
                    raise Loop("%s at %d ms: %s" % (name, self.time, path))
                return
            seen.append(at)
            at = at.fib.get(name)

    def excuse(self, what, ms):
        """Allows loops for a prefix or through a node for a time, but not longer.

        RFC 8966 2.6 promises none only while a prefix has one router-id, and 3.2.5 while the
        feasibility distances are kept; it says that those which others cause soon vanish.
        """
        self._excused[what] = self.time + ms
        self.at(ms, self._check_all)

    def _check_all(self):
        for node in self.nodes:
            for name in node.fib:
                self._check(node, name)

    # -- what must hold when all has been quiet

    def connected(self, node):
        """The nodes that links which are up join to a node, it among them."""
        found = {node}
        work = [node]
        while work:
            at = work.pop()
            for link in at.links.values():
                if link.up:
                    for peer in link.nodes:
                        if peer.agent and peer not in found:
                            found.add(peer)
                            work.append(peer)
        return found

    def faults(self):
        """Texts of what is wrong: prefixes not routed that should be, and stale ones that are."""
        out = []
        for node in self.nodes:
            if node.agent is None:
                continue
            reach = self.connected(node)
            wanted = {p for peer in reach if peer is not node for p in peer.prefixes}
            for name in wanted - set(node.fib):
                out.append("%d has no route to %s" % (node.number, name))
            for name in set(node.fib) - wanted:
                out.append("%d has a stale route to %s" % (node.number, name))
            for name in node.fib:
                at, hops = node, 0
                while at is not None and name not in at.prefixes and hops <= len(self.nodes):
                    at = at.fib.get(name)
                    hops += 1
                if at is None or name not in at.prefixes:
                    out.append("%d's route to %s leads nowhere" % (node.number, name))
        return out
