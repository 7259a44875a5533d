"""Round-trip times from Hello and IHU timestamps, and the cost they add (RFC 9616)."""

from micropython import const

_MASK = const(0xFFFFFFFF)
# A sample of more is a peer whose clock jumped, not a path (RFC 9616 section 5).
_MAX_RTT_US = const(60_000_000)
# The same for the time that the peer held our timestamp before it sent it back.
_MAX_HELD_US = const(600_000_000)
# Smoothing: the old value's weight is 214/256 = 0.836 (RFC 9616 section 4.1).
_OLD_WEIGHT = const(214)


class RttEstimator:
    """One neighbour's timestamps and smoothed round-trip time; all times in microseconds.

    Clocks count modulo 2^32 and need not agree: only differences on one clock are used.
    """

    def __init__(self):
        self.rtt_us = None
        self.origin_us = None
        self.receive_us = None

    def heard(self, sent_us, now_us):
        """Notes the peer's Hello timestamp, to be echoed in our IHUs."""
        self.origin_us = sent_us & _MASK
        self.receive_us = now_us & _MASK

    def sample(self, origin_us, receive_us, sent_us, now_us):
        """Takes one sample: our Hello left at origin_us and reached the peer at receive_us, its
        answer left at sent_us and is here at now_us. False if it makes no sense."""
        held = (sent_us - receive_us) & _MASK
        away = (now_us - origin_us) & _MASK
        if held > _MAX_HELD_US or away > _MAX_HELD_US + _MAX_RTT_US:
            return False
        rtt = away - held
        if rtt < 0 or rtt > _MAX_RTT_US:
            return False
        old = self.rtt_us
        if old is not None:
            rtt = (old * _OLD_WEIGHT + rtt * (256 - _OLD_WEIGHT)) >> 8
        self.rtt_us = rtt
        return True

    def penalty(self, low_us, high_us, most):
        """The cost to add: 0 up to low_us, `most` from high_us on, linear between (4.2)."""
        rtt = self.rtt_us
        if rtt is None or rtt <= low_us:
            return 0
        if rtt >= high_us:
            return most
        return most * (rtt - low_us) // (high_us - low_us)
