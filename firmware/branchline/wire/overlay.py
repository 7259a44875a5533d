"""Code that is needed for a while: loaded, used, and given back, as small heaps cannot hold all.

    with Overlay(profile):
        parser = __import__(...)
        result = parser.parse_profile(...)
"""

import sys


class Overlay:
    """Forgets, at its end, the modules that were imported within.

    kept: the modules whose classes have instances that live on; an instance keeps its class, and
    that its module, so these must have been imported before.
    """

    def __init__(self, *kept):
        self._before = ()

    def __enter__(self):
        self._before = set(sys.modules)
        return self

    def __exit__(self, *error):
        for name in set(sys.modules) - self._before:
            del sys.modules[name]
            # A package holds its modules too.
            package, _, module = name.rpartition(".")
            if package in sys.modules:
                delattr(sys.modules[package], module)
