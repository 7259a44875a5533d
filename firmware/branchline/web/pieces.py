"""JSON text in pieces: the whole of a large status would be too much for a small heap at once."""

import json

from micropython import const

# Where this many levels have been opened, the rest is a piece: one tunnel, one route.
_DEPTH = const(3)


def json_pieces(value, depth=_DEPTH):
    """Yields the JSON text of `value`: dicts with text keys, lists, and what json knows."""
    if depth and value and isinstance(value, dict):
        before = "{"
        for key, item in value.items():
            yield before + json.dumps(key) + ":"
            yield from json_pieces(item, depth - 1)
            before = ","
        yield "}"
    elif depth and value and isinstance(value, list):
        before = "["
        for item in value:
            yield before
            yield from json_pieces(item, depth - 1)
            before = ","
        yield "]"
    else:
        yield json.dumps(value)
