"""What a slot holds, as its file MANIFEST says it: JSON, written after everything else.

    {"network": "acme", "name": "lyon", "board": "linux", "version": "0.1.0", "confirm_s": 300,
     "files": {"gateway.json": ["<sha256>", octets], ...},   what lies in the slot
     "keys":  {"paris-1f0c.key": ["<sha256>", octets], ...}} what lies beside the slots
"""

import json

FILE = "MANIFEST"

MAX_OCTETS = 16384
_MAX_FILES = 128
_MAX_NAME = 64
_SHA256 = 64  # hexadecimal digits
_WORDS = ("network", "name", "board", "version")
_CONFIRM_S = 300
_MAX_CONFIRM_S = 3600


class ManifestError(Exception):
    """The MANIFEST is none; the text says why."""


class Manifest:
    """data: the MANIFEST's octets. Raises ManifestError."""

    def __init__(self, data):
        if len(data) > MAX_OCTETS:
            raise ManifestError("MANIFEST is longer than 16 KB")
        try:
            value = json.loads(data)
        except (ValueError, UnicodeError, RuntimeError):  # the last: nested without end
            raise ManifestError("MANIFEST is not JSON")
        if type(value) is not dict:
            raise ManifestError("MANIFEST is no JSON object")
        self.data = bytes(data)
        for word in _WORDS:
            if type(value.get(word)) is not str:
                raise ManifestError("MANIFEST: " + word + ": is missing, or no text")
            setattr(self, word, value[word])
        self.confirm_s = value.get("confirm_s", _CONFIRM_S)
        if type(self.confirm_s) is not int or not 1 <= self.confirm_s <= _MAX_CONFIRM_S:
            raise ManifestError("MANIFEST: confirm_s: must be 1 to 3600")
        self.files = _files(value, "files")
        self.keys = _files(value, "keys")
        if "gateway.json" not in self.files:
            raise ManifestError("MANIFEST: files: gateway.json is missing")


def _files(value, key):
    """name -> (SHA-256 in hexadecimal, octets)."""
    files = value.get(key, {})
    if type(files) is not dict or len(files) > _MAX_FILES:
        raise ManifestError("MANIFEST: %s: is no object of at most %d files" % (key, _MAX_FILES))
    found = {}
    for name, entry in files.items():
        where = "MANIFEST: %s: %s: " % (key, name)
        if not _is_plain(name):
            raise ManifestError(where + "is no plain file name")
        if type(entry) is not list or len(entry) != 2 or not _is_entry(entry[0], entry[1]):
            raise ManifestError(where + "needs a SHA-256 and a number of octets")
        found[name] = tuple(entry)
    return found


def _is_plain(name):
    """Whether a name stays within its folder, and is none that we use ourselves."""
    return (
        0 < len(name) <= _MAX_NAME
        and name != FILE
        and name[0] != "."
        and not name.endswith(".new")
        and all(character.isalpha() or character.isdigit() or character in "._-"
                for character in name)
    )


def _is_entry(digest, size):
    return (
        type(digest) is str
        and len(digest) == _SHA256
        and all(character in "0123456789abcdef" for character in digest)
        and type(size) is int
        and size >= 0
    )
