"""Code that is needed for a while: loaded, used, and given back, as small heaps cannot hold all.

Import within `with Overlay():`, use, and leave.

An object keeps its class, and that its module: what is to outlive the overlay has to be of classes
that were imported before.
"""

import sys


class Overlay:
    """Forgets, at its end, the modules that were imported within."""

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
