"""An interface that Babel runs on: its parameters and what is sent and heard there."""

from micropython import const

from branchline.babel.mac import Signer
from branchline.babel.outbox import Outbox
from branchline.babel.packet import retraction, unicast_hello
from branchline.babel.tlv import INFINITY
from branchline.wire.ticks import earliest, ticks_add

GROUP = b"\xff\x02" + bytes(11) + b"\x01\x00\x06"

_UDP_IPV6 = const(48)
# A changed penalty is told twice: the first word may be lost.
_AGAIN_MS = const(150)


class Interface:
    """What the owner says of an interface; given to Agent.add_interface.

    name: any string; link_local: our address on it (16 octets); ipv4: ours (4 octets), the next
    hop of IPv4 routes, or None; v4_via_v6: announce IPv4 with an IPv6 next hop where there is
    no `ipv4` (RFC 9229); cost: of a link without loss; wireless: cost by loss (ETX) instead of
    2-out-of-3; split_horizon: right only where all neighbours hear each other, so not on a
    tunnel to many; keyring: a mac.Keyring or None; mtu: of the interface, octets;
    rtt: measure delay and add up to rtt_cost, linear from rtt_low_ms to rtt_high_ms.

    `penalty` is added to the cost in both directions; INFINITY: no route by this interface.
    `trusted`: the owner knows that packets get through, and tells sooner than Hellos do when they
    no longer do. `lossy`: some get lost, so neighbours get a unicast Hello with each of ours: a
    link is up if one of the two kinds is heard (A.2.1), and stock daemons are impatient.
    """

    def __init__(
        self,
        name,
        link_local,
        ipv4=None,
        v4_via_v6=False,
        cost=96,
        wireless=False,
        hello_ms=500,
        update_ms=None,
        split_horizon=False,
        keyring=None,
        mtu=1280,
        rtt=False,
        rtt_cost=96,
        rtt_low_ms=10,
        rtt_high_ms=120,
    ):
        self.name = name
        self.link_local = link_local
        self.ipv4 = ipv4
        self.v4_via_v6 = v4_via_v6
        self.cost = cost
        self.wireless = wireless
        self.hello_ms = hello_ms
        self.update_ms = 4 * hello_ms if update_ms is None else update_ms
        self.split_horizon = split_horizon
        self.keyring = keyring
        self.payload = mtu - _UDP_IPV6
        self.rtt = rtt
        self.rtt_cost = rtt_cost
        self.rtt_low_ms = rtt_low_ms
        self.rtt_high_ms = rtt_high_ms
        self.up = False
        self.penalty = 0
        self.trusted = self.lossy = False
        self.neighbours = {}

    def start(self, random, now, alarm):
        """Comes up with a fresh Hello seqno and, for the MAC, a fresh index."""
        self.up = True
        self.alarm = alarm
        self.hello_seqno = self.unicast_seqno = int.from_bytes(random(2), "big")
        self.signer = Signer(self.keyring, random) if self.keyring else None
        self.outbox = Outbox(alarm)
        self.hello_due = self.update_due = now
        self.hello_wanted = False

    def beat(self, now):
        """Has the regular Hello sent now and, half an interval later, the unicast ones."""
        self.want_hello(now)
        # Counted where none goes out, too: neighbours count those that do not come.
        self.unicast_seqno = (self.unicast_seqno + 1) & 0xFFFF
        if self.lossy:
            tlv = unicast_hello(self.unicast_seqno, self.hello_ms // 10)
            due = ticks_add(now, self.hello_ms // 2)
            for neighbour in self.neighbours.values():
                neighbour.outbox.add(tlv, due)

    def want_hello(self, now):
        """Has a Hello sent now."""
        self.hello_wanted = True
        self.alarm.lower(now)

    def set_penalty(self, penalty, now):
        """Takes a penalty and has the neighbours told at once, and again a little later."""
        announced = self.penalty < INFINITY
        self.penalty = penalty
        if not self.up:
            return
        for neighbour in self.neighbours.values():
            neighbour.ihu_skip = -1
        self.want_hello(now)
        again = ticks_add(now, min(_AGAIN_MS, self.hello_ms))
        self.hello_due = again
        if announced != (penalty < INFINITY):
            self.update_due = again
            if announced:
                self.outbox.add(retraction(), now)
            else:
                self.outbox.want_dump(now)

    def next_timer(self):
        """The tick of the next Hello or full update."""
        return earliest(self.hello_due, self.update_due)

    def rtt_penalty(self, rtt):
        """The cost that a neighbour's RttEstimator adds."""
        return rtt.penalty(self.rtt_low_ms * 1000, self.rtt_high_ms * 1000, self.rtt_cost)
