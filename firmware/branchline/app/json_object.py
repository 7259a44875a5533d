"""Typed reading of gateway.json's objects; every mistake is a ConfigError that names the key."""

from micropython import const

from branchline.wire.errors import ConfigError
from branchline.wire.ip import parse_prefix
from branchline.wire.nearest import nearest

CONFIG_FILE = "gateway.json"
REQUIRED = object()

MAX_DEVICE = const(15)  # IFNAMSIZ - 1
_MAX_NAME = const(64)


def fail(where, reason, hint=""):
    """Raises ConfigError for the key at `where`."""
    raise ConfigError(CONFIG_FILE + ": " + where if where else CONFIG_FILE, reason, hint)


class JsonObject:
    """A JSON object and where it stands; each getter checks the type."""

    def __init__(self, value, where):
        self.where = where
        self._value = value
        if not isinstance(value, dict):
            fail(where, "must be an object { ... }")

    def allow(self, *known):
        """Any other key is a mistake."""
        for key in self._value:
            if key not in known:
                near = nearest(key, known)
                fail(
                    self.at(key[:_MAX_NAME]),
                    "unknown key",
                    "did you mean '" + near + "'?" if near else "known are: " + ", ".join(known),
                )

    def at(self, key):
        """Where a key of this object stands."""
        return self.where + "." + key if self.where else key

    def names(self):
        """All keys, for an object whose keys are names."""
        return list(self._value)

    def has(self, key):
        return key in self._value

    def is_null(self, key):
        """Whether a key is there and its value is null."""
        return key in self._value and self._value[key] is None

    def member(self, key):
        """The object that is a key's value."""
        return JsonObject(self._value[key], self.at(key))

    def _get(self, key, default, kind, what):
        if key not in self._value:
            if default is REQUIRED:
                fail(self.at(key), "is missing", "add it")
            return default
        value = self._value[key]
        # A bool is an int to Python, but not to JSON.
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            fail(self.at(key), "must be " + what)
        return value

    def text(self, key, default=REQUIRED, longest=_MAX_NAME):
        value = self._get(key, default, str, "a string")
        if value is not default and not 0 < len(value) <= longest:
            fail(self.at(key), "must have 1 to " + str(longest) + " characters")
        return value

    def word(self, key, default=REQUIRED, longest=_MAX_NAME):
        """A text that can stand in a log line or name a device: printable, no spaces or "/"."""
        value = self.text(key, default, longest)
        if value is not default:
            for char in value:
                if not "!" <= char <= "~" or char == "/":
                    fail(self.at(key), "may hold neither spaces nor '/' nor accents")
        return value

    def choice(self, key, choices, default=REQUIRED):
        value = self.text(key, default)
        if value not in choices:
            fail(self.at(key), "unknown value", "use one of: " + ", ".join(choices))
        return value

    def number(self, key, default, least, most):
        value = self._get(key, default, int, "a whole number")
        if not least <= value <= most:
            fail(self.at(key), "must be from " + str(least) + " to " + str(most))
        return value

    def flag(self, key, default):
        return self._get(key, default, bool, "true or false")

    def items(self, key, most, default=()):
        """Pairs of (where, value) of an array."""
        values = self._get(key, default, list, "an array [ ... ]")
        if len(values) > most:
            fail(self.at(key), "has more than " + str(most) + " entries")
        return [(self.at(key) + "[" + str(i) + "]", values[i]) for i in range(len(values))]


def parsed(parse, text, where):
    """parse(text), its ValueError told with the place."""
    try:
        return parse(text)
    except ValueError as error:
        fail(where, str(error))


def prefix(text, where):
    """(octets, length) of a prefix in text form."""
    if not isinstance(text, str):
        fail(where, "must be a string such as \"10.0.0.0/8\"")
    return parsed(parse_prefix, text, where)
