"""Traffic that moves: hubs that die, links that lose, delays, and neighbours that restart."""

import time

import pytest

from host_tests.interop.babel_support import (
    ANY_HUBS,
    ONE_HUB,
    TWO_HUBS,
    Console,
    hears,
    kernel_routes,
    make_network,
    own_prefixes,
    start,
    wait_hub,
    wait_reachable,
    wait_routes,
)
from host_tests.interop.openvpn_support import eventually
from host_tests.lab.babel import MacKey
from host_tests.lab.trace import trace

_OURS = "fe80::b:11"
_ANYCAST = "10.201.0.0/16"
_WATCH = 4.0  # seconds in which nothing may change
_KEPT = 3.5  # seconds in which a raised seqno is written
_FORGOTTEN = 2.0  # seconds after which nobody echoes what was last announced
_AT_ONCE = 8.0  # seconds in which two Hellos and a full update come; not what requests take


def _settled(network) -> None:
    """All hubs are heard directly, and each hub and branch knows the others by the best way."""
    for centre in network.centres.values():
        for branch in network.branches.values():
            wait_routes(branch.gateway, {centre.prefix: f"tun-{centre.name}",
                                         centre.prefix6: f"tun-{centre.name}"})
            wait_hub(centre, *own_prefixes(branch))


@pytest.mark.parametrize("peers", TWO_HUBS)
def test_seqno_requests_are_answered_by_both_sides(lab, peers):
    """With a tunnel cut, what is left is by the other hub, at a distance that is not feasible
    until the origin raises its seqno: the gateway for dublin, dublin for the gateway."""
    network = make_network(lab, peers, key=MacKey())
    gateway = start(network)
    branch = network.branches["lyon"]
    paris, dublin = network.centres.values()
    _settled(network)
    wait_hub(paris, dublin.prefix, device="dublin")
    dublin.relay.cut()
    wait_routes(branch.gateway, {dublin.prefix: "tun-paris", dublin.prefix6: "tun-paris"})
    wait_hub(dublin, *own_prefixes(branch), device="paris")
    wait_reachable(branch.desk, dublin.address)
    wait_reachable(dublin.host, branch.static)
    gateway.stop()


@pytest.mark.parametrize("peers", TWO_HUBS)
def test_traffic_between_branches_moves_when_a_hub_is_killed(lab, peers):
    network = make_network(lab, peers, ("lyon", "nice"), key=MacKey())
    gateways = [start(network, name) for name in network.branches]
    lyon, nice = network.branches.values()
    _settled(network)
    device = eventually(lambda: kernel_routes(lyon.gateway)[nice.lan], "a route to nice's LAN")
    name = device.removeprefix("tun-")
    other = next(centre for centre in network.centres if centre != name)
    with lyon.desk.pinger(nice.address) as pinger:
        eventually(lambda: pinger.result.received > 10, "pings get through")
        network.centres[name].server.kill()
        network.centres[name].babel.kill()
        wait_routes(lyon.gateway, {nice.lan: f"tun-{other}"})
        wait_routes(nice.gateway, {lyon.lan: f"tun-{other}"})
        count = pinger.result.received
        eventually(lambda: pinger.result.received > count + 10, "pings get through again")
    print(f"{peers}: no reply for {pinger.result.gap:.2f} s")
    hops = [network.lab.owner(hop) for hop in trace(lyon.desk, nice.address)]
    assert hops == ["lyon", other, "nice", "nice-desk"]
    for gateway in gateways:
        gateway.stop()


@pytest.mark.parametrize("peers", ["babeld+babeld", "babeld+bird"])
def test_the_nearer_hub_is_preferred(lab, peers):
    """Both hubs announce one prefix. BIRD 2.0 measures no delay: its link is taken as short."""
    network = make_network(lab, peers)
    paris, dublin = network.centres.values()
    for centre in (paris, dublin):
        centre.announce(_ANYCAST)
    gateway = start(network)
    _settled(network)
    _delay(paris, 40)
    wait_routes(gateway.host, {_ANYCAST: "tun-dublin"})
    if peers == "babeld+babeld":
        _delay(paris, 0)
        _delay(dublin, 40)
        wait_routes(gateway.host, {_ANYCAST: "tun-paris"}, timeout=30.0)
    gateway.stop()


def test_two_hubs_of_like_distance_do_not_alternate(lab):
    network = make_network(lab, "babeld+babeld")
    for centre in network.centres.values():
        centre.announce(_ANYCAST)
        _delay(centre, 20, jitter_ms=4)
    gateway = start(network)
    _settled(network)
    eventually(lambda: kernel_routes(gateway.host).get(_ANYCAST, "").startswith("tun-"),
               "the shared prefix is learned")
    time.sleep(1.0)  # the first samples of the delay
    before = gateway.log().count(f"route {_ANYCAST}")
    time.sleep(_WATCH)
    assert gateway.log().count(f"route {_ANYCAST}") == before
    gateway.stop()


def _delay(centre, ms: float, jitter_ms: float = 0) -> None:
    for way in (centre.relay.up, centre.relay.down):
        way.delay_ms, way.jitter_ms = ms, jitter_ms


@pytest.mark.parametrize("percent", [5, 30])
@pytest.mark.parametrize("peers", ANY_HUBS)
def test_routes_come_on_a_lossy_path_and_stay_when_it_is_good_again(lab, peers, percent):
    network = make_network(lab, peers, key=MacKey(), mesh=False)
    branch = network.branches["lyon"]
    gateway = start(network)
    branch.uplink.loss(percent)
    for centre in network.centres.values():
        centre.announce(_ANYCAST)
    eventually(lambda: kernel_routes(branch.gateway).get(_ANYCAST, "").startswith("tun-"),
               "a prefix is learned through the loss", 60.0)
    for centre in network.centres.values():
        eventually(lambda c=centre: branch.lan in {r.prefix for r in c.babel.routes()},
                   f"{centre.name} learns the LAN through the loss", 60.0)
    branch.uplink.restore()
    _settled(network)
    for centre in network.centres.values():
        wait_reachable(branch.desk, centre.address)
    gateway.stop()


@pytest.mark.parametrize("peers, number", [("babeld", 77), ("bird", 1), ("bird", 77)])
def test_a_daemon_that_is_killed_and_started_again_is_believed(lab, peers, number):
    """BIRD counts its seqno from 1 again. babeld keeps its own over a stop (see below), but not
    over a kill: it then needs a new router-id, or it is believed only after 3 minutes."""
    _restart_daemon(lab, peers, number, "kill")


@pytest.mark.parametrize("peers", ONE_HUB)
def test_a_daemon_that_is_stopped_and_started_again_is_believed(lab, peers):
    _restart_daemon(lab, peers, 1, "stop")


def _restart_daemon(lab, peers: str, number: int, end: str) -> None:
    network = make_network(lab, peers, key=MacKey())
    paris = network.centres["paris"]
    gateway = start(network)
    _settled(network)
    getattr(paris.babel, end)()
    paris.babel.number = number
    paris.babel.start()
    eventually(lambda: hears(paris, _OURS), "the new daemon hears the gateway")
    _settled(network)
    wait_reachable(network.branches["lyon"].desk, paris.address)
    gateway.stop()


@pytest.mark.parametrize("peers", ONE_HUB)
def test_a_gateway_that_lost_power_is_believed_at_once(lab, peers):
    """However often its seqno was raised before, the hubs find what it announces feasible. One
    that is behind by more than 100 babeld does not even ask for a newer one."""
    network = make_network(lab, peers, key=MacKey(), half_life=0)
    branch = network.branches["lyon"]
    lyon = Console(network, "lyon")
    gateway = lyon.gateway.start()
    gateway.wait_up()
    _settled(network)
    lyon(*["refresh"] * 120)
    time.sleep(_KEPT)
    gateway.kill()
    for centre in network.centres.values():
        wait_hub(centre, *own_prefixes(branch), device=None)
    time.sleep(_FORGOTTEN)
    gateway.start().wait_up()
    for centre in network.centres.values():
        wait_hub(centre, *own_prefixes(branch), timeout=_AT_ONCE)
    wait_reachable(branch.desk, network.centres["paris"].address)
    assert gateway.process.stop() == 0


@pytest.mark.parametrize("peers", TWO_HUBS)
def test_no_packet_runs_in_a_circle_while_routes_move(lab, peers):
    """Wherever a cut has left the routes, no trace passes a host twice."""
    network = make_network(lab, peers, ("lyon", "nice"), key=MacKey())
    gateways = [start(network, name) for name in network.branches]
    lyon, nice = network.branches.values()
    paris, dublin = network.centres.values()
    _settled(network)
    for cut, restore in (
        (paris.relay.cut, paris.relay.restore),
        (network.mesh[0].cut, network.mesh[0].restore),
        (dublin.relay.cut, dublin.relay.restore),
    ):
        cut()
        for target in (nice.address, paris.address, dublin.address) * 2:
            hops = [hop for hop in trace(lyon.desk, target, 0.2) if hop != "*"]
            passed = [lab.owner(hop) for hop in hops]
            assert len(passed) == len(set(passed)), passed
        restore()
    for gateway in gateways:
        gateway.stop()
