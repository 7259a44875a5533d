"""TUN and TAP devices: the kernel's packets as one read or write each."""

import struct

from micropython import const

from branchline.hal.linux.descriptor import LIBC, Descriptor, failure
from branchline.hal.linux.libc import errno

_TUNSETIFF = const(0x400454CA)
_IFF_TUN = const(0x0001)
_IFF_TAP = const(0x0002)
_IFF_NO_PI = const(0x1000)
_O_RDWR_NONBLOCK_CLOEXEC = const(0x80802)
_IFREQ = const(40)
_IFNAMSIZ = const(16)
_EBADFD = const(77)

_HINTS = {
    1: "needs root or CAP_NET_ADMIN",
    2: "the kernel's tun module is missing: modprobe tun",
    13: "needs root or CAP_NET_ADMIN",
    16: "another program uses the device of this name",
    19: "the kernel's tun module is missing: modprobe tun",
    22: "a device of this name exists and is of another kind",
}

_open = LIBC.func("i", "open", "si")
_ioctl = LIBC.func("i", "ioctl", "iLp")


class Tun(Descriptor):
    """A TUN (IP packets) or TAP (Ethernet frames) device; the kernel removes it on close.

    `name`: what the kernel called it. Reads and writes raise OSError once somebody deleted it.
    """

    def __init__(self, fd, name):
        super().__init__(fd)
        self.name = name

    def _failed(self):
        super()._failed()
        if self.last_errno == _EBADFD:
            raise OSError(_EBADFD, "the device " + self.name + " was deleted")


def check_name(name):
    """Raises ValueError unless name may be an interface's (or a pattern such as "tun%d")."""
    if not 0 < len(name.encode()) < _IFNAMSIZ or name in (".", ".."):
        raise ValueError("an interface name has 1 to 15 octets")
    for char in name:
        if char in "/:" or ord(char) <= 32:
            raise ValueError("an interface name has no blank, slash or colon")


def _explained(what):
    code = errno()
    error = failure(what, code)
    hint = _HINTS.get(code)
    return OSError(code, error.args[1] + " (" + hint + ")") if hint else error


def open_tun(name, tap=False):
    """Makes a device, down and without addresses, and returns its Tun (non-blocking).

    name may be a pattern such as "tun%d", for which the kernel takes the first free number. A
    write fails (and is counted) while the device is down and for what is no IP packet. Raises
    ValueError for what cannot be a name, and OSError with a text that says what to do.
    """
    check_name(name)
    fd = _open("/dev/net/tun", _O_RDWR_NONBLOCK_CLOEXEC)
    if fd < 0:
        raise _explained("open /dev/net/tun")
    tun = Tun(fd, name)
    request = bytearray(_IFREQ)
    octets = name.encode()
    request[: len(octets)] = octets
    struct.pack_into("@H", request, _IFNAMSIZ, (_IFF_TAP if tap else _IFF_TUN) | _IFF_NO_PI)
    if _ioctl(fd, _TUNSETIFF, request) < 0:
        error = _explained("make the device " + name)
        tun.close()
        raise error
    tun.name = bytes(request[:_IFNAMSIZ]).split(b"\0")[0].decode()
    return tun
