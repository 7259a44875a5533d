"""What an engine is: it carries out one tunnel's attempts, and says what comes of them.

The Tunnel decides when, where to and how often. An engine has `name`, `retry`, `open(now)`,
`connect(index, address, now)`, `disconnect(now)`, `rebind(now)`, `close(now)`,
`handle_timer(now)`, `next_timer()`, `next_event()`, `traffic()` and `status()`.
"""

from micropython import const

# Events: (kind, detail).
READY = const(1)  # detail: list of openvpn.profile.Remote, in the profile's order
UP = const(2)  # detail: Link
DOWN = const(3)  # detail: (reason, text); the engine is ready for connect()
FATAL = const(4)  # detail: (reason, text); nothing will come of another try
NOTE = const(5)  # detail: (level, event, text) for the log


class Link:
    """A tunnel that is up: the device's name; addresses (octets, prefix length, peer or None);
    mtu; gateway: the hub's IPv4 address in the tunnel (4 octets or None); gateway_ipv6 (16 octets
    or None); server: the octets of the server's own address."""

    def __init__(self, device, addresses, mtu, gateway, gateway_ipv6, server):
        self.device = device
        self.addresses = addresses
        self.mtu = mtu
        self.gateway = gateway
        self.gateway_ipv6 = gateway_ipv6
        self.server = server


class Retry:
    """How a profile wants failures handled (OpenVPN manual, --connect-retry,
    --connect-retry-max, --remote-random, --resolv-retry, --auth-retry)."""

    def __init__(
        self,
        first_s=1,
        max_s=300,
        max_rounds=0,
        random=False,
        resolv_retry_s=None,
        auth_nointeract=False,
    ):
        self.first_s = first_s
        self.max_s = max_s
        self.max_rounds = max_rounds  # 0: for ever
        self.random = random
        self.resolv_retry_s = resolv_retry_s  # None: for ever
        self.auth_nointeract = auth_nointeract
