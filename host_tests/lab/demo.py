"""`make demo`: two data centres, one branch, both tunnels up, and traffic through each."""

import contextlib
import json
import signal
import sys
import time
from enum import StrEnum
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from host_tests.lab.errors import LabError
from host_tests.lab.gateway import Gateway
from host_tests.lab.netns import Lab
from host_tests.lab.openvpn import Client
from host_tests.lab.topology import Branch, DataCentre, TwoCentres

_PINGS = 10
_LOG_WIDTH = 100  # columns, where the output is no terminal
_COLUMNS = ("tunnel", "state", "remote", "address", "cipher", "RTT", "bytes in", "bytes out")


class Which(StrEnum):
    """What plays the branch's gateway."""

    gateway = "gateway"
    stock = "stock"


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


class GatewayBranch:
    """Our firmware on MicroPython: one process for all tunnels."""

    what = "the gateway on MicroPython"

    def __init__(self, branch: Branch, profiles: dict[str, str]):
        self._gateway = Gateway(branch.gateway, profiles, lans=branch.lans)

    def start(self) -> None:
        self._gateway.start()

    def wait_up(self) -> float:
        return self._gateway.wait_up()

    def rows(self) -> dict[str, dict]:
        """Tunnel name -> what the table shows of it."""
        return {entry["name"]: entry for entry in self._gateway.fresh_status()["tunnels"]}

    def stop(self) -> None:
        self._gateway.stop()


class StockBranch:
    """The stock client, for comparison: one process for each tunnel."""

    what = "stock openvpn clients"

    def __init__(self, branch: Branch, profiles: dict[str, str]):
        self._clients = [Client(branch.gateway, profile, name=name, device=f"tun-{name}")
                         for name, profile in profiles.items()]

    def start(self) -> None:
        for client in self._clients:
            client.start()

    def wait_up(self) -> float:
        return max(client.wait_up() for client in self._clients)

    def rows(self) -> dict[str, dict]:
        """Tunnel name -> what the table shows of it."""
        return {client.name: self._row(client) for client in self._clients}

    def stop(self) -> None:
        for client in self._clients:
            if code := client.stop():
                raise LabError(f"{client.process.name} ended with {code}")

    def _row(self, client: Client) -> dict:
        shown = client.host.ip("-json", "-stats", "address", "show", "dev", client.device)
        device = json.loads(shown)[0]
        address = device["addr_info"][0]
        return {
            "state": "up",
            "remote": client.process.wait_for(r"link remote: \[AF_INET6?\](\S+)")[1],
            "address": f"{address['local']}/{address['prefixlen']}",
            "cipher": client.process.wait_for(r"Data Channel: cipher '([^']+)'")[1],
            "rx_octets": device["stats64"]["rx"]["bytes"],
            "tx_octets": device["stats64"]["tx"]["bytes"],
        }


_BRANCHES = {Which.gateway: GatewayBranch, Which.stock: StockBranch}


def demonstrate(lab: Lab, which: Which, steps: Steps) -> None:
    """All of the demo; raises Failure when any of it does not work."""
    with steps.step("make two data centres, a branch, and an internet between them"):
        network = TwoCentres(lab, wrap="tls-crypt")
    with steps.step("start the stock OpenVPN servers of paris and dublin"):
        network.start()
    branch = _BRANCHES[which](network.branch, network.profiles())
    with steps.step(f"start {branch.what} in lyon"):
        branch.start()
    with steps.step("wait for both tunnels") as results:
        results.append(f"up after {branch.wait_up():.2f} s")
    rtts = {}
    for centre in network.centres:
        with steps.step(f"ping {centre.name} from the LAN host in lyon") as results:
            rtts[centre.name] = _ping(network.branch, centre, results)
        with steps.step(f"fetch a page from {centre.name}") as results:
            _fetch(network.branch, centre, results)
    with steps.step("ask the gateway for its state"):
        rows = branch.rows()
    steps.console.print(_table(rows, rtts))
    with steps.step("stop the gateway: it must leave no device and no route"):
        branch.stop()


def _ping(branch: Branch, centre: DataCentre, results: list[str]) -> float:
    result = branch.host.ping(centre.address, _PINGS)
    if result.lost:
        raise LabError(f"{result.lost} of {result.sent} pings to {centre.address} were lost")
    results.append(f"{branch.address} -> {centre.address}, {result.received} replies")
    return result.rtt


def _fetch(branch: Branch, centre: DataCentre, results: list[str]) -> None:
    page = branch.host.fetch(centre.url).decode()
    if page != centre.greeting:
        raise LabError(f"{centre.url} answers {page!r}, not {centre.greeting!r}")
    results.append(f"{centre.url} says {page.strip()!r}")


def _table(rows: dict[str, dict], rtts: dict[str, float]) -> Table:
    table = Table(title="lyon's tunnels", box=box.SIMPLE_HEAD, pad_edge=False)
    for number, column in enumerate(_COLUMNS):
        table.add_column(column, justify="right" if number >= 5 else "left", no_wrap=True)
    for name, row in rows.items():
        table.add_row(
            name, row["state"], str(row["remote"]), str(row["address"]), str(row["cipher"]),
            f"{rtts[name]:.2f} ms", f"{row['rx_octets']:,}", f"{row['tx_octets']:,}",
        )
    return table


def main(
    client: Annotated[Which, typer.Option(
        help="What plays the branch: our gateway, or the stock client to compare it with.",
    )] = Which.gateway,
) -> None:
    """Two data centres, one branch gateway, both tunnels up, and traffic through each.

    Everything happens in network namespaces, and nothing of it is left when the demo ends. The
    exit code is 0 only if all of it worked.
    """
    console = Console(width=None if sys.stdout.isatty() else _LOG_WIDTH)
    steps = Steps(console)
    try:
        with Lab() as lab:
            demonstrate(lab, client, steps)
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
