"""The clocks: monotonic ticks for every deadline, and the time of day for certificates."""

import time

from branchline.wire.ticks import PERIOD

try:
    _milliseconds = time.ticks_ms
except AttributeError:

    def _milliseconds():
        return time.monotonic_ns() // 1000000


def ticks():
    """The monotonic time in ms modulo 2^30, as in wire.ticks."""
    return _milliseconds() & (PERIOD - 1)


def ticks_ms():
    """The monotonic time in ms, which wraps as the port's own does: for long times only."""
    return _milliseconds()


try:
    _microseconds = time.ticks_us
except AttributeError:

    def _microseconds():
        return time.monotonic_ns() // 1000


def ticks_us():
    """The monotonic time in microseconds modulo 2^32; where the port's own wraps earlier (32-bit
    ports), one measurement in 18 minutes is off."""
    return _microseconds() & 0xFFFFFFFF


def unix_time():
    """Seconds since 1970, an integer."""
    return int(time.time())
