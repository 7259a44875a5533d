"""Branchline: a branch-office gateway for MicroPython (OpenVPN tunnels, Babel routes)."""

import sys

__version__ = "0.1.0"
# Unix seconds, 2026-11-23: no right clock shows an earlier time, so a board without one judges
# certificates by at least this.
BUILD_TIME = 1795392000

if sys.implementation.name == "micropython" and not sys.implementation._mpy >> 10:
    from branchline import plain

    if __file__.endswith(".py"):
        __path__ = plain.mount(__path__)
