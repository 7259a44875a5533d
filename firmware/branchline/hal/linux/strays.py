"""Processes of an earlier run that nobody watches over any more, found by their arguments."""

import os

from micropython import const

from branchline.hal.linux.descriptor import LIBC

_SIGKILL = const(9)
_SIGTERM = const(15)
_SIGCONT = const(18)
_MAX_ARGUMENTS = const(4096)

_kill = LIBC.func("i", "kill", "ii")


def find_strays(option, value):
    """The ids of all processes that have `option value` among their arguments."""
    wanted = ("\0" + option + "\0" + value + "\0").encode()
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/" + name + "/cmdline", "rb") as file:
                    arguments = file.read(_MAX_ARGUMENTS)
            except OSError:  # it has ended meanwhile
                continue
            if wanted in arguments:
                found.append(int(name))
    return found


def end_stray(pid, force):
    """Asks a process to end, be it stopped, or (force) has the kernel end it."""
    if force:
        _kill(pid, _SIGKILL)
    else:
        _kill(pid, _SIGTERM)
        _kill(pid, _SIGCONT)
