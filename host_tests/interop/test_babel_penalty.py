"""Links judged by their owner: how soon stock hubs and other branches follow."""

import datetime
import re
import time

import pytest

from host_tests.interop.babel_support import (
    TWO_HUBS,
    Console,
    kernel_routes,
    make_network,
    own_prefixes,
    routing,
    start,
    wait_hub,
    wait_reachable,
    wait_routes,
)
from host_tests.interop.openvpn_support import eventually
from host_tests.lab.babel import INFINITY, MacKey

# A lost link's hub notices after two and a half of these; BIRD tells changes once a second.
_HELLO_MS = 1000
_MOVED = 2.0
# babeld prefers what it did not before, and BIRD a link that lost Hellos, only after a while.
_PATIENCE = 60.0
_QUIET = 2.0  # s after which BIRD tells a change at once


def _branches(lab, peers):
    """A network; lyon's console, its relays by data centre; nice's gateway."""
    network = make_network(lab, peers, ("lyon", "nice"), key=MacKey(), hello_ms=_HELLO_MS,
                           half_life=0)
    lyon = Console(network, "lyon")
    relays = {name: network.own_path(lyon.gateway, name) for name in network.centres}
    lyon.gateway.start().wait_up()
    nice = start(network, "nice")
    _settled(network)
    return network, lyon, relays, nice


def _settled(network) -> None:
    """Each hub routes to each branch directly: the other branch is behind the same device."""
    for centre in network.centres.values():
        for branch in network.branches.values():
            eventually(lambda c=centre, b=branch: _is_direct(c, b),
                       f"{centre.name} routes {branch.lan} directly", _PATIENCE)


def _is_direct(centre, branch) -> bool:
    # babeld names the neighbour, BIRD the next hop.
    ways = (f"fe80::b:{branch.number}", f"10.8.{centre.number}.{branch.number}")
    return any(route.selected and route.prefix == branch.lan and route.via in ways
               for route in centre.babel.routes())


@pytest.mark.parametrize("peers", TWO_HUBS)
def test_others_leave_a_lost_link_before_its_hub_does(lab, peers):
    """The other branch's route changes in one step, and so does ours."""
    network, lyon, relays, nice = _branches(lab, peers)
    lan, far = network.branches["lyon"].lan, network.branches["nice"].lan
    monitor = nice.host.spawn("ip", "-ts", "monitor", "route", name="monitor")
    time.sleep(_QUIET)
    device = kernel_routes(nice.host)[lan]
    name = device.removeprefix("tun-")
    other = next(centre for centre in network.centres if centre != name)
    before = len(monitor.log())
    relays[name].cut()
    called = time.time()
    lyon(f"set_penalty {device} {INFINITY}")
    wait_routes(nice.host, {lan: f"tun-{other}"})
    moved, line = _changes(monitor.log()[before:], lan)[0]
    print(f"{peers}: {name} to {other} after {(moved - called) * 1000:.0f} ms")
    assert f"dev tun-{other}" in line
    assert moved - called < _MOVED
    wait_routes(lyon.gateway.host, {far: f"tun-{other}"})
    wait_reachable(network.branches["nice"].desk, network.branches["lyon"].address)
    # Once the hub has noticed, too, all is as before when the link is back.
    wait_hub(network.centres[name], lan, device=other)
    relays[name].restore()
    lyon(f"set_penalty {device} 0")
    _settled(network)
    for gateway in (lyon.gateway, nice):
        gateway.stop()


def _changes(log: str, prefix: str) -> list[tuple[float, str]]:
    """(time, line) of what `ip -ts monitor route` says of a prefix."""
    found = []
    for stamp, line in re.findall(r"^\[(\S+)\] (.*)$", log, re.MULTILINE):
        if f"{prefix} " in line:
            found.append((datetime.datetime.fromisoformat(stamp).timestamp(), line))
    return found


@pytest.mark.parametrize("peers", TWO_HUBS)
def test_a_link_with_a_penalty_is_used_by_neither_side_until_it_is_lifted(lab, peers):
    network, lyon, _relays, nice = _branches(lab, peers)
    branch = network.branches["lyon"]
    paris, dublin = network.centres.values()
    for penalty in (400, INFINITY):
        lyon(f"set_penalty tun-paris {penalty}")
        wait_hub(paris, *own_prefixes(branch), device="dublin", timeout=_PATIENCE)
        wait_hub(dublin, *own_prefixes(branch))
        wait_routes(lyon.gateway.host, {paris.prefix: "tun-dublin", dublin.prefix: "tun-dublin"})
        shown = {entry["device"]: entry for entry in routing(lyon.gateway)["neighbours"]}
        assert shown["tun-paris"]["penalty"] == penalty
        assert (shown["tun-paris"]["cost"] == INFINITY) == (penalty == INFINITY)
        assert shown["tun-dublin"]["penalty"] == 0
        wait_reachable(branch.desk, paris.address)
        lyon("set_penalty tun-paris 0")
        _settled(network)
        wait_routes(lyon.gateway.host, {paris.prefix: "tun-paris"})
    for gateway in (lyon.gateway, nice):
        gateway.stop()
