"""From a tunnel's options to what its interface needs: addresses, MTU and routes.

OpenVPN manual, "VPN Tunnel Options": --ifconfig, --topology, --route, --route-gateway,
--redirect-gateway. Nothing is changed here; hal carries it out.
"""

from branchline.wire.ip import format_address, format_prefix, masked

_HALVES_IPV4 = ((bytes(4), 1), (b"\x80\0\0\0", 1))
# Global unicast and unique local, as the stock client's `redirect-gateway ipv6`.
_HALVES_IPV6 = (
    (bytes(16), 3),
    (b"\x20" + bytes(15), 4),
    (b"\x30" + bytes(15), 4),
    (b"\xfc" + bytes(15), 7),
)


class PlannedRoute:
    """A route to `dst/plen`; by the tunnel, or (outside) by the gateway that leads there now."""

    def __init__(self, dst, plen, metric, via=None, outside=False):
        self.dst = dst
        self.plen = plen
        self.metric = metric
        self.via = via
        self.outside = outside

    def __str__(self):
        return format_prefix(self.dst, self.plen)


class Plan:
    """What an interface gets: `mtu`; `addresses`: (local, prefix length, peer or None); `routes`:
    PlannedRoute; `gateway`, `gateway_ipv6`: the hub's addresses in the tunnel, octets or None;
    `notes`: what cannot be done, in words.

    options: TunnelOptions; profile: Profile; remote: the address octets of the server; rank: added
    to the metrics.
    """

    def __init__(self, options, profile, remote, rank=0):
        self.mtu = options.tun_mtu
        self.addresses = []
        self.routes = []
        self.notes = []
        self._rank = rank
        self._tap = profile.dev_type == "tap"
        self._remote = remote
        self.gateway = self._gateway = None
        ifconfig_ipv6 = options.ifconfig_ipv6
        self.gateway_ipv6 = self._gateway_ipv6 = ifconfig_ipv6[2] if ifconfig_ipv6 else None
        if not profile.ifconfig_noexec:
            self._add_addresses(options, profile.dev_type)
        self.gateway = self._find_gateway(options)
        if not profile.route_noexec:
            self._gateway = self.gateway
            for network, plen, gateway, metric in options.routes:
                self._add_route(network, plen, gateway, metric, options.route_metric)
            for network, plen, gateway, metric in options.routes_ipv6:
                metric = options.route_metric if metric is None else metric
                self._add(network, plen, metric, gateway or self._gateway_ipv6)
            flags = options.redirect_gateway
            if flags is not None:
                self._redirect(flags)
            if "local" not in (flags or ()) and (flags is not None or self.covers_server()):
                plen = len(remote) * 8
                self.routes.append(PlannedRoute(remote, plen, rank, outside=True))

    def covers_server(self):
        """Whether the tunnel's routes lead to its server, too, but for a route outside."""
        remote = self._remote
        for route in self.routes:
            same = len(route.dst) == len(remote) and not route.outside
            if same and masked(remote, route.plen) == route.dst:
                return True
        return False

    def address_text(self):
        """The addresses for people, such as "10.8.0.2/24,fd00::2/64"."""
        return ",".join(
            [format_address(local) + "/" + str(plen) for local, plen, _ in self.addresses]
        )

    def _add_addresses(self, options, dev_type):
        ipv4 = options.addresses(dev_type)
        if ipv4:
            self.addresses.append(ipv4)
        if options.ifconfig_ipv6:
            local, plen, _ = options.ifconfig_ipv6
            self.addresses.append((local, plen, None))

    def _find_gateway(self, options):
        """The tunnel's own gateway, 4 octets or None."""
        gateway = options.route_gateway
        if isinstance(gateway, bytes):
            return gateway
        if options.ifconfig and not self._tap and options.topology != "subnet":
            return options.ifconfig[1]
        return None

    def _add_route(self, network, plen, gateway, metric, default_metric):
        metric = default_metric if metric is None else metric
        network = self._known(network)
        outside = isinstance(gateway, str) and gateway == "net_gateway"
        via = None if outside else self._gateway if gateway is None else self._known(gateway)
        if network is None or (via is None and gateway is not None and self._tap and not outside):
            self.notes.append("a route needs a gateway that is not known")
        else:
            self._add(network, plen, metric, via, outside)

    def _known(self, name):
        """The IPv4 address that one of the manual's special names stands for, None if there is
        none; an address stands for itself."""
        if not isinstance(name, str):
            return name
        remote = self._remote if len(self._remote) == 4 else None
        return {"vpn_gateway": self._gateway, "remote_host": remote}.get(name)

    def _add(self, network, plen, metric, via, outside=False):
        # A TUN device has one peer, so its routes need no gateway; a TAP's do.
        if self._tap and via is None and not outside:
            self.notes.append("no gateway for " + format_prefix(network, plen) + " on a tap")
            return
        if network == self._remote and plen == len(network) * 8 and not outside:
            self.notes.append("a route to the server itself cannot lead into its tunnel")
            return
        self.routes.append(
            PlannedRoute(network, plen, metric + self._rank, via if self._tap else None, outside)
        )

    def _redirect(self, flags):
        """All traffic into the tunnel, by routes more specific than the default route's.

        So even without `def1` the default route is left as it is, and there is nothing to restore
        after a crash.
        """
        if "private" in flags:
            return
        halves = () if "!ipv4" in flags else _HALVES_IPV4
        if "ipv6" in flags:
            halves += _HALVES_IPV6
        for network, plen in halves:
            via = self._gateway if len(network) == 4 else self._gateway_ipv6
            self._add(network, plen, 0, via)
