"""Child processes: started without fork, heard of through a poller, reaped without waiting."""

import os
import struct

from micropython import const

from branchline.hal.linux.descriptor import LIBC, Descriptor, error_text, failure
from branchline.hal.linux.libc import addressof
from branchline.hal.poller import Poller
from branchline.wire.errors import Unsupported
from branchline.wire.ticks import earliest, ticks_add, ticks_diff

_CLOEXEC = const(1)  # memfd_create
_PIPE_CLOEXEC = const(0x80000)
_F_SETFL = const(4)
_O_NONBLOCK = const(0x800)
_SETPGROUP = const(0x02)
_SETSIGDEF = const(0x04)
_SETSIGMASK = const(0x08)
_SIGKILL = const(9)
_SIGPIPE = const(13)
_SIGTERM = const(15)
_WNOHANG = const(1)
_ETIMEDOUT = const(110)
_PIDFD_OPEN = const(434)  # the same on every architecture
# At least what glibc and musl want for them.
_ATTRIBUTES = const(512)
_ACTIONS = const(256)
_SIGSET = const(128)

_MAX_LINES = const(8)
_MAX_LINE = const(400)
_READ = const(2048)
_LOOK_MS = const(100)  # where the kernel has no pidfd
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_pipe2 = LIBC.func("i", "pipe2", "pi")
_fcntl = LIBC.func("i", "fcntl", "iii")
_kill = LIBC.func("i", "kill", "ii")
_waitpid = LIBC.func("i", "waitpid", "ipi")
_syscall = LIBC.func("l", "syscall", "lll")
_memfd_create = LIBC.func("i", "memfd_create", "sI")
_lseek = LIBC.func("l", "lseek", "ili")
_access = LIBC.func("i", "access", "si")


class Child:
    """A process; `status`: None while it runs, then its exit code, or less the signal's number
    where one ended it; `lines`: the last that it wrote to standard output or error (octets)."""

    def __init__(self, pid, output, on_end):
        self.pid = pid
        self.status = None
        self.lines = []
        self.output = output
        self.watch = None  # the pidfd
        self.on_end = on_end
        self.kill_at = None
        self._rest = b""

    def end(self, now, grace_ms):
        """SIGTERM, and SIGKILL if it still runs after the grace. Returns at once; nobody is told
        of the end."""
        self.on_end = None
        if self.status is None:
            _kill(self.pid, _SIGTERM)
            self.kill_at = ticks_add(now, grace_ms)

    def kill(self):
        """SIGKILL. Nobody is told of the end."""
        self.on_end = None
        self.kill_at = None
        if self.status is None:
            _kill(self.pid, _SIGKILL)

    def keep(self, octets):
        """Keeps the last lines of what it wrote."""
        parts = (self._rest + octets).split(b"\n")
        self._rest = parts.pop()[:_MAX_LINE]
        for line in parts:
            self.lines.append(line[:_MAX_LINE].rstrip())
        del self.lines[:-_MAX_LINES]


class Children:
    """All children of the gateway; one mutation of `system`'s poller each."""

    def __init__(self, poller, ticks):
        self._poller = poller
        self._ticks = ticks
        self._running = []
        self._buffer = memoryview(bytearray(_READ))

    def spawn(self, argv, standard_input, on_end):
        """Starts a program, looked for in PATH and where daemons lie; on_end(child) is called
        once it has ended. standard_input: octets that it can read there, even again by
        /proc/self/fd/0; they are in no file. Raises OSError, ENOENT for a missing program."""
        program = _find(argv[0])
        given = _memory_file(standard_input)
        ends = bytearray(8)
        if _pipe2(ends, _PIPE_CLOEXEC) < 0:
            error = failure("make a pipe")
            given.close()
            raise error
        output, theirs = [Descriptor(fd) for fd in struct.unpack("@ii", ends)]
        _fcntl(output.fileno(), _F_SETFL, _O_NONBLOCK)
        try:
            pid = _spawn(program, argv, given.fileno(), theirs.fileno())
        except OSError:
            output.close()
            raise
        finally:
            given.close()
            theirs.close()
        child = Child(pid, output, on_end)
        self._running.append(child)
        self._poller.register(output, lambda readable, writable: self._read(child))
        fd = _syscall(_PIDFD_OPEN, pid, 0)
        if fd >= 0:
            child.watch = Descriptor(fd)
            self._poller.register(child.watch, lambda readable, writable: self._reap(child))
        return child

    def next_timer(self):
        """The tick at which a child is to be killed or looked at, or None."""
        due = earliest(*[child.kill_at for child in self._running])
        if any([child.watch is None for child in self._running]):
            due = earliest(due, ticks_add(self._ticks(), _LOOK_MS))
        return due

    def handle_timer(self, now):
        """Kills those whose grace is over, and looks for the end of those without a pidfd."""
        for child in list(self._running):
            if child.kill_at is not None and ticks_diff(now, child.kill_at) >= 0:
                child.kill()
            if child.watch is None:
                self._reap(child)

    def settle(self, timeout_ms):
        """Waits until all have ended: for the gateway's own end."""
        until = ticks_add(self._ticks(), timeout_ms)
        while self._running:
            now = self._ticks()
            self.handle_timer(now)
            left = ticks_diff(until, now)
            if left <= 0:
                break
            self._poller.wait(min(left, _LOOK_MS))

    def _read(self, child):
        output = child.output
        while output and (n := output.readinto(self._buffer)) is not None:
            if not n:
                self._close(output)
                child.output = output = None
                break
            child.keep(bytes(self._buffer[:n]))

    def _reap(self, child):
        word = bytearray(4)
        if child not in self._running or _waitpid(child.pid, word, _WNOHANG) == 0:
            return
        self._running.remove(child)
        if child.watch:
            self._close(child.watch)
        self._read(child)  # its last words
        if child.output:
            self._close(child.output)
        status = struct.unpack("@i", word)[0]
        child.status = -(status & 127) if status & 127 else status >> 8 & 255
        if child.on_end:
            child.on_end(child)

    def _close(self, descriptor):
        self._poller.unregister(descriptor)
        descriptor.close()


def run(ticks, argv, standard_input, timeout_ms):
    """Runs a program to its end, at most so long, and nothing else meanwhile; (exit code, its
    last lines as octets). Raises OSError: ENOENT for a missing program, ETIMEDOUT."""
    children = Children(Poller(), ticks)
    child = children.spawn(argv, standard_input, None)
    children.settle(timeout_ms)
    if child.status is None:
        child.kill()
        children.settle(timeout_ms)
        raise OSError(_ETIMEDOUT, argv[0] + ": " + error_text(_ETIMEDOUT))
    return child.status, child.lines


def _find(program):
    """The path of a program: a gateway's PATH need not lead to where daemons lie."""
    folders = [""] if "/" in program else ((os.getenv("PATH") or "") + ":" + _PATH).split(":")
    for folder in folders:
        path = folder + "/" + program if folder else program
        if "/" in path and _access(path, 1) == 0:
            return path
    raise OSError(2, program + ": " + error_text(2))


def _memory_file(octets):
    """A file in memory alone that holds the octets; it goes with its last descriptor."""
    file = Descriptor(_memfd_create("input", _CLOEXEC))
    if file.fileno() < 0:
        raise failure("make a file in memory")
    written = 0
    while written < len(octets):
        rest = octets[written:]
        n = file.write(rest, len(rest))
        if not n:
            file.close()
            raise failure("write to a file in memory")
        written += n
    _lseek(file.fileno(), 0, 0)
    return file


def _strings(texts):
    """(array of pointers that ends with a null, what must live as long as it)."""
    kept = [text.encode() + b"\0" for text in texts]
    array = bytearray()
    for octets in kept:
        array.extend(struct.pack("P", addressof(octets)))
    array.extend(struct.pack("P", 0))
    return array, kept


def _signals(*numbers):
    mask = bytearray(_SIGSET)
    LIBC.func("i", "sigemptyset", "p")(mask)
    for number in numbers:
        LIBC.func("i", "sigaddset", "pi")(mask, number)
    return mask


def _spawn(program, argv, standard_input, output):
    """posix_spawn; the process's id. It inherits nothing but the three descriptors, no blocked
    signal, and its own process group: a Ctrl-C is for the gateway, which then ends it."""
    call = LIBC.func
    attributes = bytearray(_ATTRIBUTES)
    actions = bytearray(_ACTIONS)
    call("i", "posix_spawnattr_init", "p")(attributes)
    flags = _SETPGROUP | _SETSIGDEF | _SETSIGMASK
    call("i", "posix_spawnattr_setflags", "pi")(attributes, flags)
    call("i", "posix_spawnattr_setpgroup", "pi")(attributes, 0)
    call("i", "posix_spawnattr_setsigmask", "pp")(attributes, _signals())
    call("i", "posix_spawnattr_setsigdefault", "pp")(attributes, _signals(_SIGPIPE))
    call("i", "posix_spawn_file_actions_init", "p")(actions)
    duplicate = call("i", "posix_spawn_file_actions_adddup2", "pii")
    for fd, number in ((standard_input, 0), (output, 1), (output, 2)):
        duplicate(actions, fd, number)
    try:
        # Whatever the interpreter has open without close-on-exec.
        call("i", "posix_spawn_file_actions_addclosefrom_np", "pi")(actions, 3)
    except Unsupported:
        pass
    arguments, kept = _strings(argv)
    environment, kept_too = _strings(["PATH=" + (os.getenv("PATH") or _PATH)])
    word = bytearray(4)
    code = call("i", "posix_spawn", "pspppp")(
        word, program, actions, attributes, arguments, environment
    )
    del kept, kept_too
    call("i", "posix_spawn_file_actions_destroy", "p")(actions)
    call("i", "posix_spawnattr_destroy", "p")(attributes)
    if code:
        raise failure("start " + program, code)
    return struct.unpack("@i", word)[0]
