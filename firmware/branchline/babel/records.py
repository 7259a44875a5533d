"""Rows of fields in parallel columns: some 30 octets a row where an object would take 200."""

import struct
from array import array

from micropython import const

NONE = const(-1)
_MAX_NARROW = const(0x7FFF)
# A table's memory is taken at once, or of larger ones in quarters: what grows row by row
# splinters a small heap.
_AT_ONCE = const(1000)


def row_code(*limits):
    """The array type code for row numbers of tables with these limits."""
    return "h" if max(limits) < _MAX_NARROW else "i"


def zeros(code, count):
    """An array of zeros."""
    return array(code, bytes(struct.calcsize(code) * count))


class Shared:
    """A column of objects (hashable) of which few differ: numbers of two octets, which equal
    objects share; at most `limit` rows. `numbers` is quicker to search than the column itself."""

    def __init__(self, limit):
        self._code = "H" if limit < 0xFFFF else "I"
        self.numbers = array(self._code)
        # By number: the object, and by how many rows it is used. None has number 0.
        self._objects = [None]
        self._uses = array("I", (0,))
        self._known = {None: 0}
        self._free = []

    def grow(self, count):
        """Makes the fields of more rows, None at first."""
        self.numbers.extend(zeros(self._code, count))
        self._uses[0] += count

    def __getitem__(self, row):
        return self._objects[self.numbers[row]]

    def __setitem__(self, row, value):
        number = self._known.get(value)
        if number is None:
            number = self._take(value)
        before = self.numbers[row]
        self.numbers[row] = number
        self._uses[number] += 1
        self._uses[before] -= 1
        if before and not self._uses[before]:
            del self._known[self._objects[before]]
            self._objects[before] = None
            self._free.append(before)

    def number(self, value):
        """The number of an object, or None if no row has it."""
        return self._known.get(value)

    def kinds(self):
        """How many different objects there are."""
        return len(self._known) - 1

    def _take(self, value):
        """A number for a new object."""
        if self._free:
            number = self._free.pop()
            self._objects[number] = value
        else:
            number = len(self._objects)
            self._objects.append(value)
            self._uses.append(0)
        self._known[value] = number
        return number


class Rows:
    """At most `limit` rows; fields: a dict of column name to array type code, "O" for any object,
    "S" for objects of which few differ, or a column with the methods of Shared.

    Each column becomes an attribute, indexed by the row's number. The column "link" (a
    row_code) must be among them: it chains the rows that are free, and is the owner's to use in
    the others.
    """

    def __init__(self, limit, fields):
        self.limit = limit
        self.used = 0
        self._given = 0
        self._free = NONE
        self._columns = []
        for name, code in fields.items():
            if code == "O":
                column = []
            elif code == "S":
                column = Shared(limit)
            else:
                column = array(code) if isinstance(code, str) else code
            setattr(self, name, column)
            self._columns.append((column, code))
        self._grow()

    def __len__(self):
        """The number of rows ever given out: the free ones are among them."""
        return self._given

    def add(self):
        """The number of a fresh row, its fields None or 0; NONE when full."""
        row = self._free
        if row != NONE:
            self._free = self.link[row]
        elif self._given == len(self.link) and not self._grow():
            return NONE
        else:
            row = self._given
            self._given += 1
        self.used += 1
        return row

    def _grow(self):
        """Makes more rows; False at the limit."""
        part = self.limit if self.limit <= _AT_ONCE else self.limit // 4 + 1
        count = min(part, self.limit - len(self.link))
        for column, code in self._columns:
            if code == "O":
                column.extend([None] * count)
            elif isinstance(column, array):
                column.extend(zeros(code, count))
            else:
                column.grow(count)
        return count > 0

    def drop(self, row):
        """Frees a row; its objects are let go."""
        for column, _ in self._columns:
            column[row] = 0 if isinstance(column, array) else None
        self.link[row] = self._free
        self._free = row
        self.used -= 1
