"""OpenVPN's management interface: its lines and commands, without I/O.

One side of one conversation (OpenVPN's doc/management-notes.txt): commands are answered in
order, by one line (SUCCESS:, ERROR:) or by lines up to END; lines that begin with ">" come
unasked. What makes no sense is counted; only what leaves no hope makes the conversation `broken`.
"""

from micropython import const

from branchline.wire.counters import Counters
from branchline.wire.errors import StateError
from branchline.wire.ticks import ticks_add, ticks_diff

# Events: (kind, word, detail).
NOTICE = const(1)  # word: what stands between ">" and ":"; detail: the text behind
REPLY = const(2)  # word: the command; detail: (whether it succeeded, list of its lines)

_MAX_LINE = const(8192)  # octets; the longest that OpenVPN itself writes has about 5000
_MAX_LINES = const(4096)  # of one reply
_MAX_ASKED = const(16)  # commands under way
_ANSWER_MS = const(5000)
_PROMPT = "ENTER PASSWORD:"  # without an end of the line
_TAB = const(9)  # it parts the fields of `status 3`
_NOTICES = (
    "BYTECOUNT",
    "BYTECOUNT_CLI",
    "CLIENT",
    "ECHO",
    "FATAL",
    "HOLD",
    "INFO",
    "INFOMSG",
    "LOG",
    "NEED-OK",
    "NEED-STR",
    "PASSWORD",
    "REMOTE",
    "STATE",
    "UPDOWN",
)


def text_of(octets):
    """Printable ASCII, and tabs, of what another program wrote; all else becomes "?"."""
    return "".join([chr(o) if 32 <= o < 127 or o == _TAB else "?" for o in octets])


class Management:
    """The side that gives commands.

    `broken`: None, or why the conversation is of no use any more. `counters`: "unknown" notices
    of a kind that is not known, "unexpected" lines that answer nothing, "overlong" lines beyond
    what a reply may have.
    """

    def __init__(self):
        self.broken = None
        self.counters = Counters(("unknown", "unexpected", "overlong"))
        self._rest = b""
        self._out = b""
        # of (command, whether END closes its reply or who takes its lines, due)
        self._asked = []
        self._lines = []
        self._events = []

    def command(self, text, now, lines=False):
        """Gives a command; lines: it is answered by several, up to END. A function in its place
        is given each line as it comes, and the reply has none."""
        if "\n" in text or "\r" in text or len(self._asked) == _MAX_ASKED:
            raise StateError("no command: a line break in it, or too many under way")
        self._asked.append((text, lines, ticks_add(now, _ANSWER_MS)))
        self._out += text.encode() + b"\n"

    def password(self, octets, now):
        """Answers the prompt for a password, before the first command; the reply's command is
        "password"."""
        if self._asked or b"\n" in octets or b"\r" in octets:
            raise StateError("no password: a line break in it, or commands are under way")
        self._asked.append(("password", False, ticks_add(now, _ANSWER_MS)))
        self._out += octets + b"\n"

    def has_room(self):
        """Whether one more command may be given."""
        return len(self._asked) < _MAX_ASKED

    def is_quiet(self):
        """Whether every command has been answered."""
        return not self._asked

    def receive(self, octets):
        """Takes octets that the peer has sent, a few thousand at most."""
        if self.broken:
            return
        parts = (self._rest + octets).split(b"\n")
        self._rest = parts.pop()
        for line in parts:
            if len(line) > _MAX_LINE:
                break
            self._take(text_of(line.rstrip(b"\r")))
        else:
            if len(self._rest) <= _MAX_LINE:
                return
        self.broken = "a line of more than %d octets" % _MAX_LINE
        self._rest = b""

    def next_octets(self):
        """What is to be sent, b"" for nothing; sent() says how much of it was taken."""
        return self._out

    def sent(self, n):
        """n octets of next_octets() are under way."""
        self._out = self._out[n:]

    def next_event(self):
        """The next (kind, word, detail), or None."""
        return self._events.pop(0) if self._events else None

    def next_timer(self):
        """The tick at which the oldest command's answer is overdue, or None."""
        return self._asked[0][2] if self._asked and not self.broken else None

    def handle_timer(self, now):
        """Without an answer in 5 s the peer hangs."""
        due = self.next_timer()
        if due is not None and ticks_diff(now, due) >= 0:
            command = self._asked[0][0].split(" ")[0]
            self.broken = "no answer to %s in %d s" % (command, _ANSWER_MS // 1000)

    def _take(self, line):
        if line[:1] == ">":
            word, _, text = line[1:].partition(":")
            if word in _NOTICES:
                self._events.append((NOTICE, word, text))
            else:
                self.counters.bump("unknown")
            return
        if line.startswith(_PROMPT):
            line = line[len(_PROMPT) :]
            if not line:
                return
        command, many, _ = self._asked[0] if self._asked else (None, False, None)
        failed = line.startswith("ERROR:")
        if command is None:
            self.counters.bump("unexpected")
        elif failed or (line.startswith("SUCCESS:") and not many):
            self._answered(command, not failed, [line.partition(":")[2].strip()])
        elif many and line == "END":
            self._answered(command, True, self._lines)
        elif callable(many):
            many(line)
        elif many and len(self._lines) < _MAX_LINES:
            self._lines.append(line)
        else:
            self.counters.bump("overlong" if many else "unexpected")

    def _answered(self, command, succeeded, lines):
        self._asked.pop(0)
        self._lines = []
        self._events.append((REPLY, command, (succeeded, lines)))
