"""The machine's hardware watchdog (Linux: /dev/watchdog): resets it unless fed in time."""

import struct

from micropython import const

from branchline.hal.linux.descriptor import LIBC, Descriptor, error_text, failure
from branchline.hal.linux.libc import errno

_WRONLY_CLOEXEC = const(0x80001)
_WDIOC_SETTIMEOUT = const(0xC0045706)
_WDIOC_GETTIMEOUT = const(0x80045707)

_HINTS = {
    2: "the machine has none, or its driver is not loaded",
    13: "needs root",
    16: "another program feeds it, such as systemd or watchdogd",
}

_open = LIBC.func("i", "open", "si")
_ioctl = LIBC.func("i", "ioctl", "iLp")


class HardwareWatchdog(Descriptor):
    """Opening the device starts it: from then on it resets the machine when nothing feeds it for
    `timeout_s`, which is what the driver took (None where it does not say). `note` says what did
    not go as asked, or "".

    Raises OSError with a text that says what to do. `path` has no default, so that nothing takes
    the machine's own by mistake.
    """

    def __init__(self, path, timeout_s):
        fd = _open(path, _WRONLY_CLOEXEC)
        if fd < 0:
            raise _explained(path)
        super().__init__(fd)
        self.note = ""
        self.timeout_s = self._set_timeout(timeout_s)

    def _set_timeout(self, timeout_s):
        value = bytearray(struct.pack("@i", timeout_s))
        if _ioctl(self._fd, _WDIOC_SETTIMEOUT, value) < 0:
            self.note = "the driver keeps its timeout: " + error_text(errno())
            # Many can tell what they cannot set.
            if _ioctl(self._fd, _WDIOC_GETTIMEOUT, value) < 0:
                return None
        taken = struct.unpack("@i", value)[0]
        if taken != timeout_s:
            self.note = self.note or "the driver took %d s instead of %d" % (taken, timeout_s)
        return taken

    def feed(self):
        """Puts the reset off by `timeout_s`; returns whether the driver took it."""
        return self.write(b"\0", 1) == 1

    def close(self):
        """Stops the watchdog, so that a clean end resets nothing, unless its driver is set to
        `nowayout`. A process that ends without this leaves it running: the machine resets."""
        if self._fd >= 0:
            self.write(b"V", 1)
        super().close()


def _explained(path):
    error = failure("open the hardware watchdog " + path)
    hint = _HINTS.get(error.args[0])
    return OSError(error.args[0], error.args[1] + " (" + hint + ")") if hint else error
