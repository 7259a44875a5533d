"""Restarts the machine."""

from micropython import const

from branchline.hal.linux.descriptor import LIBC, failure

_EPERM = const(1)
_RB_AUTOBOOT = const(0x01234567)
_MAX_LINK = const(64)
_NAMESPACE = "/proc/%s/ns/net"

_readlink = LIBC.func("l", "readlink", "spL")
_sync = LIBC.func("v", "sync", "")
_restart = LIBC.func("i", "reboot", "i")


def reboot():
    """Writes all files out and restarts the machine at once, without stopping its programs;
    returns only by OSError with a text.

    Refused in a network namespace other than that of process 1, or where that cannot be told: a
    gateway in a container or a lab is not the machine's.
    """
    refusal = _refusal()
    if refusal:
        raise OSError(_EPERM, "restart the machine: " + refusal)
    _sync()
    if _restart(_RB_AUTOBOOT) < 0:
        raise failure("restart the machine")


def _refusal():
    """Why this process must not, or None."""
    ours = _namespace("self")
    machine = _namespace("1")
    if not ours or not machine:
        return "whether this network namespace is the machine's cannot be told (needs root)"
    if ours != machine:
        return "this network namespace is not the machine's"
    return None


def _namespace(process):
    """What names a process's network namespace, such as b"net:[4026531840]"; b"" if unknown."""
    buf = bytearray(_MAX_LINK)
    n = _readlink(_NAMESPACE % process, buf, len(buf))
    return bytes(buf[:n]) if n > 0 else b""
