"""What an interface gets for a tunnel's options."""

from branchline.openvpn.options import TunnelOptions
from branchline.openvpn.profile import Profile
from branchline.tunnel.plan import Plan
from branchline.wire.ip import format_address, parse_address

_REMOTE = parse_address("192.0.2.1")
_REMOTE6 = parse_address("2001:db8::1")
_NET30 = ("ifconfig 10.8.0.6 10.8.0.5",)
_SUBNET = ("topology subnet", "ifconfig 10.8.0.2 255.255.255.0", "route-gateway 10.8.0.1")
_UNKNOWN = ["a route needs a gateway that is not known"]


def _plan(lines, dev_type="tun", remote=_REMOTE, rank=0, **settings):
    options = TunnelOptions()
    for line in lines:
        options.apply(line.split())
    profile = Profile()
    profile.dev_type = dev_type
    for name, value in settings.items():
        setattr(profile, name, value)
    return Plan(options, profile, remote, rank)


def _text(address):
    return address and format_address(address)


def _routes(plan):
    """One line for each route: prefix, gateway, "outside", metric unless it is 0."""
    return [
        " ".join(
            [str(route)]
            + (["via " + _text(route.via)] if route.via else [])
            + (["outside"] if route.outside else [])
            + (["metric " + str(route.metric)] if route.metric else [])
        )
        for route in plan.routes
    ]


def test_addresses():
    six = ("ifconfig-ipv6 fd00::2/64 fd00::1",)
    for lines, dev_type, expected in (
        (_NET30, "tun", [("10.8.0.6", 32, "10.8.0.5")]),
        (_NET30 + ("topology p2p",), "tun", [("10.8.0.6", 32, "10.8.0.5")]),
        (_SUBNET, "tun", [("10.8.0.2", 24, None)]),
        (("ifconfig 10.8.0.2 255.255.255.0",), "tap", [("10.8.0.2", 24, None)]),
        (six, "tun", [("fd00::2", 64, None)]),
        (_SUBNET + six, "tun", [("10.8.0.2", 24, None), ("fd00::2", 64, None)]),
        ((), "tun", []),
    ):
        plan = _plan(lines, dev_type)
        found = [(_text(local), plen, _text(peer)) for local, plen, peer in plan.addresses]
        assert found == expected, lines
        assert plan.mtu == 1500 and not plan.routes and not plan.notes
    assert _plan(_SUBNET, ifconfig_noexec=True).addresses == []
    assert _plan(("tun-mtu 1400",)).mtu == 1400


def test_routes_of_a_tun():
    for line, expected in (
        ("route 10.1.0.0 255.255.0.0", "10.1.0.0/16"),
        ("route 10.1.2.3", "10.1.2.3/32"),
        ("route 10.1.0.0 255.255.0.0 vpn_gateway 7", "10.1.0.0/16 metric 7"),
        ("route 10.1.0.0 255.255.0.0 10.8.0.1", "10.1.0.0/16"),
        ("route 10.1.0.0 255.255.0.0 default 7", "10.1.0.0/16 metric 7"),
        ("route 10.1.0.0 255.255.0.0 net_gateway", "10.1.0.0/16 outside"),
        ("route remote_host 255.255.255.255 net_gateway", "192.0.2.1/32 outside"),
        ("route vpn_gateway 255.255.255.255", "10.8.0.1/32"),
        ("route-ipv6 fd00:1::/48", "fd00:1::/48"),
        ("route-ipv6 fd00:1::/48 fd00::1 9", "fd00:1::/48 metric 9"),
    ):
        plan = _plan(_SUBNET + (line,))
        assert _routes(plan) == [expected] and not plan.notes, line
    assert _routes(_plan(_NET30 + ("route vpn_gateway",))) == ["10.8.0.5/32"]


def test_routes_of_a_tap():
    for line, expected in (
        ("route 10.1.0.0 255.255.0.0", "10.1.0.0/16 via 10.8.0.1"),
        ("route 10.1.0.0 255.255.0.0 vpn_gateway", "10.1.0.0/16 via 10.8.0.1"),
        ("route 10.1.0.0 255.255.0.0 10.8.0.9", "10.1.0.0/16 via 10.8.0.9"),
        ("route 10.1.0.0 255.255.0.0 net_gateway", "10.1.0.0/16 outside"),
        ("route-ipv6 fd00:1::/48 fd00::1", "fd00:1::/48 via fd00::1"),
    ):
        plan = _plan(("ifconfig 10.8.0.2 255.255.255.0", "route-gateway 10.8.0.1", line), "tap")
        assert _routes(plan) == [expected], line
        assert not plan.notes


def test_what_cannot_be_routed_is_noted():
    for lines, dev_type, remote, notes in (
        (("route vpn_gateway",), "tun", _REMOTE, _UNKNOWN),
        (("route net_gateway",), "tun", _REMOTE, _UNKNOWN),
        (("route remote_host",), "tun", _REMOTE6, _UNKNOWN),
        (("route 10.1.0.0 255.255.0.0 vpn_gateway",), "tap", _REMOTE, _UNKNOWN),
        (("route 10.1.0.0 255.255.0.0",), "tap", _REMOTE, ["no gateway for 10.1.0.0/16 on a tap"]),
        (("route-ipv6 fd00::/16",), "tap", _REMOTE, ["no gateway for fd00::/16 on a tap"]),
        (("route-gateway dhcp", "route vpn_gateway"), "tun", _REMOTE, _UNKNOWN),
    ):
        plan = _plan(lines, dev_type, remote)
        assert plan.notes == notes and plan.routes == [], lines


def test_metrics():
    lines = _SUBNET + ("route 10.1.0.0 255.255.0.0", "route 10.2.0.0 255.255.0.0 default 5")
    lines += ("route-ipv6 fd00:1::/48",)
    plan = _plan(lines + ("route-metric 20",), rank=3)
    assert [route.metric for route in plan.routes] == [23, 8, 23]


def test_redirect_gateway():
    halves = ["0.0.0.0/1", "128.0.0.0/1"]
    sixths = ["::/3", "2000::/4", "3000::/4", "fc00::/7"]
    server = ["192.0.2.1/32 outside"]
    for flags, expected in (
        ("", halves + server),
        ("def1", halves + server),
        ("def1 bypass-dhcp ipv6", halves + sixths + server),
        ("local", halves),
        ("!ipv4 ipv6", sixths + server),
        ("!ipv4", server),
    ):
        assert _routes(_plan(_SUBNET + ("redirect-gateway " + flags,))) == expected, flags
    assert _routes(_plan(_SUBNET + ("redirect-private def1",))) == server
    plan = _plan(_SUBNET + ("redirect-gateway def1",), remote=_REMOTE6)
    assert _routes(plan) == halves + ["2001:db8::1/128 outside"]
    tap = _plan(("route-gateway 10.8.0.1", "redirect-gateway def1"), "tap", rank=1)
    assert _routes(tap)[:-1] == [half + " via 10.8.0.1 metric 1" for half in halves]
    # Each tunnel to the server has its own, so that the end of one leaves the other's.
    assert _routes(tap)[-1] == "192.0.2.1/32 outside metric 1"


def test_the_server_stays_outside():
    server = "192.0.2.1/32 outside"
    for lines, remote, expected in (
        (("route 192.0.2.0 255.255.255.0",), _REMOTE, ["192.0.2.0/24", server]),
        (("route 0.0.0.0 0.0.0.0",), _REMOTE, ["0.0.0.0/0", server]),
        (("route 192.0.3.0 255.255.255.0",), _REMOTE, ["192.0.3.0/24"]),
        (("route-ipv6 2001:db8::/32",), _REMOTE, ["2001:db8::/32"]),
        (("route-ipv6 2001:db8::/32",), _REMOTE6, ["2001:db8::/32", "2001:db8::1/128 outside"]),
        (("route 192.0.2.0 255.255.255.0 net_gateway",), _REMOTE, ["192.0.2.0/24 outside"]),
    ):
        plan = _plan(_SUBNET + lines, remote=remote)
        assert _routes(plan) == expected and not plan.notes, lines
        assert plan.covers_server() == (len(expected) == 2)
    assert _plan(_SUBNET + ("redirect-gateway local",)).covers_server()
    assert not _plan(_SUBNET + ("redirect-private",)).covers_server()
    plan = _plan(_SUBNET + ("route 192.0.2.1",))
    assert plan.routes == []
    assert plan.notes == ["a route to the server itself cannot lead into its tunnel"]


def test_route_noexec():
    lines = _SUBNET + ("route 10.1.0.0 255.255.0.0", "redirect-gateway def1")
    plan = _plan(lines, route_noexec=True)
    assert plan.routes == [] and len(plan.addresses) == 1
