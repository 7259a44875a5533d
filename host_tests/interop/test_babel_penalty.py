"""Links judged by their owner: how soon stock hubs and other branches follow."""

import datetime
import re
import time

import pytest

from host_tests.interop.babel_support import (
    TWO_HUBS,
    Console,
    hears,
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

# Three Hellos of this are missed after 1.25 to 1.75 s.
_HELLO_MS = 500
_MOVED = 1.0
# babeld prefers what it did not before, and BIRD a link that lost Hellos, only after a while.
_PATIENCE = 60.0
_QUIET = 2.0  # s after which BIRD tells a change at once


def _branches(lab, peers):
    """A network; lyon's console, its relays by data centre; nice's gateway."""
    network = make_network(lab, peers, ("lyon", "nice"), key=MacKey(), hello_ms=_HELLO_MS)
    lyon = Console(network, "lyon")
    relays = {name: network.own_path(lyon.gateway, name) for name in network.centres}
    lyon.gateway.start().wait_up()
    nice = start(network, "nice")
    _settled(network)
    return network, lyon, relays, nice


def _settled(network) -> None:
    for centre in network.centres.values():
        for branch in network.branches.values():
            eventually(lambda c=centre, b=branch: hears(c, f"fe80::b:{b.number}"),
                       f"{centre.name} hears {branch.name}")
            wait_hub(centre, *own_prefixes(branch), timeout=_PATIENCE)


@pytest.mark.parametrize("peers", TWO_HUBS)
def test_others_leave_a_lost_link_before_its_hub_does(lab, peers):
    """Both ways at once: the other branch's route changes in one step, and so does ours."""
    network, lyon, relays, nice = _branches(lab, peers)
    lan, far = network.branches["lyon"].lan, network.branches["nice"].lan
    monitor = nice.host.spawn("ip", "-ts", "monitor", "route", name="monitor")
    for _ in range(2):
        time.sleep(_QUIET)
        device = eventually(lambda: _tunnel(nice, lan), "nice routes lyon's LAN")
        name = device.removeprefix("tun-")
        other = next(centre for centre in network.centres if centre != name)
        before = len(monitor.log())
        relays[name].cut()
        called = time.time()
        lyon(f"set_penalty {device} {INFINITY}", "refresh")
        wait_routes(nice.host, {lan: f"tun-{other}"})
        moved, line = _changes(monitor.log()[before:], lan)[0]
        assert f"dev tun-{other}" in line
        print(f"{peers}: {name} to {other} after {(moved - called) * 1000:.0f} ms")
        assert moved - called < _MOVED
        wait_routes(lyon.gateway.host, {far: f"tun-{other}"})
        wait_reachable(network.branches["nice"].desk, network.branches["lyon"].address)
        relays[name].restore()
        lyon(f"set_penalty {device} 0")
        _settled(network)
    for gateway in (lyon.gateway, nice):
        gateway.stop()


def _tunnel(gateway, prefix: str) -> str | None:
    device = kernel_routes(gateway.host).get(prefix, "")
    return device if device.startswith("tun-") else None


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
        wait_hub(paris, *own_prefixes(branch), timeout=_PATIENCE)
        wait_routes(lyon.gateway.host, {paris.prefix: "tun-paris"})
    for gateway in (lyon.gateway, nice):
        gateway.stop()
