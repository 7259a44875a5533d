"""The link-local address that the kernel has given a device."""

from binascii import unhexlify

from micropython import const

_SCOPE_LINK = "20"
_TENTATIVE = const(0x40)


def link_local(device):
    """The device's link-local address (16 octets), or None while it has none that may be used."""
    with open("/proc/net/if_inet6") as file:
        for line in file:
            address, _, _, scope, flags, name = line.split()
            if name == device and scope == _SCOPE_LINK and not int(flags, 16) & _TENTATIVE:
                return unhexlify(address)
    return None
