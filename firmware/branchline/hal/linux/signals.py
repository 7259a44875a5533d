"""SIGHUP, SIGINT and SIGTERM as a descriptor that a poller waits on (signalfd)."""

from micropython import const

from branchline.hal.linux.descriptor import LIBC, Descriptor, failure

NAMES = {1: "SIGHUP", 2: "SIGINT", 15: "SIGTERM"}

SIGHUP = 1
_SIGPIPE = const(13)
_SIG_IGN = const(1)
_SIG_BLOCK = const(0)
_SIG_UNBLOCK = const(1)
_SFD_NONBLOCK_CLOEXEC = const(0x80800)
_SIGSET = const(128)
_SIGINFO = const(128)

_sigemptyset = LIBC.func("i", "sigemptyset", "p")
_sigaddset = LIBC.func("i", "sigaddset", "pi")
_sigprocmask = LIBC.func("i", "sigprocmask", "ipp")
_signalfd = LIBC.func("i", "signalfd", "ipi")
_signal = LIBC.func("P", "signal", "iP")


def _is_ignored(number):
    """There is no asking without setting."""
    before = _signal(number, _SIG_IGN)
    if before != _SIG_IGN:
        _signal(number, before)
    return before == _SIG_IGN


class Signals(Descriptor):
    """Blocks the signals of NAMES and reports them by `read`; until `close` they interrupt
    nothing, so no KeyboardInterrupt can strike between two lines of a clean stop.

    A SIGHUP that is ignored, as nohup has it, stays ignored. So does SIGPIPE from now on: that
    nobody reads the log any more must not end the process. The mask is inherited: whoever starts
    a child process unblocks them there.
    """

    def __init__(self):
        _signal(_SIGPIPE, _SIG_IGN)
        self._mask = bytearray(_SIGSET)
        self._info = bytearray(_SIGINFO)
        _sigemptyset(self._mask)
        for number in NAMES:
            # Blocked, it would arrive in spite of being ignored.
            if number != SIGHUP or not _is_ignored(number):
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
        """Gives the signals their usual effect again; those that are pending are dropped."""
        while self.read():
            pass
        super().close()
        _sigprocmask(_SIG_UNBLOCK, self._mask, None)
