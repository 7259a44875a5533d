"""Judges single packets by the policy: for boards whose kernel, if any, has no packet filter.

The same rules as filter.nft makes for Linux; host_tests compare the two. Nothing here allocates.
"""

from array import array

from micropython import const

from branchline.filter import packet
from branchline.filter.flows import Flows
from branchline.filter.packet import is_answer, is_request, read
from branchline.filter.prefixes import holds
from branchline.wire.counters import Counters

# The way of a packet.
OUT = const(0)  # from a LAN into a tunnel
INTO = const(1)  # from a tunnel to a LAN, or anywhere else that is no tunnel
HERE = const(2)  # from a tunnel to the gateway itself
SENT = const(3)  # from the gateway itself into a tunnel
THROUGH = const(4)  # from a tunnel into a tunnel

_BABEL_PORT = const(6696)
# ICMP types by whether an address has 16 octets. Answers: echo replies, destination unreachable,
# (packet too big,) time exceeded, parameter problem.
_ANSWERS = ((0, 3, 11, 12), (129, 1, 2, 3, 4))
_ECHO_REQUEST = (8, 128)


class Judge:
    """table: filter.table.Table. `dropped` counts by reason."""

    def __init__(self, table):
        self._own = table.own
        self._outward = self._compiled(table, True)
        self._inward = self._compiled(table, False)
        self._fields = array("I", [0] * packet.FIELDS)
        self._flows = Flows()
        self.dropped = Counters(("unreadable", "spoofed", "denied"))

    @staticmethod
    def _compiled(table, outward):
        """((the set of the other side's prefixes, services), ...) of one direction."""
        return tuple([(table.peers[rule[1]], rule[2]) for rule in table.rules
                      if rule[0] == outward])

    def allows(self, buf, at, n, way, now):
        """Whether the packet buf[at : at + n] (buf: bytearray) may go that way. now: a tick."""
        fields = self._fields
        if not read(buf, at, n, fields):
            return way == SENT or self._drop("unreadable")
        if way == SENT:
            self._flows.note(buf, fields, now)
            return True
        if way == HERE and self._is_neighbour(buf):
            return True
        outward = way == OUT
        if holds(self._own, buf, fields[packet.SOURCE], fields[packet.SIZE]) != outward:
            return self._drop("spoofed")
        if way == THROUGH:
            return self._drop("denied")
        if self._is_welcome(buf, way, now) or self._is_ruled(buf, outward, now):
            return True
        return self._drop("denied")

    def _drop(self, reason):
        self.dropped.bump(reason)
        return False

    def _is_neighbour(self, buf):
        """Babel, and what IPv6 itself says, between the ends of a tunnel."""
        fields = self._fields
        at = fields[packet.SOURCE]
        if fields[packet.SIZE] != 16 or buf[at] != 0xFE or buf[at + 1] & 0xC0 != 0x80:
            return False
        protocol = fields[packet.PROTOCOL]
        return protocol == packet.ICMP or (
            protocol == packet.UDP and fields[packet.DPORT] == _BABEL_PORT
        )

    def _is_welcome(self, buf, way, now):
        """Whether it answers something, or asks the gateway for an echo."""
        fields = self._fields
        if fields[packet.PROTOCOL] == packet.ICMP:
            if fields[packet.KIND] == packet.LATER:
                return True
            family = fields[packet.SIZE] >> 4
            kind = fields[packet.DPORT]
            if kind in _ANSWERS[family] or way == HERE and kind == _ECHO_REQUEST[family]:
                return True
        return self._flows.knows(buf, fields, now)

    def _is_ruled(self, buf, outward, now):
        """Whether a rule allows it as a request, or as an answer to one the other way."""
        fields = self._fields
        size = fields[packet.SIZE]
        if outward:
            remote = fields[packet.TARGET]
        else:
            remote = fields[packet.SOURCE]
            if not holds(self._own, buf, fields[packet.TARGET], size):
                return False
        for peers, services in self._outward if outward else self._inward:
            if is_request(services, len(services), fields) and holds(peers, buf, remote, size):
                if fields[packet.PROTOCOL] != packet.TCP:
                    self._flows.note(buf, fields, now)
                return True
        for peers, services in self._inward if outward else self._outward:
            if is_answer(services, len(services), fields) and holds(peers, buf, remote, size):
                return True
        return False
