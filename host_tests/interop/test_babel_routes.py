"""Routes learned and announced by the gateway, with stock babeld and BIRD as the hubs' daemons."""

import json

import pytest

from host_tests.interop.babel_support import (
    ANY_HUBS,
    ONE_HUB,
    TWO_HUBS,
    hears,
    kernel_routes,
    make_network,
    own_prefixes,
    routing,
    start,
    wait_counters,
    wait_hub,
    wait_reachable,
    wait_routes,
)
from host_tests.interop.openvpn_support import eventually
from host_tests.lab import Gateway
from host_tests.lab.babel import MacKey
from host_tests.lab.babel_peer import BabelPeer, hello, ihu, next_hop, router_id, update
from host_tests.lab.topology import DAEMONS
from host_tests.lab.trace import trace

_EXTRA = ("10.201.0.0/16", "fd00:201::/32")


@pytest.mark.parametrize("peers", ANY_HUBS)
@pytest.mark.parametrize("key", [None, MacKey()], ids=["open", "mac"])
def test_adjacency_and_prefixes_of_both_families_both_ways(lab, peers, key):
    network = make_network(lab, peers, key=key, mesh=False)
    gateway = start(network)
    branch = network.branches["lyon"]
    for centre in network.centres.values():
        wait_routes(branch.gateway, {centre.prefix: f"tun-{centre.name}",
                                     centre.prefix6: f"tun-{centre.name}"})
        wait_hub(centre, *own_prefixes(branch))
        assert hears(centre, "fe80::b:11")
        wait_reachable(branch.desk, centre.address)
        wait_reachable(branch.desk, centre.address6)
        wait_reachable(centre.host, branch.static)
    status = routing(gateway)
    assert {neighbour["device"] for neighbour in status["neighbours"]} == {
        f"tun-{name}" for name in network.centres}
    assert {route["prefix"] for route in status["routes"]} == set(
        kernel_routes(branch.gateway))
    assert "refused" not in gateway.log()
    gateway.stop()


@pytest.mark.parametrize("peers", ANY_HUBS)
def test_retraction_both_ways(lab, peers):
    """A prefix that is withdrawn, or a gateway that stops, is forgotten by the other side."""
    network = make_network(lab, peers, key=MacKey(), mesh=False)
    gateway = start(network)
    branch = network.branches["lyon"]
    for centre in network.centres.values():
        centre.announce(*_EXTRA)
        wait_routes(branch.gateway, dict.fromkeys(_EXTRA, f"tun-{centre.name}"))
        wait_hub(centre, *own_prefixes(branch))
        centre.withdraw(*_EXTRA)
        # For a while, so that traffic does not go to the default route meanwhile.
        wait_routes(branch.gateway, dict.fromkeys(_EXTRA, "unreachable"))
    gateway.stop()
    for centre in network.centres.values():
        wait_hub(centre, *own_prefixes(branch), device=None)


@pytest.mark.parametrize("peers", ONE_HUB)
def test_what_must_not_be_learned_is_refused_and_shown(lab, peers):
    network = make_network(lab, peers)
    branch, paris = network.branches["lyon"], network.centres["paris"]
    refused = {branch.lan: "own_prefix", "0.0.0.0/0": "default_route",
               "172.16.0.0/12": "not_accepted", "10.0.0.0/28": "not_accepted",
               "203.0.113.0/28": "covers_remote"}
    paris.hub.route("203.0.113.0/24", paris.uplink.address(network.internet.router))
    paris.hub.ip("route", "del", "default")  # or BIRD would not learn the other one
    paris.announce(*refused, "10.201.0.0/16")
    gateway = start(network, routing={"accept": [
        {"prefix": "10.0.0.0/8", "longest": 24}, "192.168.0.0/16", "203.0.113.0/24"]})
    wait_routes(branch.gateway, {"10.201.0.0/16": "tun-paris"})

    def shown() -> dict:
        return {item["prefix"]: item["reason"] for item in routing(gateway)["refused"]}

    eventually(lambda: refused.items() <= shown().items(), "all is shown as refused")
    for prefix, reason in refused.items():
        gateway.wait_for(f"refused {prefix} from fe80::1 dev tun-paris: {reason}")
    assert not set(refused) & set(kernel_routes(branch.gateway))
    assert "default via 203.0.113" in branch.gateway.ip("route")
    gateway.stop()


def test_martians_are_refused(lab):
    """babeld and BIRD do not announce these, so a forged peer does."""
    network = make_network(lab, "babeld")
    gateway = start(network)
    peer = BabelPeer(network.centres["paris"].hub, "server")
    martians = ("127.0.0.0/8", "224.0.0.0/4", "169.254.0.0/16", "fe80::/64", "ff00::/8")
    good = "10.201.0.0/16"
    for seqno in range(3):
        peer.send(hello(seqno) + ihu() + router_id(b"martians") + next_hop("10.8.1.66")
                  + b"".join(update(prefix) for prefix in (*martians, good)))
    wait_routes(gateway.host, {good: "tun-paris"})
    for prefix in martians:
        gateway.wait_for(f"refused {prefix} from fe80::66 dev tun-paris: martian")
    assert not set(martians) & set(kernel_routes(gateway.host))
    gateway.stop()


@pytest.mark.parametrize("peers", ONE_HUB)
def test_two_gateways_with_one_prefix_are_reported(lab, peers):
    network = make_network(lab, peers, ("lyon", "nice"))
    shared = "192.168.99.0/24"
    first = start(network, routing={"announce": [shared]})
    wait_hub(network.centres["paris"], shared)
    second = start(network, "nice", routing={"announce": [shared]})
    second.wait_for(f"conflict {shared} also comes from router-id 000000010a64000b")
    assert "own_prefix" in {item["reason"] for item in routing(second)["refused"]}
    first.stop()
    second.stop()


@pytest.mark.parametrize("peers", ONE_HUB)
def test_a_crash_leaves_nothing_wrong_and_other_programs_routes_stay(lab, peers):
    """The gateway also speaks Babel on its LAN here: routes by that device outlive a kill."""
    network = make_network(lab, peers)
    branch = network.branches["lyon"]
    desk = _lan_daemon(branch, peers)
    foreign = {"198.51.100.0/24": "static", "10.77.0.0/16": "babel"}
    for prefix, protocol in foreign.items():
        branch.gateway.ip("route", "add", prefix, "via", branch.address, "proto", protocol)
    before = branch.gateway.routes()
    gateway = network.gateway("lyon")
    gateway.config["lans"][0]["babel"] = True
    gateway.start().wait_up()
    inside = "172.20.0.0/16"
    wanted = {inside: branch.link.device(branch.gateway),
              network.centres["paris"].prefix: "tun-paris"}
    wait_routes(branch.gateway, wanted)
    assert branch.gateway.has_address(branch.static)
    gateway.kill()
    assert inside in kernel_routes(branch.gateway)

    desk.stop()  # so that what is left is stale
    gateway.start().wait_up()
    gateway.wait_for("sweep removed [1-9]")
    wait_routes(branch.gateway, {inside: None,
                                 network.centres["paris"].prefix: "tun-paris"})
    assert branch.gateway.ip("-o", "address", "show").count(f" {branch.static}/32") == 1
    assert before <= branch.gateway.routes()
    wait_reachable(network.centres["paris"].host, branch.static)
    assert gateway.process.stop() == 0
    assert branch.gateway.routes() == before
    assert not branch.gateway.has_address(branch.static)


def test_a_second_gateway_in_the_namespace_ends_and_harms_nothing(lab):
    network = make_network(lab, "babeld")
    branch, paris = network.branches["lyon"], network.centres["paris"]
    gateway = start(network)
    wait_routes(branch.gateway, {paris.prefix: "tun-paris"})
    before = branch.gateway.routes()
    second = Gateway(branch.gateway, gateway.profiles, name="second",
                     routing=gateway.config["routing"]).start()
    assert second.process.wait() == 1
    assert "another gateway runs in this network namespace" in second.log()
    assert branch.gateway.routes() == before
    assert branch.gateway.has_address(branch.static)
    gateway.stop()


@pytest.mark.parametrize("mode, warned", [(0o600, False), (0o644, True)])
def test_keys_that_others_may_read_are_reported(lab, mode, warned):
    key = MacKey()
    network = make_network(lab, "babeld", key=key)
    gateway = network.gateway("lyon")
    (gateway.write() / "gateway.json").chmod(mode)  # writing it again keeps its mode
    gateway.start().wait_up()
    gateway.wait_for("neighbour fe80::1 dev tun-paris up")
    assert ("others may read gateway.json" in gateway.log()) == warned
    status = json.dumps(gateway.fresh_status())
    assert key.hex not in gateway.log() + status and key.secret not in gateway.log() + status
    gateway.stop()


@pytest.mark.parametrize("peers", ONE_HUB)
def test_babel_on_the_lan_joins_a_router_there(lab, peers):
    network = make_network(lab, peers)
    branch, paris = network.branches["lyon"], network.centres["paris"]
    desk = _lan_daemon(branch, peers)
    # Both daemons announce what is behind them; the gateway passes it on, both ways.
    gateway = network.gateway("lyon")
    gateway.config["lans"][0]["babel"] = True
    gateway.start().wait_up()
    wait_hub(paris, "172.20.0.0/16")
    eventually(lambda: paris.prefix in {route.prefix for route in desk.routes()},
               "the LAN's router learns the data centre")
    gateway.stop()


@pytest.mark.parametrize("peers", ONE_HUB)
def test_routes_return_with_an_interface_that_was_away(lab, peers):
    """Down and up at once: Babel notices nothing, but the kernel has dropped the routes."""
    network = make_network(lab, peers)
    branch = network.branches["lyon"]
    _lan_daemon(branch, peers)
    gateway = network.gateway("lyon")
    gateway.config["lans"][0]["babel"] = True
    gateway.start().wait_up()
    wanted = {"172.20.0.0/16": branch.link.device(branch.gateway),
              network.centres["paris"].prefix: "tun-paris"}
    wait_routes(branch.gateway, wanted)
    for device in wanted.values():
        branch.gateway.ip("link", "set", device, "down")
        branch.gateway.ip("link", "set", device, "up")
    wait_routes(branch.gateway, wanted, timeout=3.0)
    # Away for longer, as a USB adapter that is plugged in again.
    lan = wanted["172.20.0.0/16"]
    for name, device in ((lan, "away"), ("away", lan)):
        branch.gateway.ip("link", "set", name, "down")
        branch.gateway.ip("link", "set", name, "name", device, "up")
        wait_routes(branch.gateway, {"172.20.0.0/16": lan if device == lan else "unreachable"})
    assert gateway.process.stop() == 0


def _lan_daemon(branch, daemon: str):
    """A Babel daemon on the LAN host, with a prefix of its own behind it."""
    branch.desk.ip("route", "add", "172.20.0.0/16", "dev", "lo", "proto", "static")
    links = {branch.link.device(branch.desk): "wired"}
    return DAEMONS[daemon](branch.desk, links, number=99).start()


@pytest.mark.parametrize("stub", [False, True], ids=["router", "stub"])
@pytest.mark.parametrize("peers", TWO_HUBS)
def test_a_router_relays_and_a_stub_does_not(lab, peers, stub):
    """The hubs have no link with each other but by the gateway."""
    network = make_network(lab, peers, mesh=False)
    branch = network.branches["lyon"]
    gateway = start(network, routing={"stub": stub})
    paris, dublin = network.centres.values()
    for centre in (paris, dublin):
        wait_routes(branch.gateway, {centre.prefix: f"tun-{centre.name}"})
        wait_hub(centre, branch.lan)
    if stub:
        for here, there in ((paris, dublin), (dublin, paris)):
            assert there.prefix not in {route.prefix for route in here.babel.routes()}
    else:
        wait_hub(paris, dublin.prefix)
        wait_hub(dublin, paris.prefix)
    gateway.stop()


@pytest.mark.parametrize("peers", ONE_HUB)
def test_branches_reach_each_other_through_one_hub(lab, peers):
    network = make_network(lab, peers, ("lyon", "nice"), key=MacKey())
    gateways = [start(network, name) for name in network.branches]
    lyon, nice = network.branches.values()
    wait_routes(lyon.gateway, dict.fromkeys(own_prefixes(nice), "tun-paris"))
    wait_routes(nice.gateway, dict.fromkeys(own_prefixes(lyon), "tun-paris"))
    wait_reachable(lyon.desk, nice.address)
    wait_reachable(nice.desk, lyon.address6)
    hops = [network.lab.owner(hop) for hop in trace(lyon.desk, nice.address)]
    assert hops == ["lyon", "paris", "nice", "nice-desk"]
    for gateway in gateways:
        gateway.stop()


@pytest.mark.parametrize("peers", ONE_HUB)
def test_full_tables_keep_what_they_have(lab, peers):
    network = make_network(lab, peers)
    paris = network.centres["paris"]
    gateway = start(network, routing={"max_routes": 8})
    wait_routes(gateway.host, {paris.prefix: "tun-paris", paris.prefix6: "tun-paris"})
    paris.announce(*(f"10.201.{number}.0/24" for number in range(12)))
    wait_counters(gateway, "prefixes_full")
    assert {paris.prefix, paris.prefix6} <= set(kernel_routes(gateway.host))
    assert len(kernel_routes(gateway.host)) <= 8
    gateway.stop()
