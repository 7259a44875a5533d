"""Millisecond ticks modulo 2^30, the same on every board (32-bit ports wrap there).

MicroPython's own ticks wrap at 2^30 on 32-bit ports and at 2^62 on 64-bit ones. The cores take
ticks as arguments and compare them only with these functions, so a test on any host meets the
wrap that a microcontroller meets after 12 days. Two ticks may lie at most 2^29 ms (6.2 days)
apart.
"""

from micropython import const

PERIOD = const(1 << 30)
_HALF = const(1 << 29)


def ticks_add(ticks, delta_ms):
    """The tick delta_ms (may be negative) after ticks."""
    return (ticks + delta_ms) & (PERIOD - 1)


def ticks_diff(end, start):
    """The signed number of ms from start to end, in [-2^29, 2^29)."""
    return ((end - start + _HALF) & (PERIOD - 1)) - _HALF


def earliest(*deadlines):
    """The earliest of some ticks, None among them meaning 'never'; None if all are."""
    best = None
    for due in deadlines:
        if due is not None and (best is None or ticks_diff(due, best) < 0):
            best = due
    return best
