"""The hardware watchdogs, on files in place of the device, and on a stand-in for machine.WDT."""

import os

from branchline.hal.linux.descriptor import LIBC
from branchline.hal.linux.hardware_watchdog import HardwareWatchdog
from branchline.hal.machine_watchdog import MachineWatchdog
from support import raises

_PATH = "/tmp/branchline-watchdog-" + str(id(object()))


def test_a_file_in_place_of_the_device():
    with open(_PATH, "wb"):
        pass
    try:
        dog = HardwareWatchdog(_PATH, 20)
        assert dog.timeout_s is None
        # ENOTTY
        assert dog.note == "the driver keeps its timeout: Inappropriate ioctl for device"
        assert LIBC.func("i", "fcntl", "iii")(dog.fileno(), 1, 0) == 1  # FD_CLOEXEC
        assert dog.feed() and dog.feed()
        dog.close()
        dog.close()
        assert dog.fileno() == -1 and not dog.feed()
        with open(_PATH, "rb") as file:
            assert file.read() == b"\0\0V"
    finally:
        os.remove(_PATH)


def test_a_pipe_whose_reader_is_gone():
    # A feed that fails is told, and raises nothing.
    LIBC.func("P", "signal", "iP")(13, 1)
    assert LIBC.func("i", "mkfifo", "sI")(_PATH, 0o600) == 0
    try:
        reader = LIBC.func("i", "open", "si")(_PATH, 0x800)  # O_NONBLOCK
        dog = HardwareWatchdog(_PATH, 20)
        octets = bytearray(4)
        assert dog.feed()
        assert LIBC.func("l", "read", "ipL")(reader, octets, 4) == 1
        LIBC.func("i", "close", "i")(reader)
        assert not dog.feed() and dog.last_errno == 32
        dog.close()
    finally:
        os.remove(_PATH)


def test_a_device_that_is_not_there():
    error = raises(OSError, HardwareWatchdog, _PATH, 20)
    assert error.args[0] == 2
    assert _PATH in error.args[1] and "the machine has none" in error.args[1]


class _Wdt:
    """machine.WDT of a chip whose counter ends at 8.3 s."""

    def __init__(self, timeout=5000):
        if timeout > 8388:
            raise ValueError("timeout exceeds 8388")
        self.timeout = timeout
        self.fed = 0
        _Wdt.last = self

    def feed(self):
        self.fed += 1


def test_a_board():
    dog = MachineWatchdog(_Wdt, 8)
    assert dog.timeout_s == 8 and dog.note == "" and _Wdt.last.timeout == 8000
    assert dog.feed() and dog.feed()
    dog.close()
    assert _Wdt.last.fed == 3
    error = raises(OSError, MachineWatchdog, _Wdt, 9)
    assert error.args == (22, "start the hardware watchdog: timeout exceeds 8388")
