"""A strict JSON reader (RFC 8259) that says on which line a mistake is.

MicroPython's own accepts texts without commas and keys that come twice, and names no position.
"""

import json

from micropython import const

_MAX_DEPTH = const(8)
_SURROGATES = ("d8", "d9", "da", "db", "dc", "dd", "de", "df")
_SPACE = " \t\r\n"
_LITERALS = (("true", True), ("false", False), ("null", None))


class JsonError(ValueError):
    """The text is not what it should be: `line` from 1, and args[0] in words."""

    def __init__(self, line, reason):
        super().__init__(reason)
        self.line = line


def parse_json(text):
    """The value of a JSON text (str); numbers must be whole. Raises JsonError."""
    parser = _Parser(text)
    value = parser.value(0)
    if parser.peek():
        parser.fail("something follows the end")
    return value


class _Parser:
    def __init__(self, text):
        self._text = text
        self._pos = 0

    def fail(self, reason):
        raise JsonError(self._text[: self._pos].count("\n") + 1, reason)

    def peek(self):
        """The next character that is not white space, or "" at the end."""
        text = self._text
        while self._pos < len(text) and text[self._pos] in _SPACE:
            self._pos += 1
        return text[self._pos : self._pos + 1]

    def _expect(self, char):
        if self.peek() != char:
            self.fail("'" + char + "' is missing")
        self._pos += 1

    def value(self, depth):
        if depth > _MAX_DEPTH:
            self.fail("nested too deeply")
        char = self.peek()
        if char == "{":
            return self._object(depth)
        if char == "[":
            return self._array(depth)
        if char == '"':
            return self._string()
        for word, value in _LITERALS:
            if self._text.startswith(word, self._pos):
                self._pos += len(word)
                return value
        return self._number()

    def _object(self, depth):
        members = {}
        self._pos += 1
        if self.peek() == "}":
            self._pos += 1
            return members
        while True:
            if self.peek() != '"':
                self.fail("a key in double quotes is missing")
            key = self._string()
            if key in members:
                self.fail("the key '" + key + "' is there twice")
            self._expect(":")
            members[key] = self.value(depth + 1)
            if self.peek() != ",":
                self._expect("}")
                return members
            self._pos += 1

    def _array(self, depth):
        items = []
        self._pos += 1
        if self.peek() == "]":
            self._pos += 1
            return items
        while True:
            items.append(self.value(depth + 1))
            if self.peek() != ",":
                self._expect("]")
                return items
            self._pos += 1

    def _string(self):
        text = self._text
        start = end = self._pos
        while True:
            end += 1
            char = text[end : end + 1]
            if char == "\\":
                end += 1
                self._check_escape(text[end : end + 5])
            elif char == '"':
                break
            elif char < " ":
                self.fail("a string is not closed on its line")
        self._pos = end + 1
        return json.loads(text[start : end + 1])

    def _check_escape(self, text):
        if text[:1] == "u":
            # Halves of surrogate pairs are not joined by MicroPython.
            good = len(text) == 5 and text[1:3].lower() not in _SURROGATES
            for char in text[1:]:
                good = good and char in "0123456789abcdefABCDEF"
        else:
            good = text[:1] and text[:1] in '"\\/bfnrt'
        if not good:
            self.fail("a string holds a bad escape")

    def _number(self):
        text = self._text
        end = self._pos
        while end < len(text) and text[end] in "-+.0123456789eE":
            end += 1
        word = text[self._pos : end]
        digits = word[1:] if word[:1] == "-" else word
        if not digits:
            self.fail("a value is missing")
        if not digits.isdigit() or (digits[0] == "0" and len(digits) > 1) or len(digits) > 15:
            self.fail("not a whole number")
        self._pos = end
        return int(word)
