"""A system that is faked, for the engine `openvpn`: its process says what the test has it say."""

from test_pump import Poller


class Stream:
    """The gateway's end of the connection."""

    def __init__(self):
        self.waiting = b""
        self.written = b""
        self.is_at_end = False
        self.open = True

    def readinto(self, view):
        n = min(len(view), len(self.waiting))
        if not n and self.is_at_end:
            raise OSError(104, "the peer is gone")
        view[:n] = self.waiting[:n]
        self.waiting = self.waiting[n:]
        return n or None

    def write(self, view, n):
        if self.is_at_end:
            raise OSError(32, "the peer is gone")
        self.written += bytes(view[:n])
        return n

    def close(self):
        assert self.open
        self.open = False


class Listener:
    def __init__(self, stream):
        self._stream = stream
        self.open = True

    def accept(self):
        return self._stream

    def close(self):
        assert self.open
        self.open = False


class Child:
    def __init__(self, argv, text, on_end):
        self.argv = argv
        self.text = text
        self.pid = 77
        self.status = None
        self.lines = []
        self.on_end = on_end
        self.told = []  # "end", "kill"

    def end(self, now, grace_ms):
        self.on_end = None
        self.told.append("end")

    def kill(self):
        self.on_end = None
        self.told.append("kill")
        self.status = -9


class System:
    """What app hands to the engine."""

    def __init__(self):
        self.poller = Poller()
        self.now = 0
        self.children = []
        self.listeners = []
        self.streams = []
        self.strays = []
        self.ended = []
        self.loosened = []
        self.error = None  # what spawn raises

    def ticks(self):
        return self.now

    def random(self, n):
        return bytes(range(n))

    def listen_unix(self, path):
        self.streams.append(Stream())
        self.listeners.append(Listener(self.streams[-1]))
        return self.listeners[-1]

    def spawn(self, argv, text, on_end):
        if self.error:
            raise self.error
        self.children.append(Child(argv, text, on_end))
        return self.children[-1]

    def find_strays(self, option, value):
        assert option == "--management"
        return list(self.strays)

    def end_stray(self, pid, force):
        self.ended.append((pid, force))

    def loosen_rp_filter(self, device):
        self.loosened.append(device)

    def settled(self):
        """Whether all that was opened is closed, and every child told to go."""
        ends = self.listeners + [stream for stream in self.streams if stream.written]
        gone = all([child.told or child.status is not None for child in self.children])
        return gone and not self.poller.callbacks and not any([end.open for end in ends])
