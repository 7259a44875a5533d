"""Branchline: a branch-office gateway for MicroPython (OpenVPN tunnels, Babel routes)."""

__version__ = "0.1.0"
# Unix seconds, 2026-11-23: no right clock shows an earlier time, so a board without one judges
# certificates by at least this.
BUILD_TIME = 1795392000
