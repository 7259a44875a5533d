"""File descriptors that carry packets, read and written through libc without allocation.

MicroPython's own `readinto` reads until the buffer is full, so it joins datagrams; `recv` and
`read` allocate. Hence the system calls themselves. Numbers of flags and of errors in this
package are Linux's common ones (x86, ARM, RISC-V; not MIPS or SPARC).
"""

from micropython import const

from branchline.hal.linux import libc

_EINTR = const(4)
_EAGAIN = const(11)

LIBC = libc.Library(None)
_read = LIBC.func("l", "read", "ipL")
_write = LIBC.func("l", "write", "ipL")
_close = LIBC.func("i", "close", "i")
_errno = libc.errno
_strerror = LIBC.func("s", "strerror", "i")


def error_text(code):
    """What libc calls an error number, such as "Permission denied"."""
    text = _strerror(code)
    return text if isinstance(text, str) else text.decode()


def failure(what, code=None):
    """An OSError of `code` (the last system call's where None) that says what was attempted."""
    if code is None:
        code = _errno()
    return OSError(code, what + ": " + error_text(code))


def would_block(code):
    """Whether an error number only means "not now"."""
    return code in (_EAGAIN, _EINTR)


class Descriptor:
    """Owns one file descriptor; each read or write is one packet.

    What goes wrong with a packet loses that packet and no more: it is counted in `errors`, and
    `last_errno` keeps the latest error number (a closed UDP port ECONNREFUSED, an interface that
    is down EIO, a full queue ENOBUFS). `prefix` is the number of octets that `write` wants free
    before the packet, here none.
    """

    prefix = 0

    def __init__(self, fd):
        self._fd = fd
        self.errors = 0
        self.last_errno = 0

    def fileno(self):
        """The descriptor, for a poller; -1 once closed."""
        return self._fd

    def readinto(self, view):
        """Reads one packet into view; returns its length, or None when there is none."""
        n = _read(self._fd, view, len(view))
        return n if n >= 0 else self._failed()

    def write(self, view, n):
        """Writes view[:n] as one packet; returns n, or None when it was not taken."""
        n = _write(self._fd, view, n)
        return n if n >= 0 else self._failed()

    def _failed(self):
        code = _errno()
        if not would_block(code):
            self.errors += 1
            self.last_errno = code

    def close(self):
        """Gives the descriptor back; closing again does nothing."""
        if self._fd >= 0:
            _close(self._fd)
            self._fd = -1
