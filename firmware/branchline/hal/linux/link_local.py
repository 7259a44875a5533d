"""The link-local address that the kernel has given a device."""

from binascii import unhexlify

from micropython import const

_SCOPE_LINK = "20"
_TENTATIVE = const(0x40)


def link_local(device):
    """The device's link-local address (16 octets), or None while it has none that may be used; the
    lowest, so that what an administrator gave (fe80::1) goes before what the kernel made up."""
    lowest = None
    with open("/proc/net/if_inet6") as file:
        for line in file:
            address, _, _, scope, flags, name = line.split()
            if name != device or scope != _SCOPE_LINK or int(flags, 16) & _TENTATIVE:
                continue
            if lowest is None or address < lowest:
                lowest = address
    return unhexlify(lowest) if lowest else None
