"""The right to make namespaces: root, or root of a user namespace of our own."""

import os
import subprocess
import sys

from host_tests.lab.errors import LabError

_MARK = "BRANCHLINE_LAB_ROOTLESS"
# A tmpfs over /run gives `ip netns` a place of its own; it is gone with its last process.
_ENTER = ["unshare", "--user", "--map-root-user", "--net", "--mount"]
_PREPARE = "mount -t tmpfs tmpfs /run && exec \"$@\""
_SBIN = "/usr/sbin"
_ROOT = "run it as root (for example with sudo)"


def ensure() -> None:
    """Return when namespaces can be made; as a user, start this program again in a user namespace.

    Raises LabError, saying what to do, where the system allows neither.
    """
    if _SBIN not in os.environ.get("PATH", ""):  # users of Debian do not have it
        os.environ["PATH"] = os.environ.get("PATH", os.defpath) + os.pathsep + _SBIN
    if os.geteuid() == 0:
        _check_tun()
        return
    try:
        probe = subprocess.run([*_ENTER, "true"], capture_output=True, text=True)
    except FileNotFoundError:
        raise LabError(f"the lab needs `unshare` (package util-linux), or {_ROOT}") from None
    if probe.returncode:
        raise LabError(
            "the lab needs network namespaces, and this system does not let users make them "
            f"({probe.stderr.strip()}): {_ROOT}"
        )
    _check_tun()
    os.environ[_MARK] = "1"
    sys.stdout.flush()
    sys.stderr.flush()
    os.execvp(_ENTER[0], [*_ENTER, "sh", "-c", _PREPARE, "sh", *sys.orig_argv])


def rootless() -> bool:
    """Whether this process is root of a user namespace that ensure() has made."""
    return _MARK in os.environ


def _check_tun() -> None:
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC))
    except FileNotFoundError:
        raise LabError("/dev/net/tun is missing: load the module with `modprobe tun`") from None
    except OSError as error:
        by_user = os.geteuid() != 0 or rootless()
        advice = _ROOT if by_user else "let this container use the device"
        raise LabError(f"/dev/net/tun cannot be opened ({error.strerror}): {advice}") from None
