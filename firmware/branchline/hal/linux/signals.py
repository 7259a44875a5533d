"""SIGINT and SIGTERM as a descriptor that a poller waits on (signalfd)."""

from micropython import const

from branchline.hal.linux.descriptor import LIBC, Descriptor, failure

SIGINT = const(2)
SIGTERM = const(15)

_SIG_BLOCK = const(0)
_SIG_UNBLOCK = const(1)
_SFD_NONBLOCK_CLOEXEC = const(0x80800)
_SIGSET = const(128)
_SIGINFO = const(128)

_sigemptyset = LIBC.func("i", "sigemptyset", "p")
_sigaddset = LIBC.func("i", "sigaddset", "pi")
_sigprocmask = LIBC.func("i", "sigprocmask", "ipp")
_signalfd = LIBC.func("i", "signalfd", "ipi")


class Signals(Descriptor):
    """Blocks SIGINT and SIGTERM and reports them by `read`; until `close` they interrupt nothing,
    so no KeyboardInterrupt can strike between two lines of a clean stop.

    The mask is inherited: whoever starts a child process unblocks them there.
    """

    def __init__(self, numbers=(SIGINT, SIGTERM)):
        self._mask = bytearray(_SIGSET)
        self._info = bytearray(_SIGINFO)
        _sigemptyset(self._mask)
        for number in numbers:
            _sigaddset(self._mask, number)
        if _sigprocmask(_SIG_BLOCK, self._mask, None) < 0:
            raise failure("block signals")
        super().__init__(_signalfd(-1, self._mask, _SFD_NONBLOCK_CLOEXEC))
        if self._fd < 0:
            raise failure("open a signal descriptor")

    def read(self):
        """The number of the signal that came (two of a kind may be one), or None."""
        # signalfd_siginfo starts with the number, 32 bits; all numbers fit its low octet.
        return (self._info[0] or self._info[3]) if self.readinto(self._info) else None

    def close(self):
        """Gives the signals their usual effect again, at once to any that is pending."""
        super().close()
        _sigprocmask(_SIG_UNBLOCK, self._mask, None)
