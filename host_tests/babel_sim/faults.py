"""What can happen to a network: one method for each kind of event, drawn at random."""

from branchline.babel.tlv import INFINITY

# For how long loops are excused where Babel does not rule them out (Network.excuse).
GRACE_MS = 4_000


class Faults:
    """Applies events to a Network; each method takes numbers that choose what it hits."""

    def __init__(self, network):
        self.network = network

    def cut(self, i):
        """A link loses everything."""
        self._link(i).up = False

    def mend(self, i):
        """A link is as good as new."""
        link = self._link(i)
        link.up = True
        link.loss = link.duplicate = 0.0
        link.delay_ms = (1, 3)
        link.one_way = None

    def lose(self, i):
        """A link loses some of its packets."""
        self._link(i).loss = (0.05, 0.3, 0.7)[i % 3]

    def shuffle(self, i):
        """A link delays at random, so that packets overtake each other, and doubles some."""
        link = self._link(i)
        link.delay_ms = (1, (50, 400)[i % 2])
        link.duplicate = 0.2

    def deafen(self, i):
        """A link works in one direction only."""
        link = self._link(i)
        link.one_way = link.nodes[i % len(link.nodes)]

    def down(self, i):
        """A node's interface goes down and comes up again, as a tunnel does."""
        link = self._link(i)
        node = link.nodes[i % len(link.nodes)]
        if node.agent:
            now = self.network.now
            node.agent.interface_down(link.name, now)
            self.network.drain(node)
            node.agent.interface_up(link.name, now)
            self.network.drain(node)

    def judge(self, i):
        """A node's owner finds one of its links bad, or good again, and has it refreshed."""
        link = self._link(i)
        node = link.nodes[i % len(link.nodes)]
        if node.agent:
            now = self.network.now
            node.agent.set_penalty(link.name, (INFINITY, 0, 200)[i // 7 % 3], now)
            node.agent.refresh(now)
            self.network.drain(node)

    def stop(self, i):
        """A node is off."""
        node = self._node(i)
        node.agent = None
        node.fib = {}

    def restart(self, i):
        """A node starts again with nothing remembered but, every other time, its seqno; at the
        others it is a new router."""
        node = self._node(i)
        self._excuse(node)
        if i % 2 and node.agent:
            node.boot(seqno=node.agent.seqno)
        else:
            node.boot(new_id=True)

    def forget(self, i):
        """A node starts again as the same router, with not even its seqno remembered."""
        node = self._node(i)
        self._excuse(node)
        node.boot()

    def move(self, i):
        """A prefix is announced by another node instead: withdrawn here, announced there."""
        here, there = self._node(i), self._node(i * 7 + 1)
        if here is there or not here.prefixes or not here.agent or not there.agent:
            return
        prefix = here.prefixes.pop()
        self.network.excuse(prefix, GRACE_MS)
        here.agent.withdraw(prefix[0], prefix[1], self.network.now)
        self.network.drain(here)
        there.prefixes.append(prefix)
        there.agent.announce(prefix[0], prefix[1], self.network.now)
        self.network.drain(there)
        there.fib.pop(prefix, None)

    def heal(self):
        """Mends every link and starts every node."""
        for i, _ in enumerate(self.network.links):
            self.mend(i)
        for node in self.network.nodes:
            if node.agent is None:
                self._excuse(node)
                node.boot(new_id=True)
            for name in node.links:
                node.agent.set_penalty(name, 0, self.network.now)
            self.network.drain(node)

    def _excuse(self, node):
        for what in [node] + node.prefixes:
            self.network.excuse(what, GRACE_MS)

    def _link(self, i):
        return self.network.links[i % len(self.network.links)]

    def _node(self, i):
        return self.network.nodes[i % len(self.network.nodes)]


KINDS = (
    "cut",
    "mend",
    "mend",
    "lose",
    "shuffle",
    "deafen",
    "down",
    "judge",
    "judge",
    "stop",
    "restart",
    "move",
)
