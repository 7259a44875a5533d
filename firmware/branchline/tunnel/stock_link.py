"""What a stock OpenVPN process says of its device (UPDOWN's environment), as a Link.

OpenVPN manual, "Environmental Variables".
"""

from branchline.tunnel.engine import Link
from branchline.wire.ip import netmask_length, parse_ipv4, parse_ipv6

_WANTED = (
    "dev",
    "tun_mtu",
    "ifconfig_local",
    "ifconfig_netmask",
    "ifconfig_remote",
    "ifconfig_ipv6_local",
    "ifconfig_ipv6_netbits",
    "ifconfig_ipv6_remote",
    "route_vpn_gateway",
)
_MTU = 1500


class DeviceNews:
    """Collects `name=value` lines; a value that makes no sense is as good as none."""

    def __init__(self):
        self._values = {}

    def take(self, line):
        """Takes one line of the environment."""
        name, _, value = line.partition("=")
        if name in _WANTED:
            self._values[name] = value

    @property
    def device(self):
        """The device's name, "" while it is not known."""
        return self._values.get("dev", "")

    def link(self, server):
        """The Link; server: the octets of the server's own address."""
        addresses = []
        local = self._parsed("ifconfig_local", parse_ipv4)
        if local:
            plen = self._parsed("ifconfig_netmask", _mask_length)
            peer = self._parsed("ifconfig_remote", parse_ipv4) if plen is None else None
            addresses.append((local, 32 if plen is None else plen, peer))
        local_ipv6 = self._parsed("ifconfig_ipv6_local", parse_ipv6)
        if local_ipv6:
            bits = self._number("ifconfig_ipv6_netbits", 64)
            addresses.append((local_ipv6, min(bits, 128), None))
        gateway = self._parsed("route_vpn_gateway", parse_ipv4)
        return Link(
            self.device,
            addresses,
            self._number("tun_mtu", _MTU),
            gateway or self._parsed("ifconfig_remote", parse_ipv4),
            self._parsed("ifconfig_ipv6_remote", parse_ipv6),
            server,
        )

    def _parsed(self, name, parse):
        try:
            return parse(self._values[name])
        except (KeyError, ValueError):
            return None

    def _number(self, name, otherwise):
        value = self._values.get(name, "")
        return int(value) if value.isdigit() and len(value) < 6 else otherwise


def _mask_length(text):
    return netmask_length(parse_ipv4(text))
