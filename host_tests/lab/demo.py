"""`make demo`: two data centres and two branches; routes learned, a hub cut, traffic moved."""

import signal
import sys
import time
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console

from host_tests.lab import demo_tables
from host_tests.lab.babel import MacKey
from host_tests.lab.demo_cuts import Cuts, wait_path
from host_tests.lab.demo_steps import Failure, Steps
from host_tests.lab.errors import LabError
from host_tests.lab.netns import Host, Lab
from host_tests.lab.topology import Branch, DataCentre, Network
from host_tests.lab.trace import trace

_PINGS = 5
_LOG_WIDTH = 100  # columns, where the output is no terminal
_HELLO_MS = 500
_FAR_MS = 20  # added to each way between the branches and the farther hub
_NEAR, _FAR = "dublin", "paris"
_TIMEOUT = 20.0
_POLL = 0.1


class Daemon(StrEnum):
    """What speaks Babel on the hubs."""

    babeld = "babeld"
    bird = "bird"


def demonstrate(lab: Lab, daemon: Daemon, steps: Steps) -> None:
    """All of the demo; raises Failure when any of it does not work."""
    # BIRD 2.0 measures no delay: either hub is near.
    home = (_NEAR,) if daemon is Daemon.babeld else (_NEAR, _FAR)
    with steps.step("make two data centres and two branches, with an internet between them"):
        network = Network(lab, {_FAR: daemon.value, _NEAR: daemon.value}, ("lyon", "nice"),
                          key=MacKey(), hello_ms=_HELLO_MS, half_life=0, wrap="tls-crypt")
        _delay(network)
    with steps.step("start the hubs: stock OpenVPN servers, and Babel between all") as results:
        network.start()
        for centre in network.centres.values():
            centre.serve()
        results.append(network.centres[_FAR].babel.version())
    # The hubs have a link with each other: branches need not relay between them.
    gateways = [network.gateway(name, routing={"stub": True}) for name in network.branches]
    with steps.step("start the gateways of lyon and nice, on MicroPython"):
        for gateway in gateways:
            gateway.start()
    with steps.step("wait for both tunnels of both") as results:
        results.append(f"up after {max(gateway.wait_up() for gateway in gateways):.2f} s")
    with steps.step("wait until the branches route each other's LAN") as results:
        _wait_centres(network)
        wait_path(network, *home)
        results.append(f"LAN to LAN after {time.monotonic() - gateways[0].process.started:.2f} s")
    with steps.step("wait until the hubs route each other's network"):
        _wait_hubs(network)
    lyon, nice = network.branches.values()
    for centre in network.centres.values():
        with steps.step(f"ping {centre.name} from the LAN host in lyon") as results:
            _ping(lyon.desk, lyon.address, centre.address, results)
        with steps.step(f"fetch a page from {centre.name}") as results:
            _fetch(lyon, centre, results)
    with steps.step("ping nice's LAN from lyon's") as results:
        _ping(lyon.desk, lyon.address, nice.address, results)
    for table in (demo_tables.tunnels(gateways[0]), demo_tables.gateway_routes(gateways[0]),
                  demo_tables.hub_routes(network.centres[_NEAR])):
        steps.console.print(table)
    with steps.step("trace the way from lyon's LAN to nice's") as results:
        results.append(" > ".join(_way(network)))
    Cuts(network, gateways, home, steps).run()
    with steps.step("stop the gateways: they must leave no device and no route"):
        for gateway in gateways:
            gateway.stop()


def _delay(network: Network) -> None:
    relay = network.centres[_FAR].relay
    relay.up.delay_ms = relay.down.delay_ms = _FAR_MS
    for centre in network.centres.values():
        centre.relay.reports_refusals = True


def _wait_hubs(network: Network) -> None:
    """Wait until each hub has a route to the other's network, by their own link."""
    deadline = time.monotonic() + _TIMEOUT
    near, far = network.centres[_NEAR], network.centres[_FAR]
    for hub, prefix in ((near, far.prefix), (far, near.prefix)):
        while prefix not in {route.prefix for route in hub.babel.routes() if route.selected}:
            if time.monotonic() > deadline:
                raise LabError(f"after {_TIMEOUT:g} s {hub.name} has no route to {prefix}")
            time.sleep(_POLL)


def _wait_centres(network: Network) -> None:
    """Wait until lyon's LAN reaches all data centres."""
    desk = network.branches["lyon"].desk
    deadline = time.monotonic() + _TIMEOUT
    for centre in network.centres.values():
        while not desk.ping(centre.address, timeout=_POLL).received:
            if time.monotonic() > deadline:
                raise LabError(f"after {_TIMEOUT:g} s {centre.address} does not answer")


def _way(network: Network) -> list[str]:
    lyon, nice = network.branches.values()
    return [network.owner(hop) for hop in trace(lyon.desk, nice.address)]


def _ping(host: Host, source: str, address: str, results: list[str]) -> None:
    result = host.ping(address, _PINGS)
    if result.lost:
        raise LabError(f"{result.lost} of {result.sent} pings to {address} were lost")
    results.append(f"{source} > {address}, {result.received} replies, {result.rtt:.1f} ms")


def _fetch(branch: Branch, centre: DataCentre, results: list[str]) -> None:
    page = branch.desk.fetch(centre.url).decode()
    if page != centre.greeting:
        raise LabError(f"{centre.url} answers {page!r}, not {centre.greeting!r}")
    results.append(f"{centre.url} says {page.strip()!r}")


def main(
    hubs: Annotated[Daemon, typer.Option(
        help="What speaks Babel on the hubs. BIRD 2.0 measures no delay: either hub is near then.",
    )] = Daemon.babeld,
) -> None:
    """Two data centres, two branches with our gateway: routes learned, traffic moved.

    While pings and a TCP download run between the branches' LANs, the hub that carries them is cut
    off and comes back, is killed and comes back.

    Everything happens in network namespaces, and nothing of it is left when the demo ends. The
    exit code is 0 only if all of it worked.
    """
    console = Console(width=None if sys.stdout.isatty() else _LOG_WIDTH)
    steps = Steps(console)
    try:
        with Lab() as lab:
            demonstrate(lab, hubs, steps)
    except (Failure, LabError) as error:
        console.print(
            f"\nThe demo failed. {error}", style="red", markup=False, highlight=False,
            soft_wrap=True,
        )
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        console.print("\nStopped by Ctrl-C; everything is cleaned up.")
        sys.exit(128 + signal.SIGINT)
    console.print(f"\nAll of it worked, in {steps.elapsed:.1f} s.", highlight=False)


if __name__ == "__main__":
    typer.run(main)
