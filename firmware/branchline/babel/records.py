"""Rows of fields in parallel columns: some 30 octets a row where an object would take 200."""

from array import array

from micropython import const

NONE = const(-1)
_MAX_NARROW = const(0x7FFF)
# What a column of objects grows by: `append` would double it.
_ONE_MORE = [None]


def row_code(*limits):
    """The array type code for row numbers of tables with these limits."""
    return "h" if max(limits) < _MAX_NARROW else "i"


class Shared:
    """A column of objects (hashable) of which few differ: numbers of two octets, which equal
    objects share; at most `limit` rows."""

    def __init__(self, limit):
        self._numbers = array("H" if limit < 0xFFFF else "I")
        # By number: the object, and by how many rows it is used. None has number 0.
        self._objects = [None]
        self._uses = array("I", (0,))
        self._known = {None: 0}
        self._free = []

    def append(self, value):
        """Makes the field of one more row, None at first."""
        self._numbers.append(0)
        self._uses[0] += 1

    def __getitem__(self, row):
        return self._objects[self._numbers[row]]

    def __setitem__(self, row, value):
        number = self._known.get(value)
        if number is None:
            number = self._take(value)
        before = self._numbers[row]
        self._numbers[row] = number
        self._uses[number] += 1
        self._uses[before] -= 1
        if before and not self._uses[before]:
            del self._known[self._objects[before]]
            self._objects[before] = None
            self._free.append(before)

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
    "S" for objects of which few differ.

    Each column becomes an attribute, indexed by the row's number. The column "link" (a
    row_code) must be among them: it chains the rows that are free, and is the owner's to use in
    the others.
    """

    def __init__(self, limit, fields):
        self.limit = limit
        self.used = 0
        self._free = NONE
        self._columns = []
        for name, code in fields.items():
            column = [] if code == "O" else Shared(limit) if code == "S" else array(code)
            setattr(self, name, column)
            self._columns.append((column, None if code in "OS" else 0))

    def __len__(self):
        """The number of rows ever made: the free ones are among them."""
        return len(self.link)

    def add(self):
        """The number of a fresh row, its fields as the last owner left them; NONE when full."""
        row = self._free
        if row != NONE:
            self._free = self.link[row]
        elif self.used >= self.limit:
            return NONE
        else:
            row = len(self.link)
            for column, empty in self._columns:
                if isinstance(column, list):
                    column.extend(_ONE_MORE)
                else:
                    column.append(empty)
        self.used += 1
        return row

    def drop(self, row):
        """Frees a row; its objects are let go."""
        for column, empty in self._columns:
            column[row] = empty
        self.link[row] = self._free
        self._free = row
        self.used -= 1
