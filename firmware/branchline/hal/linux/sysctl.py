"""The kernel's settings for one interface, under /proc/sys/net/{ipv4,ipv6}/conf."""

from branchline.hal.linux.tun import check_name

_RP_FILTER_LOOSE = 2


def _path(version, device, key):
    check_name(device)
    return "/proc/sys/net/ipv%d/conf/%s/%s" % (version, device, key)


def read_setting(version, device, key):
    """The integer of one setting; version 4 or 6. Raises OSError if there is none."""
    with open(_path(version, device, key)) as file:
        return int(file.read())


def write_setting(version, device, key, value):
    """Sets an integer; only for devices that the gateway has made.

    Raises OSError(errno, text) where the kernel refuses, as in a container with /proc read-only.
    """
    path = _path(version, device, key)
    try:
        with open(path, "w") as file:
            file.write(str(value))
    except OSError as error:
        raise OSError(error.args[0], "cannot write " + path) from None


def loosen_rp_filter(device):
    """Lets packets come in by `device` whose way back is another: paths are asymmetric while
    routes move. The kernel takes the larger of this and conf/all, so loose (2), not off (0)."""
    write_setting(4, device, "rp_filter", _RP_FILTER_LOOSE)


def no_link_local(device):
    """Keeps the kernel from giving `device` a random fe80:: address when it comes up: OpenVPN
    servers drop what comes from an address that they did not assign."""
    write_setting(6, device, "addr_gen_mode", 1)


def forwarding_enabled(version):
    """Whether this namespace forwards IPv4 or IPv6 (version 4 or 6) between interfaces.

    The setting is global and its owner's, so the gateway reads it, warns, and never writes it.
    """
    return read_setting(version, "all", "forwarding") != 0
