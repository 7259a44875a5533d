"""`make demo`: a fleet of two data centres and two branches; routes learned, a hub cut, traffic
moved."""

import signal
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from branchctl.fleet import FILE
from host_tests.lab import demo_tables
from host_tests.lab.demo_cuts import Cuts, wait_path
from host_tests.lab.demo_steps import Failure, Steps
from host_tests.lab.errors import LabError
from host_tests.lab.fleet_lab import FleetLab, provision
from host_tests.lab.netns import Host, Lab
from host_tests.lab.sites import HubSite
from host_tests.lab.trace import trace

FLEET = Path(__file__).with_name("demo.toml")
_PINGS = 5
_LOG_WIDTH = 100  # columns, where the output is no terminal
_FAR_MS = 20  # added to each way between the branches and the farther hub
_NEAR, _FAR = "dublin", "paris"


class Daemon(StrEnum):
    """What speaks Babel on the hubs."""

    babeld = "babeld"
    bird = "bird"


def demonstrate(lab: Lab, daemon: Daemon, steps: Steps) -> None:
    """All of the demo; raises Failure when any of it does not work."""
    # BIRD 2.0 measures no delay: either hub is near.
    home = (_NEAR,) if daemon is Daemon.babeld else (_NEAR, _FAR)
    with steps.step("branchctl provision: keys, hub kits and bundles from one file") as results:
        folder = lab.directory / "fleet"
        folder.mkdir()
        text = FLEET.read_text().replace('"babeld"', f'"{daemon.value}"')
        (folder / FILE).write_text(text)
        provision(folder / FILE)
        results.append(f"{FLEET.name}, {len(text.splitlines())} lines")
    with steps.step("make two data centres, two branches and a laptop, and an internet between"):
        fleet = FleetLab(lab, folder, slow={_FAR: _FAR_MS})
    with steps.step("install the hubs from their kits and start them") as results:
        fleet.start(*fleet.hubs)
        results.append(fleet.hubs[_FAR].hub.routing.version())
    with steps.step("start both gateways, on MicroPython, and the laptop's client"):
        fleet.start(*fleet.branches, *fleet.clients)
    gateways = [branch.gateway for branch in fleet.branches.values()]
    began = gateways[0].process.started
    with steps.step("wait for both tunnels of both") as results:
        results.append(f"up after {max(gateway.wait_up() for gateway in gateways):.2f} s")
    with steps.step("wait until the branches route each other's LAN") as results:
        wait_path(fleet, *home)
        results.append(f"LAN to LAN after {time.monotonic() - began:.2f} s")
    with steps.step("wait until everybody routes everybody's networks"):
        fleet.wait()
    lyon, nice = fleet.branches.values()
    for hub in fleet.hubs.values():
        with steps.step(f"ping {hub.name} from the LAN host in lyon") as results:
            _ping(lyon.outlook, lyon.address, hub.address, results)
        with steps.step(f"fetch a page from {hub.name}") as results:
            _fetch(lyon.outlook, hub, results)
    with steps.step("ping nice's LAN from lyon's") as results:
        _ping(lyon.outlook, lyon.address, nice.address, results)
    anna = fleet.clients["anna"]
    with steps.step("ping nice's LAN from the laptop, which runs stock OpenVPN") as results:
        _ping(anna.outlook, anna.virtual, nice.address, results)
    for table in (demo_tables.tunnels(gateways[0]), demo_tables.gateway_routes(gateways[0]),
                  demo_tables.hub_routes(fleet.hubs[_NEAR])):
        steps.console.print(table)
    with steps.step("trace the way from lyon's LAN to nice's") as results:
        results.append(" > ".join(map(lab.owner, trace(lyon.outlook, nice.address))))
    Cuts(fleet, home, steps).run()
    with steps.step("stop the gateways: they must leave no device and no route"):
        for gateway in gateways:
            gateway.stop()


def _ping(host: Host, source: str, address: str, results: list[str]) -> None:
    result = host.ping(address, _PINGS)
    if result.lost:
        raise LabError(f"{result.lost} of {result.sent} pings to {address} were lost")
    results.append(f"{source} > {address}, {result.received} replies, {result.rtt:.1f} ms")


def _fetch(host: Host, hub: HubSite, results: list[str]) -> None:
    url = f"http://{hub.address}/"
    page = host.fetch(url).decode()
    if page != hub.greeting:
        raise LabError(f"{url} answers {page!r}, not {hub.greeting!r}")
    results.append(f"{url} says {page.strip()!r}")


def main(
    hubs: Annotated[Daemon, typer.Option(
        help="What speaks Babel on the hubs. BIRD 2.0 measures no delay: either hub is near then.",
    )] = Daemon.babeld,
) -> None:
    """A fleet of two data centres and two branches: routes learned, traffic moved.

    branchctl makes everything from one file. While pings and a TCP download run between the
    branches' LANs, the hub that carries them is cut off and comes back, is killed and comes back.

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
