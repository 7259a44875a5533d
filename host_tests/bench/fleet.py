"""A whole fleet: our gateways beside stock openvpn and babeld at the same branches, in one run.

Of forty branches, say, ten are measured: as our gateways, then as stock branches. All else is the
same: hubs from their kits, and the other branches with stock openvpn and babeld. Each subject has
a lab of its own, raised from the same fleet.toml and keys, so that all starts from nothing.
"""

import contextlib
import statistics
import tempfile
import time
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from branchctl.model import BABEL_DAEMONS
from host_tests.bench.fleet_network import FleetNetwork, FleetSubject
from host_tests.lab import Lab, LabError
from host_tests.lab.fleet_lab import provision
from host_tests.tools.fleets import large, write

_AGENT = "branchline"
STOCK = FleetSubject("stock openvpn + babeld", False)
SUBJECTS = (
    STOCK,
    FleetSubject("gateways", True),
    *([FleetSubject("gateways, our hubs", True, _AGENT)] if _AGENT in BABEL_DAEMONS else []),
)
_CALM_S = 5.0  # between two events
_IDLE_S = 20.0
# Figure -> how it is shown: words and what a second (or KB) of it is multiplied with.
FIGURES = {
    "cold_s": ("all started at once, until each has every route, s", 1),
    "join_s": ("a branch started, until it has every route, s", 1),
    "known_s": ("... and all others have its, s", 1),
    "lost_s": ("a hub killed, until nobody routes by it, ms", 1000),
    "back_s": ("the hub started again, until all reach it by itself, s", 1),
    "announced_s": ("another LAN of a branch, until all have it, ms", 1000),
    "branch_cpu_s": ("a branch, CPU time in an idle second, ms", 1000),
    "branch_kb": ("a branch, memory (resident), MB", 1 / 1024),
    "hub_cpu_s": ("a hub beside OpenVPN, CPU time in an idle second, ms", 1000),
    "hub_kb": ("a hub beside OpenVPN, memory (resident), MB", 1 / 1024),
    "agent_cpu_s": ("... of which the agent, CPU time, ms", 1000),
    "agent_kb": ("... of which the agent, memory, MB", 1 / 1024),
}


def measure(note, rounds: int, hubs: int, branches: int, gateways: int) -> dict:
    """One dict of FIGURES for each round and subject, and their summary."""
    runs: dict[str, list[dict]] = {subject.name: [] for subject in SUBJECTS}
    with tempfile.TemporaryDirectory(prefix="branchline-fleet-") as directory:
        folders = _provisioned(note, Path(directory), hubs, branches)
        for number in range(1, rounds + 1):
            for subject in SUBJECTS:
                def tell(what: str, number=number, subject=subject) -> None:
                    note(f"fleet, round {number}/{rounds}: {subject.name}, {what}")
                runs[subject.name].append(
                    _run(tell, folders[subject.hub_babel], subject, branches, gateways))
    return {"hubs": hubs, "branches": branches, "measured": gateways, "rounds": rounds,
            "figures": _summary(runs), "heap_octets": _heaps(runs)}


def _provisioned(note, directory: Path, hubs: int, branches: int) -> dict[str, Path]:
    """A fleet's folder for each Babel router that hubs run."""
    note(f"fleet: provisioning {hubs} hubs and {branches} branches")
    folders = {}
    for babel in {subject.hub_babel for subject in SUBJECTS}:
        folders[babel] = write(directory / babel, large(hubs, branches, babel))
        provision(folders[babel] / "fleet.toml")
    return folders


def _run(note, folder: Path, subject: FleetSubject, branches: int, measured: int) -> dict:
    with Lab() as lab:
        note("raised")
        with contextlib.closing(FleetNetwork(lab, folder, subject, branches, measured)) as network:
            try:
                return _figures(note, network)
            except LabError as error:
                raise LabError(f"{subject.name}: {error}\n{network.ended()}") from None


def _figures(note, network: FleetNetwork) -> dict:
    figures: dict = {}
    note("cold start")
    figures["cold_s"] = network.cold_start()
    time.sleep(_CALM_S)
    note("a branch joins")
    figures["join_s"], figures["known_s"] = network.join()
    time.sleep(_CALM_S)
    note("a LAN is announced")
    figures["announced_s"] = network.announce()
    time.sleep(_CALM_S)
    note("idle")
    figures.update((f"{name}_cpu_s", value) for name, value in network.idle(_IDLE_S).items())
    figures.update((f"{name}_kb", value) for name, value in network.resident_kb().items())
    note("a hub is lost")
    figures["lost_s"] = network.lose_hub()
    note("the hub comes back")
    figures["back_s"] = network.return_hub()
    if ending := network.ended():
        raise LabError(ending)
    figures["heap"] = network.heap()
    return figures


def _summary(runs: dict[str, list[dict]]) -> dict:
    """The medians, their spread, and each subject's divided by stock's."""
    result = {}
    for figure in FIGURES:
        row = {}
        for name, own in runs.items():
            values = [run[figure] for run in own]
            row[name] = {"median": statistics.median(values), "least": min(values),
                         "most": max(values)}
        for name in runs:
            row[name]["ratio"] = row[name]["median"] / max(row[STOCK.name]["median"], 1e-9)
        result[figure] = row
    return result


def _heaps(runs: dict[str, list[dict]]) -> dict[str, float]:
    return {name: statistics.median(run["heap"] for run in own)
            for name, own in runs.items() if own[0]["heap"] is not None}


def show(console: Console, result: dict) -> None:
    """Print what has been measured."""
    names = list(result["figures"]["cold_s"])
    table = Table(title=f"{result['hubs']} hubs, {result['branches']} branches, "
                  f"{result['measured']} of them measured, {result['rounds']} rounds: median, "
                  "ratio to stock", title_justify="left", box=box.SIMPLE_HEAD)
    for column in ("", *names):
        table.add_column(column, justify="right" if column else "left")
    for figure, (words, factor) in FIGURES.items():
        row = result["figures"][figure]
        table.add_row(words, *(_cell(row[name], factor, name) for name in names))
    console.print(table)
    for name, octets in result["heap_octets"].items():
        console.print(f"{name}: {octets / 1024:.0f} KB of a gateway's heap are live objects",
                      highlight=False, soft_wrap=True)


def _cell(value: dict, factor: float, name: str) -> str:
    shown = value["median"] * factor
    ratio = "" if name == STOCK.name else f"  {value['ratio']:.2f}"
    return f"{shown:.{0 if shown >= 100 else 1}f}{ratio}"
