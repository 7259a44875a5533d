"""Randomness for keys, session ids and query ids, from the kernel."""

import os


def random_octets(n):
    """n unpredictable octets."""
    return os.urandom(n)
