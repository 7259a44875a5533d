"""How long traffic between two branches' LANs is away when something fails.

Stock openvpn and babeld, and our gateway with each engine, take turns as both branches of one
network, with the same hubs (stock openvpn and babeld) and profiles. Each of the 15 faults of
lab.faults.BENCH (their causes are told there) is injected while pings and a TCP download run from
LAN to LAN, and lasts until they have flowed again for a while.
"""

import statistics
import time
from concurrent.futures import ThreadPoolExecutor

from rich import box
from rich.console import Console
from rich.table import Table

from host_tests.bench.branches import SUBJECTS, BranchSubject
from host_tests.lab import Lab, LabError
from host_tests.lab.fault_network import FaultNetwork
from host_tests.lab.faults import BENCH, Fault
from host_tests.lab.gap import Traffic

_QUIET = 0.5  # seconds of traffic before a fault
_STEADY = 2.0  # seconds that traffic flows before it counts as back
_PATIENCE = 40.0  # seconds in which it has to come back
_LAST_REPLIES = 0.3  # seconds before the end of a measurement whose pings still miss replies


def measure(note, rounds: int, faults: tuple[Fault, ...] = BENCH,
            subjects: tuple[BranchSubject, ...] = SUBJECTS) -> dict:
    """The gaps of each fault and subject, one for each round, and their summary."""
    runs: dict[str, dict[str, list[dict]]] = {
        fault.name: {subject.name: [] for subject in subjects} for fault in faults}
    with Lab() as lab:
        network = FaultNetwork(lab)
        network.start()
        for number in range(1, rounds + 1):
            for subject in subjects:
                for fault in faults:
                    note(f"gaps, round {number}/{rounds}: {subject.name}, {fault.name}")
                    runs[fault.name][subject.name].append(_run(network, subject, fault))
    return {"rounds": rounds, "faults": runs, "summary": _summary(runs, subjects)}


def _run(network: FaultNetwork, subject: BranchSubject, fault: Fault) -> dict:
    """What a fault does to the traffic of fresh branches: their watchdog would take fault upon
    fault for a hub that flaps."""
    network.forget()
    branches = [subject.start(network, name) for name in network.branches]
    try:
        network.settle()
        with Traffic(network.source.desk, network.target.desk, network.target.address) as traffic:
            time.sleep(_QUIET)
            began = time.monotonic()
            fault.inject(network)
            time.sleep(fault.hold)
            back = traffic.wait_steady(_STEADY, _PATIENCE)
            gap = traffic.between(began, time.monotonic() - _LAST_REPLIES)
            fault.heal(network)
    except LabError as error:
        raise LabError(f"{subject.name}, {fault.name}: {error}\n{branches[0].log()}") from None
    finally:
        with ThreadPoolExecutor(len(branches)) as pool:
            list(pool.map(lambda branch: branch.stop(), branches))
    return {"gap_ms": gap.gap_ms, "lost": gap.lost, "tcp_stall_ms": gap.stall_ms, "back": back}


def _summary(runs: dict, subjects: tuple[BranchSubject, ...]) -> dict:
    """Of each subject: the median over the faults of each one's median, and the worst of all."""
    result = {}
    for subject in subjects:
        gaps = {fault: [run["gap_ms"] for run in own[subject.name]] for fault, own in runs.items()}
        worst = max(gaps, key=lambda fault: max(gaps[fault]))
        result[subject.name] = {
            "median_ms": statistics.median(map(statistics.median, gaps.values())),
            "worst_ms": max(gaps[worst]), "worst_fault": worst,
        }
    return result


def show(console: Console, result: dict) -> None:
    """Print what has been measured."""
    subjects = list(result["summary"])
    table = Table(title=f"LAN to LAN: longest silence in ms (of TCP), {result['rounds']} rounds",
                  title_justify="left", box=box.SIMPLE_HEAD)
    for column in ("fault", *subjects):
        table.add_column(column, justify="left" if column == "fault" else "right")
    for fault, own in result["faults"].items():
        table.add_row(fault, *(_cell(own[subject]) for subject in subjects))
    table.add_section()
    for words, key in (("median", "median_ms"), ("worst", "worst_ms")):
        table.add_row(words, *(f"{result['summary'][name][key]:.0f}" for name in subjects))
    console.print(table)


def _cell(runs: list[dict]) -> str:
    gap = statistics.median(run["gap_ms"] for run in runs)
    stall = statistics.median(run["tcp_stall_ms"] for run in runs)
    most = max(run["gap_ms"] for run in runs)
    spread = f" to {most:.0f}" if len(runs) > 1 else ""
    return f"{gap:.0f}{spread} ({stall:.0f})" + ("" if all(r["back"] for r in runs) else " stuck")
