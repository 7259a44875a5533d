"""`make bench`: our gateway beside the stock OpenVPN client and babeld, as tables and as JSON."""

import datetime
import json
import os
import platform
import re
import subprocess
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from host_tests.bench import babel, calm, fleet, gaps, heap, report, starting, throughput
from host_tests.bench.branches import SUBJECTS
from host_tests.bench.subjects import STARTS, THROUGHPUT
from host_tests.lab import LabError, faults

_ROOT = Path(__file__).resolve().parents[2]
_VERSIONS = {
    "openvpn": ["openvpn", "--version"],
    "babeld": ["babeld", "-V"],
    "bird": ["bird", "--version"],
    "iperf3": ["iperf3", "--version"],
    "micropython": [str(_ROOT / ".toolchain/bin/micropython"), "-c",
                    "import sys; print(sys.version)"],
}
_QUICK = {"seconds": 2.0, "rounds": 1, "starts": 3, "minutes": 1.0}


_KINDS = {subject.key: subject for subject in SUBJECTS}


class Part(StrEnum):
    """What can be measured."""

    throughput = "throughput"
    start = "start"
    heap = "heap"
    babel = "babel"
    gaps = "gaps"
    alarms = "alarms"
    idle = "idle"
    fleet = "fleet"


def main(
    parts: Annotated[list[Part] | None, typer.Argument(
        help="What to measure; everything if none is named.", show_default=False)] = None,
    quick: Annotated[bool, typer.Option(
        help="2 s, 1 round, 3 starts, 1 minute: to see that it runs; too short for figures."
    )] = False,
    seconds: Annotated[float, typer.Option(min=1, help="Length of each transfer.")] = 5,
    rounds: Annotated[int, typer.Option(min=1, help="Turns that each client has.")] = 3,
    starts: Annotated[int, typer.Option(min=1, help="Starts of each client.")] = 10,
    cipher: Annotated[list[str] | None, typer.Option(
        help=f"Only this cipher: {', '.join(THROUGHPUT)}.", show_default=False)] = None,
    fault: Annotated[list[str] | None, typer.Option(
        help="Only this fault in gaps, such as \"link cut\".", show_default=False)] = None,
    branch: Annotated[list[str] | None, typer.Option(
        help=f"Only this kind of branch in gaps, alarms and idle: {', '.join(_KINDS)}.",
        show_default=False)] = None,
    minutes: Annotated[float, typer.Option(help="How long alarms are counted.")] = 10,
    hubs: Annotated[int, typer.Option(min=2, max=7, help="Hubs of the fleet.")] = 3,
    branches: Annotated[int, typer.Option(min=3, max=200, help="Branches of the fleet.")] = 40,
    gateways: Annotated[int, typer.Option(
        min=2, help="How many of these are measured; not the last one.")] = 10,
    output: Annotated[Path, typer.Option(
        help="Where the JSON goes.")] = _ROOT / "build" / "bench.json",
) -> None:
    """Measure our gateway beside the stock OpenVPN client.

    Both run in turn in one lab of network namespaces, with the same profile and against the same
    stock server, with socket buffers of 2 MB everywhere. A ratio above 1 means for throughput
    that the gateway is faster, for CPU time and starts that it takes longer. The figures hold for
    this machine while nothing else runs on it: the load average is printed for you to judge.

    For gaps, alarms and idle, whole branches are compared: ours, and one of stock openvpn and
    babeld, with the same hubs. For fleet, a whole fleet is raised from a fleet.toml, and some of
    its branches are measured as each.

    `make bench` runs it all; `make bench` takes no options, this program does:
    `.venv/bin/python -m host_tests.bench throughput --rounds 5`.
    """
    if quick:
        seconds, rounds, starts, minutes = _QUICK.values()
    unknown = set(cipher or ()) - set(THROUGHPUT)
    if unknown:
        raise typer.BadParameter(f"no cipher {unknown.pop()}: it is {' or '.join(THROUGHPUT)}")
    unknown = set(branch or ()) - set(_KINDS)
    if unknown:
        raise typer.BadParameter(f"no branch {unknown.pop()}: it is {' or '.join(_KINDS)}")
    if gateways >= branches:
        raise typer.BadParameter("not all branches of the fleet can be measured")
    kinds = tuple(_KINDS[key] for key in branch or _KINDS)
    try:
        chosen = tuple(map(faults.by_name, fault)) if fault else faults.BENCH
    except KeyError as error:
        raise typer.BadParameter(error.args[0]) from None
    console = Console()
    try:
        with console.status("starting") as status:
            result = _measure(set(parts or Part), seconds, rounds, starts,
                              cipher or list(THROUGHPUT), chosen, kinds, minutes,
                              (hubs, branches, gateways), status.update)
    except LabError as error:
        console.print(f"The bench stopped: {error}", style="red", markup=False)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        sys.exit(130)
    report.show(console, result)
    for part, show_part in (("babel", babel.show), ("gaps", gaps.show),
                            ("alarms", calm.show_alarms), ("idle", calm.show_idle),
                            ("fleet", fleet.show)):
        if part in result:
            show_part(console, result[part])
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(result, indent=2) + "\n")
    console.print(f"Written to {output}", highlight=False, soft_wrap=True)


def _measure(parts, seconds, rounds, starts, ciphers, chosen, kinds, minutes, size,
             note) -> dict:
    result = {"environment": _environment()}
    if Part.start in parts:
        result["start"] = {
            str(ms): starting.summary(starting.measure(STARTS, starts, ms, note))
            for ms in starting.ROUND_TRIPS
        }
    if Part.throughput in parts:
        result["throughput"] = {
            cipher: throughput.summary(
                throughput.measure(cipher, THROUGHPUT[cipher], seconds, rounds, note))
            for cipher in ciphers
        }
    if Part.heap in parts:
        result["heap"] = heap.measure(note)
    if Part.babel in parts:
        result["babel"] = babel.measure(note, rounds)
    if Part.gaps in parts:
        result["gaps"] = gaps.measure(note, rounds, chosen, kinds)
    if Part.alarms in parts:
        result["alarms"] = calm.alarms(note, minutes, kinds)
    if Part.idle in parts:
        result["idle"] = calm.idle(note, kinds)
    if Part.fleet in parts:
        result["fleet"] = fleet.measure(note, rounds, *size)
    result["environment"]["load_average_after"] = os.getloadavg()
    return result


def _environment() -> dict:
    """What the figures depend on."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "processor": _processor(),
        "kernel": platform.release(),
        "versions": {name: _first_line(command) for name, command in _VERSIONS.items()},
        "load_average_before": os.getloadavg(),
    }


def _processor() -> str:
    model = re.search(r"^model name\s*: (.*)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return model[1] if model else platform.machine()


def _first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        raise LabError(f"the program {command[0]} is missing: run `make setup`") from None
    return (done.stdout or done.stderr).partition("\n")[0]


if __name__ == "__main__":
    typer.run(main)
