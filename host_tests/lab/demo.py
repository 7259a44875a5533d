"""`make demo`: two data centres and two branches; routes learned, a hub cut, traffic moved."""

import contextlib
import signal
import sys
import time
from enum import StrEnum
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from host_tests.lab.babel import MacKey
from host_tests.lab.errors import LabError
from host_tests.lab.gateway import Gateway
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


class Failure(Exception):
    """A step went wrong; the message is for the user."""


class Steps:
    """Says what is happening, how long it has taken, and which step failed."""

    def __init__(self, console: Console):
        self.console = console
        self._began = time.monotonic()

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._began

    @contextlib.contextmanager
    def step(self, what: str):
        """Announce a step; what the body appends to the yielded list ends its line."""
        results: list[str] = []
        with self.console.status(f"{what} ..."):
            try:
                yield results
            except LabError as error:
                self._line("[red]failed[/]", what, [])
                raise Failure(f"{what}: {error}") from error
        self._line("[green]ok[/]", what, results)

    def _line(self, verdict: str, what: str, results: list[str]) -> None:
        detail = f"  [dim]{', '.join(results)}[/]" if results else ""
        self.console.print(
            f"{self.elapsed:6.2f} s  {verdict}  {what}{detail}", highlight=False, soft_wrap=True,
        )


def demonstrate(lab: Lab, daemon: Daemon, steps: Steps) -> None:
    """All of the demo; raises Failure when any of it does not work."""
    with steps.step("make two data centres and two branches, with an internet between them"):
        network = Network(lab, {_FAR: daemon.value, _NEAR: daemon.value}, ("lyon", "nice"),
                          key=MacKey(), hello_ms=_HELLO_MS, wrap="tls-crypt")
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
        _wait_path(network, _NEAR if daemon is Daemon.babeld else None)
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
    steps.console.print(_tunnels(gateways[0]))
    steps.console.print(_gateway_routes(gateways[0]))
    steps.console.print(_hub_routes(network.centres[_NEAR]))
    with steps.step("trace the way from lyon's LAN to nice's") as results:
        way = _way(network)
        results.append(" > ".join(way))
    _cut(network, way[1], steps)
    with steps.step("stop the gateways: they must leave no device and no route"):
        for gateway in gateways:
            gateway.stop()


def _delay(network: Network) -> None:
    relay = network.centres[_FAR].relay
    relay.up.delay_ms = relay.down.delay_ms = _FAR_MS


def _cut(network: Network, hub: str, steps: Steps) -> None:
    """Kill the hub that carries the branches' traffic, and measure how long it is away."""
    lyon, nice = network.branches.values()
    other = next(name for name in network.centres if name != hub)
    with lyon.desk.pinger(nice.address) as pinger:
        with steps.step(f"kill {hub}, with pings under way, 50 a second"):
            time.sleep(10 * _POLL)
            network.centres[hub].server.kill()
            network.centres[hub].babel.kill()
        with steps.step(f"wait until the traffic goes through {other}"):
            _wait_path(network, other)
            time.sleep(10 * _POLL)
    result = pinger.result
    steps.console.print(
        f"          {result.lost} of {result.sent} pings were lost; the longest silence was "
        f"{result.gap:.2f} s", highlight=False, style="bold",
    )
    with steps.step("trace the way again") as results:
        results.append(" > ".join(_way(network)))
    with steps.step(f"fetch a page from {other}") as results:
        _fetch(lyon, network.centres[other], results)


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


def _wait_path(network: Network, hub: str | None) -> None:
    """Wait until the LANs of the branches reach each other by that hub both ways, or by any."""
    lyon, nice = network.branches.values()
    deadline = time.monotonic() + _TIMEOUT
    while True:
        ways = (_device(lyon.gateway, nice.address), _device(nice.gateway, lyon.address))
        hubs = {way.removeprefix("tun-") for way in ways if way.startswith("tun-")}
        if (hubs and hub in (None, *hubs) and len(hubs) == 1
                and lyon.desk.ping(nice.address, timeout=_POLL).received):
            return
        if time.monotonic() > deadline:
            raise LabError(f"after {_TIMEOUT:g} s the ways are {ways}")
        time.sleep(_POLL)


def _device(host: Host, address: str) -> str:
    done = host.run("ip", "route", "get", address, check=False)
    return done.stdout.partition(" dev ")[2].partition(" ")[0]


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


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        right = column in ("RTT", "metric", "in", "out", "cost")
        table.add_column(column, justify="right" if right else "left", no_wrap=True)
    return table


def _tunnels(gateway: Gateway) -> Table:
    status = gateway.fresh_status()
    neighbours = {item["device"]: item for item in status["routing"]["neighbours"]}
    table = _table(f"{gateway.name}'s tunnels", "tunnel", "state", "remote", "address", "cipher",
                   "RTT", "cost")
    for row in status["tunnels"]:
        neighbour = neighbours[row["device"]]
        address = row["address"].partition(",")[0]
        table.add_row(row["name"], row["state"], str(row["remote"]), address,
                      str(row["cipher"]), _rtt(neighbour["rtt_ms"]), str(neighbour["cost"]))
    return table


def _rtt(ms: float | None) -> str:
    return "-" if ms is None else f"{ms:.1f} ms"  # BIRD 2.0 measures none


def _gateway_routes(gateway: Gateway) -> Table:
    table = _table(f"what {gateway.name}'s gateway has learned", "prefix", "via", "device",
                   "metric")
    for route in sorted(gateway.status()["routing"]["routes"], key=lambda r: r["prefix"]):
        table.add_row(route["prefix"], route["via"], route["device"], str(route["metric"]))
    return table


def _hub_routes(centre: DataCentre) -> Table:
    table = _table(f"what {centre.name}'s hub has learned ({centre.babel.version()})", "prefix",
                   "via", "device", "metric")
    for route in sorted(centre.babel.routes(), key=lambda r: r.prefix):
        if route.selected:
            table.add_row(route.prefix, route.via, route.device, str(route.metric))
    return table


def main(
    hubs: Annotated[Daemon, typer.Option(
        help="What speaks Babel on the hubs. BIRD 2.0 measures no delay: either hub is near then.",
    )] = Daemon.babeld,
) -> None:
    """Two data centres, two branches with our gateway: routes learned, a hub cut, traffic moved.

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
