"""Reads a profile (.ovpn) as the stock client would; can be unloaded after that."""

from micropython import const

from branchline.openvpn import profile_handlers
from branchline.openvpn.directives import directive_names, find_directive, find_reason
from branchline.openvpn.profile import Profile
from branchline.openvpn.profile_checks import check_profile
from branchline.openvpn.tokens import split_words
from branchline.wire.errors import ConfigError
from branchline.wire.nearest import nearest

# The stock client's line buffer holds 256 octets with the newline.
_MAX_LINE = const(254)
_MAX_PROFILE = const(65536)
_MAX_REMOTES = const(64)


def parse_profile(name, data, read_file):
    """The Profile in a file's octets.

    name: the file's name for messages; read_file(name) -> bytes opens the files that the profile
    names (OSError if it cannot). Raises ConfigError for all that is wrong or refused.
    """
    if len(data) > _MAX_PROFILE:
        raise ConfigError(name, "the file is longer than 64 KB", "is it a profile?")
    parser = Parser(name, read_file)
    parser.read(data)
    return check_profile(parser)


class Parser:
    """A profile in the making; what handlers need beyond Profile lies here."""

    def __init__(self, name, read_file):
        self.name = name
        self.read_file = read_file
        self.profile = Profile()
        self.profile.name = name
        # Resolved once all is read: (arguments, block) of remotes, and what the file says of
        # port, rport, proto and bind.
        self.remotes = []
        self.file = {}
        self.compat_mode = None
        self.optional = []  # of ignore-unknown-option
        self.ignored = []
        self.forward_compatible = False
        self.line = 0
        self.block = None  # within <connection>: the dict of what it sets
        self.word = ""

    def fail(self, reason, hint=""):
        """Raises ConfigError for the directive at hand."""
        where = self.name + ":" + str(self.line)
        raise ConfigError(where + ": " + self.word if self.word else where, reason, hint)

    def ignore(self, reason):
        """Notes that the directive at hand has no effect."""
        self.ignored.append((self.word, self.line, reason))

    def set(self, attribute, value):
        """Keeps a value: in the <connection> block at hand, or in the profile."""
        if self.block is None:
            setattr(self.profile, attribute, value)
        else:
            self.block[attribute] = value

    def endpoint(self):
        """The dict of port, rport, proto and bind for the block at hand or the file."""
        return self.file if self.block is None else self.block.setdefault("endpoint", {})

    def refuse(self, letter):
        """Fails with a reason of directives.py."""
        self.fail(*find_reason(letter))

    def contents(self, argument, inline):
        """The octets of an inline block, or of the file that the argument names."""
        if inline is not None:
            return inline
        try:
            return self.read_file(argument)
        except OSError:
            self.fail("cannot read the file '" + argument + "'", "put it beside the profile")

    def read(self, data, line=0):
        """Takes in all directives of some octets, the first of which lies behind line `line`."""
        pos = 3 if data[:3] == b"\xef\xbb\xbf" else 0
        while pos < len(data):
            end = data.find(b"\n", pos)
            end = len(data) if end < 0 else end
            line += 1
            self.line, self.word = line, ""
            if end - pos > _MAX_LINE:
                self.fail("the line is longer than 254 octets", "use a file or an inline block")
            words = self._split(data[pos : end + 1])
            pos = end + 1
            inline = None
            if len(words) == 1 and words[0][:1] == "<" and words[0][-1:] == ">":
                words[0] = words[0][1:-1]
                inline, pos = self._inline(words[0], data, pos)
                line += inline.count(b"\n") + 1
            if words:
                self._directive(words, inline)

    def _split(self, octets):
        try:
            return split_words(octets)
        except ValueError as error:
            self.fail(str(error))

    def _inline(self, name, data, start):
        """(octets of the inline block, position of the line behind it)."""
        self.word = "<" + name[:40] + ">"
        tag = b"</" + name.encode() + b">"
        at = start
        while True:
            at = data.find(tag, at)
            if at < 0:
                self.fail("the block is not closed", "end it with a line </" + name[:40] + ">")
            begin = data.rfind(b"\n", 0, at) + 1
            if begin >= start and not data[begin:at].strip():
                end = data.find(b"\n", at)
                return data[start:begin], len(data) if end < 0 else end + 1
            at += 1

    def _directive(self, words, inline):
        if words[0][:2] == "--":
            words[0] = words[0][2:]
        lenient = False
        if words[:2] == ["setenv", "opt"] and len(words) > 2:
            # As in stock: what follows may be unknown, but if it is known, it counts.
            words = words[2:]
            lenient = True
        self.word = name = words[0]
        found = find_directive(name)
        if found is None:
            return self._unknown(name, lenient)
        verdict, letter, least, most, flags = found
        count = 1 if inline is not None else len(words) - 1
        if verdict != "+":
            if verdict == "-" or lenient:
                return self.ignore(find_reason(letter)[0])
            self.refuse(letter)
        if not least <= count <= most:
            self.fail("takes " + _count(least, most) + ", not " + str(count))
        if inline is not None and "i" not in flags:
            self.fail("cannot be an inline block")
        if self.block is not None and "c" not in flags and name != "remote":
            self.fail("may not stand in a <connection> block", "put it outside")
        try:
            self._keep(letter, words, inline)
        except ValueError as error:
            self.fail(str(error))
        return None

    def _keep(self, letter, words, inline):
        """Keeps a value in the way that the table's letter tells."""
        field = words[0].replace("-", "_")
        if letter in profile_handlers.GROUPS:
            profile_handlers.GROUPS[letter](self, words[0], words[1:], inline)
        elif letter == "t":
            self._tunnel_option(words)
        elif letter == "b":
            self.set(field, self.contents(words[-1], inline))
        elif letter == "f":
            self.set(field, True)
        elif letter == "n":
            self.set(field, profile_handlers.parse_number(words[1]))
        else:
            self.set(field, profile_handlers.choice(field, words[1]))

    def _tunnel_option(self, words):
        if self.block is None:
            self.profile.options.apply(words)
        else:
            # Tried on a copy, so that a mistake is told with its line.
            self.profile.options.copy().apply(words)
            self.block.setdefault("options", []).append(words)

    def _unknown(self, name, lenient):
        if lenient or name in self.optional or self.forward_compatible:
            return self.ignore("unknown, and the profile allows that")
        known = nearest(name, directive_names())
        if len(name) > 40 or not name.replace("-", "").isalpha():
            # It may be a stray line of a key or a password.
            self.word = ""
            self.fail("no directive", "is the line of a block's opening tag missing before it?")
        hint = "did you mean '" + known + "'?" if known else ""
        self.fail("unknown directive", hint or "if it may be left out: ignore-unknown-option")

    def connection(self, text):
        """Takes in the text of a <connection> block."""
        if self.block is not None:
            self.fail("blocks do not nest")
        block_line, count = self.line, len(self.remotes)
        self.block = {}
        self.read(text, block_line)
        self.line, self.word, self.block = block_line, "connection", None
        if len(self.remotes) != count + 1:
            self.fail("needs exactly one 'remote'")

    def remote(self, args):
        """Keeps a remote's words with the block it stands in; resolved once all is known."""
        if len(self.remotes) == _MAX_REMOTES:
            self.fail("more than 64 remotes", "drop some")
        self.remotes.append((args, self.block))


def _count(least, most):
    if most == 0:
        return "no argument"
    if least == most:
        return "one argument" if least == 1 else str(least) + " arguments"
    if most == 15:
        return str(least) + " or more arguments"
    return str(least) + " to " + str(most) + " arguments"
