"""Prefix keys by row and rows by key, in flat arrays: many small objects that live for long
would splinter a small heap."""

from micropython import const

from branchline.babel.prefix import OFFSET
from branchline.babel.records import NONE, zeros

# Family, length and an IPv6 prefix.
_SIZE = const(18)


class Keys:
    """A column of Rows that holds each key at most once; None where a row is free."""

    def __init__(self, limit, code):
        size = 1
        while size < limit:
            size *= 2
        self._mask = size - 1
        # Row + 1, or 0: the first of each hash value, and what follows each row.
        self._heads = zeros(code, size)
        self._next = zeros(code, limit)
        self._octets = bytearray(_SIZE * limit)

    def grow(self, count):
        """The room was there from the beginning."""

    def find(self, key):
        """The row of a key, or NONE."""
        row = self._heads[hash(key) & self._mask] - 1
        while row != NONE and self[row] != key:
            row = self._next[row] - 1
        return row

    def __getitem__(self, row):
        at = _SIZE * row
        octets = self._octets
        if not octets[at]:
            return None
        return bytes(octets[at : at + OFFSET + (octets[at + 1] + 7 >> 3)])

    def __setitem__(self, row, key):
        old = self[row]
        at = _SIZE * row
        if old is not None:
            self._unlink(row, hash(old) & self._mask)
            self._octets[at] = 0
        if key is not None:
            self._octets[at : at + len(key)] = key
            head = hash(key) & self._mask
            self._next[row] = self._heads[head]
            self._heads[head] = row + 1

    def _unlink(self, row, head):
        before = self._heads[head] - 1
        if before == row:
            self._heads[head] = self._next[row]
            return
        while self._next[before] != row + 1:
            before = self._next[before] - 1
        self._next[before] = self._next[row]
