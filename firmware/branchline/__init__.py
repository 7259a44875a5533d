"""Branchline: a branch-office gateway for MicroPython (OpenVPN tunnels, Babel routes)."""

__version__ = "0.1.0"
