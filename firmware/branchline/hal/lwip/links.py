"""The interfaces by their names; lwIP itself knows them by index."""

from micropython import const

_ENODEV = const(19)

_indices = {}


def add(name, index):
    """An interface has come."""
    _indices[name] = index


def remove(name):
    """It is gone."""
    _indices.pop(name, None)


def find(name):
    """Its index, or None."""
    return _indices.get(name)


def index(name):
    """Its index; OSError with a text if there is none."""
    found = _indices.get(name)
    if found is None:
        raise OSError(_ENODEV, "there is no interface " + name)
    return found


def free_name(pattern):
    """The name that a pattern such as "tun%d" stands for: with the first free number."""
    if "%d" not in pattern:
        return pattern
    number = 0
    while pattern % number in _indices:
        number += 1
    return pattern % number
