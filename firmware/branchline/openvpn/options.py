"""What shapes a tunnel: the options that a profile sets and that a server may push over them.

TunnelOptions holds the local ones; `copy()` makes the base onto which push.py applies a server's.
"""

from binascii import a2b_base64

from micropython import const

from branchline.wire.ip import masked, netmask_length, parse_ipv4, parse_ipv6

# Of routes, of routes-ipv6, of dhcp-options and of dns each.
_MAX_ITEMS = const(128)
_MAX_NUMBER = const(0x7FFFFFFF)
_NO_PEER_ID = const(0xFFFFFF)

# Options whose attribute has another name.
_ATTRIBUTES = {
    "comp-lzo": "compress",
    "dhcp-option": "dhcp_options",
    "redirect-private": "redirect_gateway",
    "route": "routes",
    "route-ipv6": "routes_ipv6",
}
_FRAMINGS = {
    "comp-lzo no": "lzo-stub",
    "compress migrate": "",
    "compress stub": "stub",
    "compress stub-v2": "stub-v2",
}
# name, then the least and the most arguments (hexadecimal), and "r" if route-nopull rejects it
# from a server.
_ACCEPTED = (
    " auth-token/11 auth-token-user/11 cipher/11 comp-lzo/01 compress/01 dhcp-option/1fr dns/1fr"
    " explicit-exit-notify/01 ifconfig/22 ifconfig-ipv6/22 inactive/12 key-derivation/11"
    " peer-id/11 ping/11 ping-exit/11 ping-restart/11 protocol-flags/1f redirect-gateway/0fr"
    " redirect-private/0fr route/14r route-gateway/11 route-ipv6/13r route-metric/11r topology/11"
    " tun-mtu/12 "
)
# From a server only: a profile has no business with them.
_PUSH_ONLY = ("auth-token", "auth-token-user", "key-derivation", "peer-id", "protocol-flags")


def parse_number(text, most=_MAX_NUMBER):
    """A plain decimal number; ValueError if it is none or above `most`."""
    if not 0 < len(text) < 20:
        raise ValueError("not a number")
    value = 0
    for char in text:
        digit = ord(char) - 48
        if not 0 <= digit <= 9:
            raise ValueError("not a number")
        value = value * 10 + digit
    if value > most:
        raise ValueError("more than " + str(most))
    return value


def one_of(text, words):
    """text, if it is one of the space-separated words; ValueError if not."""
    if text not in words.split():
        raise ValueError("must be one of: " + words)
    return text


def _address(text):
    """4 octets, or one of the stock client's names for an address that is not known yet."""
    if text in ("vpn_gateway", "net_gateway", "remote_host"):
        return text
    return parse_ipv4(text)


def parse_route(args):
    """(network, prefix length, gateway, metric) of `route`'s arguments.

    network: 4 octets, or the stock client's special name for an address not yet known; gateway:
    the same, or None for the tunnel's own; metric: a number, or None for route-metric's.
    """
    args = [None if arg == "default" else arg for arg in args] + [None] * (4 - len(args))
    network, netmask, gateway, metric = args
    network = _address("0.0.0.0" if network is None else network)
    plen = 32 if netmask is None else netmask_length(parse_ipv4(netmask))
    if isinstance(network, bytes):
        network = masked(network, plen)
    if gateway is not None:
        gateway = _address(gateway)
    return network, plen, gateway, None if metric is None else parse_number(metric)


def parse_route_ipv6(args):
    """(network 16 octets, prefix length, gateway 16 octets or None, metric or None)."""
    network, plen = _ipv6_with_length(args[0])
    gateway = parse_ipv6(args[1]) if len(args) > 1 and args[1] != "default" else None
    metric = parse_number(args[2]) if len(args) > 2 and args[2] != "default" else None
    return masked(network, plen), plen, gateway, metric


def _ipv6_with_length(text):
    """(16 octets with their host bits, prefix length), 128 where none is given."""
    address, slash, length = text.partition("/")
    plen = parse_number(length, 128) if slash else 128
    return parse_ipv6(address), plen


def _framing(name, args):
    """What `compress` or `comp-lzo` puts before packets; ValueError where it would compress."""
    word = args[0] if args else ("stub" if name == "compress" else "adaptive")
    frame = _FRAMINGS.get(name + " " + word)
    if frame is None:
        raise ValueError("compression is not supported, as it weakens encryption: remove it")
    return frame


def _value(name, args):
    """The value of an option that is more than a number."""
    first = args[0] if args else ""
    if name == "route":
        return parse_route(args)
    if name == "route-ipv6":
        return parse_route_ipv6(args)
    if name in ("dhcp-option", "dns", "protocol-flags"):
        return tuple(args)
    if name == "ifconfig":
        return parse_ipv4(first), parse_ipv4(args[1])
    if name == "ifconfig-ipv6":
        return _ipv6_with_length(first) + (parse_ipv6(args[1].partition("/")[0]),)
    if name == "route-gateway":
        return first if first == "dhcp" else _address(first)
    if name == "topology":
        return one_of(first, "net30 p2p subnet")
    if name[:9] == "redirect-":
        for arg in args:
            one_of(arg, "local autolocal def1 bypass-dhcp bypass-dns block-local ipv6 !ipv4")
        return tuple(args) + (("private",) if name == "redirect-private" else ())
    if name == "cipher":
        return first.upper()
    if name[:4] == "comp":
        return _framing(name, args)
    if name == "inactive":
        octets = parse_number(args[1], (1 << 62) - 1) if len(args) > 1 else 0
        return parse_number(first), octets
    if name == "tun-mtu":
        mtu = parse_number(first, 65535)
        if mtu < 68:
            raise ValueError("less than 68")
        return mtu
    if name == "key-derivation":
        return one_of(first, "tls-ekm")
    if name == "auth-token":
        return first.encode()
    if name == "auth-token-user":
        return a2b_base64(first.encode())
    most = _NO_PEER_ID if name == "peer-id" else _MAX_NUMBER
    # explicit-exit-notify may come without a number.
    return parse_number(args[0] if args else "1", most)


class TunnelOptions:
    """A tunnel's options under the stock client's names; see __init__ for shapes and defaults."""

    def __init__(self):
        self.ifconfig = None  # (local, remote or netmask), 4 octets each
        self.ifconfig_ipv6 = None  # (local 16 octets, prefix length, remote 16 octets)
        self.topology = "net30"  # net30 p2p subnet
        self.routes = []  # see parse_route
        self.routes_ipv6 = []  # see parse_route_ipv6
        self.route_gateway = None  # 4 octets, "dhcp", or a special name
        self.route_metric = 0
        self.redirect_gateway = None  # tuple of flags; for redirect-private "private" is one
        self.dhcp_options = []  # tuples of words
        self.dns = []  # tuples of words
        self.cipher = None  # upper case
        self.compress = ""  # framing: "" "stub" "stub-v2", "lzo-stub" for comp-lzo no
        self.ping = 0  # s, as all times here
        self.ping_restart = 0
        self.ping_exit = 0
        self.inactive = (0, 0)  # (s, octets)
        self.explicit_exit_notify = 0
        self.tun_mtu = 1500
        self.peer_id = None
        self.key_derivation = None  # "tls-ekm"
        self.protocol_flags = ()
        self.auth_token = None  # bytes; a secret
        self.auth_token_user = None  # bytes

    def copy(self):
        """Another one with the same values."""
        other = TunnelOptions()
        for name, value in self.__dict__.items():
            setattr(other, name, list(value) if isinstance(value, list) else value)
        return other

    def accepts(self, words, pushed, nopull=False):
        """Whether apply() knows this option with as many arguments, from a profile or pushed."""
        at = _ACCEPTED.find(" " + words[0] + "/")
        if at < 0 or (words[0] in _PUSH_ONLY and not pushed):
            return False
        at += len(words[0]) + 2
        if nopull and _ACCEPTED[at + 2] == "r":
            return False
        return int(_ACCEPTED[at], 16) <= len(words) - 1 <= int(_ACCEPTED[at + 1], 16)

    def apply(self, words):
        """Sets one option that accepts() knows; ValueError says what is wrong with its value."""
        name = words[0]
        value = _value(name, words[1:])
        attribute = _ATTRIBUTES.get(name) or name.replace("-", "_")
        table = getattr(self, attribute)
        if isinstance(table, list):
            if len(table) == _MAX_ITEMS:
                raise ValueError("more than " + str(_MAX_ITEMS) + " of them")
            if value not in table:
                table.append(value)
        else:
            setattr(self, attribute, value)
        if name == "protocol-flags" and "tls-ekm" in value:
            self.key_derivation = "tls-ekm"

    def addresses(self, dev_type):
        """(local, prefix length, peer or None) for the interface's IPv4, or None without one.

        ValueError if the second parameter of ifconfig does not fit the topology.
        """
        if self.ifconfig is None:
            return None
        local, second = self.ifconfig
        if dev_type == "tap" or self.topology == "subnet":
            return local, netmask_length(second), None
        return local, 32, second
