"""Babel at scale: our gateway's routing beside stock babeld, in turn on the same device."""

import statistics
import time

from rich import box
from rich.console import Console
from rich.table import Table

from host_tests.bench import babel_heap
from host_tests.bench.babel_network import (
    BABELD,
    GATEWAY,
    Network,
    Subject,
    cpu_seconds,
    resident_kb,
    stop,
)
from host_tests.bench.babel_routes import RouteWatch
from host_tests.lab import Lab, LabError

NEIGHBOURS, PREFIXES = 100, 10
_FLAPPING = 10
_RELAYS = 5
_PAUSE_S = 5.0
# BIRD sends no two triggered updates within a second.
_CALM_S = 1.2
_IDLE_S = 20.0
# Figure -> how it is shown: words and what a second (or KB) of it is multiplied with.
FIGURES = {
    "load_s": ("from the start until all routes are in the kernel, s", 1),
    "relayed_s": ("... and a neighbour has learned them, s", 1),
    "withdrawn_s": ("a tenth of the routes withdrawn, out of the kernel, ms", 1000),
    "returned_s": ("... announced again, back in the kernel, ms", 1000),
    "relay_s": ("a new prefix, from a neighbour to another, ms", 1000),
    "idle_cpu_s": ("CPU time in an idle second, ms", 1000),
    "total_cpu_s": ("CPU time of the whole run, s", 1),
    "resident_kb": ("memory (resident, the most), MB", 1 / 1024),
}


def measure(note, rounds: int) -> dict:
    """What Babel takes of each, and of our heap; see summary and babel_heap.measure."""
    return {**_summary(_turns(note, rounds)), "heap": babel_heap.measure(note)}


def _turns(note, rounds: int) -> dict[Subject, list[dict]]:
    """One dict of FIGURES for each round; the subjects take turns."""
    runs: dict[Subject, list[dict]] = {BABELD: [], GATEWAY: []}
    with Lab() as lab:
        note(f"Babel: starting {NEIGHBOURS} neighbours")
        network = Network(lab, NEIGHBOURS, PREFIXES, _FLAPPING)
        time.sleep(_PAUSE_S)
        for number in range(1, rounds + 1):
            for subject, own in runs.items():
                note(f"Babel, round {number}/{rounds}: {subject.name}")
                own.append(_run(network, subject, _IDLE_S))
    return runs


def _run(network: Network, subject: Subject, idle: float) -> dict:
    network.fresh_device()
    watch = RouteWatch(network.device)
    figures = {}
    began = time.monotonic()
    process = network.start(subject)
    try:
        figures["load_s"] = watch.wait(lambda n: n == network.total) - began
        others = network.total - PREFIXES
        figures["relayed_s"] = network.learned.wait(lambda n: n == others) - began
        time.sleep(_PAUSE_S)
        flapped = network.total - _FLAPPING * PREFIXES
        figures["withdrawn_s"] = _timed(network.flap, "disable", watch, lambda n: n <= flapped)
        time.sleep(_PAUSE_S)
        figures["returned_s"] = _timed(network.flap, "enable", watch, lambda n: n == network.total)
        network.learned.wait(lambda n: n == others)
        figures["relay_s"] = statistics.median(
            _relay(network) for _ in range(_RELAYS))
        before = cpu_seconds(process)
        time.sleep(idle)
        figures["idle_cpu_s"] = (cpu_seconds(process) - before) / idle
        figures["total_cpu_s"] = cpu_seconds(process)
        figures["resident_kb"] = resident_kb(process)
    except LabError as error:
        raise LabError(f"{subject.name}: {error}; its log ends with:\n{process.tail()}") from None
    finally:
        stop(process)
        watch.close()
    network.learned.wait(lambda n: n == 0)
    return figures


def _timed(flap, verb: str, watch: RouteWatch, is_reached) -> float:
    began = time.monotonic()
    flap(verb)
    return watch.wait(is_reached) - began


def _relay(network: Network) -> float:
    """Seconds until what one neighbour announces is in another one's kernel."""
    source = network.flappers[0]
    before = len(network.learned.hops)
    time.sleep(_CALM_S)
    began = time.monotonic()
    source.change("enable", "extra")
    took = network.learned.wait(lambda n: n == before + 1) - began
    time.sleep(_CALM_S)
    source.change("disable", "extra")
    network.learned.wait(lambda n: n == before)
    return took


def _summary(runs: dict[Subject, list[dict]]) -> dict:
    """The medians, their spread, and ours divided by babeld's."""
    result: dict = {"neighbours": NEIGHBOURS, "routes": NEIGHBOURS * PREFIXES,
                    "rounds": len(runs[BABELD]), "figures": {}}
    for figure in FIGURES:
        row = {}
        for subject, own in runs.items():
            values = [run[figure] for run in own]
            row[subject.name] = {"median": statistics.median(values),
                                 "least": min(values), "most": max(values)}
        row["ratio"] = row[GATEWAY.name]["median"] / max(row[BABELD.name]["median"], 1e-9)
        result["figures"][figure] = row
    return result


def show(console: Console, result: dict) -> None:
    """Print what has been measured."""
    table = Table(title=f"Babel, {result['routes']} routes of {result['neighbours']} neighbours, "
                  f"{result['rounds']} rounds", title_justify="left", box=box.SIMPLE_HEAD)
    for column in ("median (least to most)", BABELD.name, GATEWAY.name, "ratio"):
        table.add_column(column, justify="left" if column.startswith("median") else "right")
    for figure, (words, factor) in FIGURES.items():
        row = result["figures"][figure]
        table.add_row(words, *(_spread(row[s.name], factor) for s in (BABELD, GATEWAY)),
                      f"{row['ratio']:.2f}")
    console.print(table)
    for copies, heap in result["heap"].items():
        console.print(
            f"Heap for {babel_heap.PREFIXES} prefixes, each from {copies} of "
            f"{babel_heap.NEIGHBOURS} neighbours: {_kb(heap['agent'] + heap['tables'])}; "
            f"code where it is not frozen: {_kb(heap['code'])}; least heap for both: "
            f"{heap['least_kb']} KB", highlight=False, soft_wrap=True)


def _kb(octets: int) -> str:
    return f"{octets / 1024:.0f} KB"


def _spread(value: dict, factor: float) -> str:
    median, least, most = (f"{value[key] * factor:.{1 if factor > 1 else 2}f}"
                           for key in ("median", "least", "most"))
    return f"{median} ({least} to {most})"
