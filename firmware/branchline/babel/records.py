"""Rows of fields in parallel columns: some 40 octets a row where an object would take 200."""

from array import array

from micropython import const

NONE = const(-1)


class Rows:
    """At most `limit` rows; fields: a dict of column name to array type code, "O" for any object.

    Each column becomes an attribute, indexed by the row's number. The column "link" ("i") must
    be among them: it chains the rows that are free, and is the owner's to use in the others.
    """

    def __init__(self, limit, fields):
        self.limit = limit
        self.used = 0
        self._free = NONE
        self._columns = []
        for name, code in fields.items():
            column = [] if code == "O" else array(code)
            setattr(self, name, column)
            self._columns.append((column, None if code == "O" else 0))

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
