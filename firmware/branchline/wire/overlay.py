"""Code that is needed for a while: loaded, used, and given back, as small heaps cannot hold all.

Import within `with Overlay():`, use, and leave.

An object keeps its class, and that its module: what is to outlive the overlay has to be of classes
that were imported before.
"""

import sys


class Overlay:
    """Forgets, at its end, the modules that were imported within.

    Where other code runs meanwhile, which may import for good, `names` says which are meant: each
    stands for a module and for all within it.
    """

    def __init__(self, names=None):
        self._names = names

    def __enter__(self):
        self._before = set(sys.modules)
        return self

    def __exit__(self, *error):
        for name in set(sys.modules) - self._before:
            if self._names and not self._is_meant(name):
                continue
            del sys.modules[name]
            # A package holds its modules too.
            package, _, module = name.rpartition(".")
            if package in sys.modules:
                delattr(sys.modules[package], module)

    def _is_meant(self, name):
        return any(name == own or name.startswith(own + ".") for own in self._names)
