"""Neighbours: Hello history, IHU and the cost of the link (RFC 8966 3.4 and appendix A)."""

from micropython import const

from branchline.babel.outbox import Outbox
from branchline.babel.rtt import RttEstimator
from branchline.babel.tlv import INFINITY
from branchline.wire.ticks import earliest, ticks_add, ticks_diff

_HISTORY = const(0xFFFF)
# The history starts as if one Hello had come before the first: the first one makes the link
# usable, and one lost at the start does not undo it.
_FRESH = const(0x8000)
_LAST_J = const(0xE000)
_K = const(2)
# Where the owner vouches for the link: of so many that 5 % of loss, and even 10, undo it never.
_TRUSTED_J = const(0xFC00)
# A sender whose seqno is further off than this has restarted (A.1).
_MAX_SKEW = const(16)
# For how long a Hello counts where none is promised: 3.4.1 sets no timer, but a neighbour that
# says no more must be forgotten in the end.
_UNSCHEDULED_MS = const(4_000)
# ETX works in 1/256 of a transmission.
_ONE = const(256)
_BIT_COUNT = bytes((0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4))


def _bits(value):
    count = 0
    while value:
        count += _BIT_COUNT[value & 15]
        value >>= 4
    return count


class HelloHistory:
    """Which of the last 16 Hellos came, the newest in the top bit; one for each kind (3.2.4)."""

    def __init__(self):
        self.bits = 0
        self._expected = None
        self._interval_ms = _UNSCHEDULED_MS
        self.due = None

    def heard(self, seqno, interval_ms, now):
        """A Hello came; interval 0 means that no further one was promised. True if it is the
        first, or its seqno says that the sender has restarted."""
        expected = self._expected
        missed = 0 if expected is None else ((seqno - expected + 0x8000) & 0xFFFF) - 0x8000
        fresh = expected is None or abs(missed) > _MAX_SKEW
        if fresh:
            self.bits = _FRESH
        else:
            if missed > 0:
                self.bits >>= missed
            else:
                # Some that had been counted as lost were only late (A.1).
                self.bits = self.bits << -missed & _HISTORY
        self.bits = self.bits >> 1 | 0x8000
        self._expected = (seqno + 1) & 0xFFFF
        if interval_ms:
            self._interval_ms = interval_ms
        if interval_ms or self.due is None:
            self.due = ticks_add(now, self._interval_ms * 3 // 2)
        return fresh

    def expire(self, now):
        """Counts the Hellos that should have come by now as lost."""
        while self.due is not None and ticks_diff(now, self.due) >= 0:
            self.bits >>= 1
            self._expected = (self._expected + 1) & 0xFFFF
            self.due = ticks_add(self.due, self._interval_ms) if self.bits else None

    def is_up(self, trusted=False):
        """2-out-of-3, or, of a trusted link, 2-out-of-6 (A.2.1)."""
        return _bits(self.bits & (_TRUSTED_J if trusted else _LAST_J)) >= _K


class Neighbour:
    """A neighbour on an interface; `cost` is the link's, INFINITY while it is not usable.

    mute_due: the tick at which it is forgotten if it still sends no Hello; ihu_skip: how many of
    our Hellos go without an IHU for it, or negative: how many more than one go with it; auth:
    its mac.PeerAuth, if any.
    """

    def __init__(self, interface, address, mute_due):
        self.interface = interface
        self.address = address
        self.mute_due = mute_due
        self.multicast = HelloHistory()
        self.unicast = HelloHistory()
        self.txcost = INFINITY
        self.cost = INFINITY
        self.ihu_due = None
        self.ihu_skip = 0
        self.rtt = RttEstimator() if interface.rtt else None
        self.auth = None
        self.outbox = Outbox(interface.alarm)

    def heard_ihu(self, rxcost, interval_ms, now):
        """The neighbour says what it costs to reach it (3.4.2)."""
        self.txcost = rxcost
        # 3.5 times the interval, so that three lost ones are forgiven (appendix B).
        self.ihu_due = ticks_add(now, interval_ms * 7 // 2)

    def expire(self, now):
        """Lets late Hellos and IHUs time out."""
        self.multicast.expire(now)
        self.unicast.expire(now)
        if self.ihu_due is not None and ticks_diff(now, self.ihu_due) >= 0:
            self.ihu_due = None
            self.txcost = INFINITY

    def next_timer(self):
        """The tick of the next expiry, or None."""
        return earliest(self.multicast.due, self.unicast.due, self.ihu_due)

    def is_dead(self):
        """Nothing was heard for so long that the entry is of no use (3.2.4)."""
        return not self.multicast.bits and not self.unicast.bits

    def rxcost(self):
        """What we tell the neighbour in our IHUs."""
        return min(self._heard_cost() + self.interface.penalty, INFINITY)

    def _heard_cost(self):
        """What the link costs by the Hellos that came, without the interface's penalty."""
        interface = self.interface
        if interface.wireless:
            heard = _bits(max(self.multicast.bits, self.unicast.bits))
            return min(_ONE * 16 // heard, INFINITY) if heard else INFINITY
        trusted = interface.trusted
        up = self.multicast.is_up(trusted) or self.unicast.is_up(trusted)
        return interface.cost if up else INFINITY

    def is_lossy(self):
        """Whether a Hello was lost lately: IHUs are then sent more often."""
        return self.multicast.bits & 0xFF00 != 0xFF00

    def recost(self):
        """Computes the cost anew; whether it changed."""
        rxcost = self._heard_cost()
        cost = self.txcost
        penalty = self.interface.penalty
        if rxcost >= INFINITY or cost >= INFINITY or penalty >= INFINITY:
            cost = INFINITY
        else:
            if self.interface.wireless:
                # ETX (A.2.2): 1 / (alpha * beta) transmissions.
                cost = max(cost, _ONE) * rxcost // _ONE
            if self.rtt:
                cost += self.interface.rtt_penalty(self.rtt)
            # A cost of 0 would break strict monotonicity, and with it loop-freedom (3.5.2).
            cost = min(max(cost, 1) + penalty, INFINITY)
        changed = cost != self.cost
        self.cost = cost
        return changed
