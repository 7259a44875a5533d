"""Routes: pushed, refused, redirected, very many, and the same ones by several tunnels."""

import pytest

from host_tests.interop.openvpn_support import TUNNEL, connect, eventually, gateway
from host_tests.lab import Gateway, Server

_BEHIND = "10.66.0.1"


def _behind(pair, address: str = _BEHIND, host=None) -> None:
    """An address on the hub that only routes lead to."""
    (host or pair.hub).ip("address", "add", f"{address}/32", "dev", "lo")


def _routes(host) -> str:
    return "\n".join(sorted(host.routes()))


@pytest.mark.parametrize("dev", ["tun", "tap"])
def test_pushed_routes(pair, dev):
    _behind(pair)
    server = pair.server(dev=dev, network6="fd00:8::/64", push=(
        "route 10.66.0.0 255.255.0.0", "route 10.67.0.0 255.255.0.0 vpn_gateway 77",
        "route 198.51.100.9 255.255.255.255 net_gateway", "route-ipv6 fd00:66::/32",
    ))
    pair.branch.route("default", pair.remote())
    running = connect(pair, server)
    assert pair.branch.ping(_BEHIND, 3).lost == 0
    shown = _routes(pair.branch)
    assert "10.67.0.0/16" in shown and "metric 77" in shown and "fd00:66::/32" in shown
    assert f"198.51.100.9 via {pair.remote()}" in shown
    running.stop()


def test_route_nopull_and_pull_filter(pair):
    push = ("route 10.66.0.0 255.255.0.0", "route 10.67.0.0 255.255.0.0")
    server = pair.server(push=push)
    running = connect(pair, server, "route-nopull")
    assert not {line for line in pair.branch.routes() if line.startswith("10.6")}
    running.stop()
    running = connect(pair, server, 'pull-filter ignore "route 10.66"')
    assert [line.split()[0] for line in pair.branch.routes()
            if line.startswith("10.6")] == ["10.67.0.0/16"]
    running.stop()


def test_pull_filter_reject(pair):
    server = pair.server(push=("route 10.66.0.0 255.255.0.0",))
    running = gateway(pair, pair.profile(server, lines=('pull-filter reject "route "',)))
    running.wait_for(f"{TUNNEL} down options-error: .*pull-filter")
    running.stop()


def test_routes_of_the_profile_and_route_noexec(pair):
    server = pair.server()
    running = connect(pair, server, "route 10.66.0.0 255.255.0.0", "route-metric 50")
    assert "10.66.0.0/16" in _routes(pair.branch)
    running.stop()
    running = connect(pair, server, "route 10.66.0.0 255.255.0.0", "route-noexec")
    assert "10.66.0.0/16" not in _routes(pair.branch)
    running.stop()


@pytest.mark.parametrize("flags", ["def1", "", "def1 ipv6", "def1 bypass-dhcp"])
def test_redirect_gateway(pair, lab, flags):
    """All traffic goes by the tunnel but the tunnel's own; afterwards all is as before."""
    internet = lab.host("far")
    uplink = lab.link(internet, pair.branch, "203.0.113.0/30", "2001:db8:1::/64")
    pair.branch.route("default", uplink.address(internet))
    pair.branch.route("default", uplink.address(internet, 6))
    internet.ip("address", "add", "198.51.100.1/32", "dev", "lo")
    _behind(pair, "198.51.100.1")
    server = pair.server(network6="fd00:8::/64", push=(f"redirect-gateway {flags}".strip(),))
    before = pair.branch.routes()
    running = connect(pair, server)
    device = running.tunnel_status(TUNNEL)["device"]
    assert f"dev {device}" in pair.branch.ip("route", "get", "198.51.100.1")
    assert f"dev {pair.link.device(pair.branch)}" in pair.branch.ip("route", "get", pair.remote())
    by6 = pair.branch.ip("-6", "route", "get", "2001:db8:ffff::1")
    assert (f"dev {device}" in by6) == ("ipv6" in flags)
    assert pair.branch.ping("198.51.100.1", 3).lost == 0
    running.stop()
    assert pair.branch.routes() == before
    assert f"dev {device}" not in pair.branch.ip("route", "get", "198.51.100.1")


def test_the_host_route_of_redirect_gateway_follows_the_way_to_a_far_server(pair, lab):
    """The server is behind a router, so the host route to it names that router."""
    far = lab.host("far")
    link = lab.link(pair.hub, far, "203.0.113.0/30")
    far.route("default", link.address(pair.hub))
    pair.branch.route("default", pair.remote())
    server = Server(far, pair.pki, push=("redirect-gateway def1",)).start()
    running = gateway(pair, server.profile("lyon", link.address(far)))
    running.wait_up()
    assert f"203.0.113.2 via {pair.remote()}" in _routes(pair.branch)
    assert pair.branch.ping(server.address, 3).lost == 0
    running.stop()


@pytest.mark.parametrize("push", ["redirect-gateway def1", "route 203.0.113.0 255.255.255.0"])
def test_no_packet_of_the_tunnel_ever_enters_it(pair, lab, push):
    """The uplink goes and comes back, and with it the default route, but not the host route."""
    far = lab.host("far")
    link = lab.link(pair.hub, far, "203.0.113.0/30")
    far.route("default", link.address(pair.hub))
    pair.branch.route("default", pair.remote())
    server = Server(far, pair.pki, push=(push,)).start()
    running = gateway(pair, server.profile("lyon", link.address(far)))
    running.wait_up()
    assert pair.branch.ping(server.address, 3).lost == 0
    uplink = pair.link.device(pair.branch)
    pair.branch.ip("link", "set", uplink, "down")
    pair.branch.ip("link", "set", uplink, "up")
    pair.branch.route("default", pair.remote())
    running.wait_for(f"{TUNNEL} down transport: the route that keeps the server outside")
    running.wait_up(count=2)
    assert pair.branch.ping(server.address, 3).lost == 0
    assert f"203.0.113.2 via {pair.remote()}" in _routes(pair.branch)
    assert running.process.stop() == 0


def test_two_tunnels_to_one_server_each_keep_it_outside(pair):
    server = pair.server(push=("redirect-gateway def1",))
    running = Gateway(pair.branch, {name: pair.profile(server, name) for name in ("a", "b")})
    running.start().wait_up()
    hosts = [line for line in pair.branch.routes() if line.startswith(f"{pair.remote()} ")]
    assert len(hosts) == 2 and "warning" not in running.log()
    running.stop()


@pytest.mark.parametrize("proto", ["udp", "tcp"])
def test_very_many_pushed_routes_come_in_several_messages(pair, proto):
    push = tuple(f"route 10.{100 + n // 100}.{n % 100}.0 255.255.255.0" for n in range(120))
    server = pair.server(proto=proto, push=push)
    running = connect(pair, server)
    shown = [line for line in pair.branch.routes() if line.startswith(("10.100.", "10.101."))]
    assert len(shown) == 120
    assert "push-continuation 2" in server.log()
    running.stop()


class _TwoHubs:
    """Two hubs with the same prefix behind them, and a branch with a link to each."""

    def __init__(self, lab, pki):
        self.branch = lab.host("branch")
        self.servers, self.links, profiles = {}, {}, {}
        for number, name in enumerate(("paris", "dublin")):
            hub = lab.host(name)
            link = lab.link(hub, self.branch, f"192.0.{2 + number}.0/24")
            hub.ip("address", "add", f"{_BEHIND}/32", "dev", "lo")
            server = Server(hub, pki, network=f"10.{8 + number}.0.0/24",
                            push=("route 10.66.0.0 255.255.0.0",), keepalive=(1, 3)).start()
            self.servers[name], self.links[name] = server, link
            profiles[name] = server.profile("lyon", link.address(hub))
        self.gateway = Gateway(self.branch, profiles).start()

    def way(self) -> str:
        """The device by which the common prefix is reached."""
        return self.branch.ip("route", "get", _BEHIND)


def test_the_same_route_by_two_tunnels_and_failover(lab, pki):
    two = _TwoHubs(lab, pki)
    two.gateway.wait_up()
    devices = {name: two.gateway.tunnel_status(name)["device"] for name in two.servers}
    assert len(set(devices.values())) == 2
    assert f"dev {devices['paris']}" in two.way()  # the first in gateway.json wins
    for name, server in two.servers.items():
        assert two.branch.ping(server.address, 3).lost == 0, name

    two.links["paris"].cut()
    two.gateway.wait_for("paris health down")
    eventually(lambda: f"dev {devices['dublin']}" in two.way(), "the prefix goes by dublin")
    assert two.branch.ping(_BEHIND, 3).lost == 0

    two.links["paris"].restore()
    two.gateway.wait_event("paris", "up", count=2)
    back = two.gateway.tunnel_status("paris")["device"]
    eventually(lambda: f"dev {back}" in two.way(), "the first tunnel carries the prefix again")
    two.gateway.stop()


def test_one_dead_tunnel_does_not_hold_up_the_other(lab, pki):
    two = _TwoHubs(lab, pki)
    two.gateway.wait_up()
    two.servers["paris"].kill()
    with two.branch.pinger(two.servers["dublin"].address, interval=0.01) as pinger:
        two.gateway.wait_for("paris health down")
        two.gateway.wait_for("paris connect", count=2)
    assert pinger.result.lost == 0
    two.gateway.stop()
