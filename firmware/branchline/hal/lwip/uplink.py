"""The board's wires: the WAN with an address of DHCP's or a static one, and LANs."""

import network
import tun

from branchline.hal.lwip import links
from branchline.wire.ip import format_address, masked


def _netmask(plen):
    return format_address(masked(b"\xff\xff\xff\xff", plen))


class Uplink:
    """The interface "eth0". start(), then is_ready() until it has an address."""

    name = "eth0"

    def __init__(self):
        self._lan = network.LAN()
        self._known = None

    def start(self, static=None):
        """static: (address, prefix length, gateway, name server) in octets; None: by DHCP."""
        self._lan.active(True)
        if static is None:
            self._lan.ipconfig(dhcp4=True)
        else:
            address, plen, gateway, server = static
            texts = [format_address(each) for each in (address, gateway, server)]
            self._lan.ifconfig((texts[0], _netmask(plen), texts[1], texts[2]))

    def address(self):
        """Text such as "192.0.2.5", or None."""
        text = self._lan.ifconfig()[0]
        return None if text == "0.0.0.0" else text

    def is_ready(self):
        """Whether it has an address; its index is known from then on."""
        text = self.address()
        if text is None:
            return False
        if text != self._known:
            self._known = text
            octets = bytes([int(part) for part in text.split(".")])
            links.add(self.name, tun.index_of(octets))
        return True


def start_lan(name, address, plen):
    """Gives the VLAN of a name such as "eth0.11" an address (octets). Raises OSError with a text,
    and ValueError for another name."""
    wire, _, vlan = name.partition(".")
    if wire != Uplink.name or not vlan.isdigit() or not 0 < int(vlan) < 4095:
        raise ValueError('this board\'s LANs are VLANs of eth0, such as "eth0.11"')
    lan = network.LAN(int(vlan))
    lan.active(True)
    text = format_address(address)
    lan.ifconfig((text, _netmask(plen), "0.0.0.0", network.ipconfig("dns")))
    links.add(name, tun.index_of(address))


def name_servers():
    """The name servers that DHCP or the configuration named, as texts."""
    return [network.ipconfig("dns")]
