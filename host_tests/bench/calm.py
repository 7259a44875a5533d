"""What branches do when nothing is broken: false alarms on a lossy path, CPU time when idle."""

import re
import time

from rich import box
from rich.console import Console
from rich.table import Table

from host_tests.bench.branches import SUBJECTS, BranchSubject, cpu_seconds
from host_tests.lab import Lab
from host_tests.lab.fault_network import FaultNetwork
from host_tests.lab.route_log import RouteLog
from host_tests.lab.topology import Network

LOSS_PERCENT = 5
TUNNELS = 4
_HUBS = ("paris", "dublin", "oslo", "turin")
_IDLE_S = 30.0
_CALM_S = 5.0  # after the start
_HELLO_MS = 500
_BRANCHES = ("lyon", "nice", "brest")
# What the logs say of a tunnel: that its session was given up (in stock openvpn's words and ours),
# and what our watchdog thinks of it.
_ALARMS = {
    "restarts": re.compile(r"SIG(?:USR1|TERM)\[soft,|^\S+ +\S+ +\S+ +down ", re.MULTILINE),
    "down": re.compile(r"^\S+ +\S+ +\S+ +health +down", re.MULTILINE),
    "damped": re.compile(r"^\S+ +\S+ +\S+ +suppressed", re.MULTILINE),
}


def alarms(note, minutes: float, subjects: tuple[BranchSubject, ...] = SUBJECTS) -> dict:
    """Alarms and moved routes in that time, while every uplink loses 5 % each way; all subjects
    run side by side, a branch each."""
    with Lab() as lab:
        network = FaultNetwork(lab, branches=_BRANCHES[:len(subjects)])
        network.start()
        branches = [subject.start(network, name)
                    for subject, name in zip(subjects, network.branches)]
        network.settle()
        time.sleep(_CALM_S)
        routes = [RouteLog(branch.host) for branch in branches]
        before = [_counted(branch.log()) for branch in branches]
        for branch in network.branches.values():
            branch.uplink.loss(LOSS_PERCENT)
        note(f"alarms: {LOSS_PERCENT} % loss for {minutes:g} minutes")
        time.sleep(minutes * 60)
        rows = {}
        for subject, branch, log, old in zip(subjects, branches, routes, before):
            counts = {name: count - old[name] for name, count in _counted(branch.log()).items()}
            counts["moves"] = log.moves(*_prefixes(network, branch.name))
            rows[subject.name] = counts
        for branch in network.branches.values():
            branch.uplink.restore()
        for branch in branches:
            branch.stop()
    return {"minutes": minutes, "loss_percent": LOSS_PERCENT, "subjects": rows}


def idle(note, subjects: tuple[BranchSubject, ...] = SUBJECTS) -> dict:
    """CPU time in a second of a branch with four tunnels up and no traffic, in ms: all of its
    programs together; and its ratio to the first subject's."""
    with Lab() as lab:
        network = Network(lab, dict.fromkeys(_HUBS[:TUNNELS], "babeld"), hello_ms=_HELLO_MS,
                          keepalive=(1, 5), wrap="tls-crypt")
        network.start()
        taken = {}
        for subject in subjects:
            note(f"idle: {subject.name} with {TUNNELS} tunnels, {_IDLE_S:g} s")
            branch = subject.start(network, next(iter(network.branches)), snapshot=False)
            time.sleep(_CALM_S)
            before = cpu_seconds(branch.host)
            time.sleep(_IDLE_S)
            taken[subject.name] = (cpu_seconds(branch.host) - before) / _IDLE_S * 1000
            branch.stop()
    first = next(iter(taken.values()))
    return {"tunnels": TUNNELS, "subjects": {
        name: {"ms_per_second": ms, "ratio": ms / first} for name, ms in taken.items()}}


def show_alarms(console: Console, result: dict) -> None:
    """Print the false alarms."""
    table = _table(f"Alarms in {result['minutes']:g} minutes at {result['loss_percent']} % loss "
                   "each way", "tunnel restarts", "tunnels taken as down", "damped",
                   "routes moved")
    for subject, counts in result["subjects"].items():
        table.add_row(subject, *(str(counts[key]) for key in (*_ALARMS, "moves")))
    console.print(table)


def show_idle(console: Console, result: dict) -> None:
    """Print the CPU times."""
    table = _table(f"Idle with {result['tunnels']} tunnels", "CPU ms in a second", "ratio")
    for subject, row in result["subjects"].items():
        table.add_row(subject, f"{row['ms_per_second']:.1f}", f"{row['ratio']:.2f}")
    console.print(table)


def _counted(log: str) -> dict[str, int]:
    return {name: len(pattern.findall(log)) for name, pattern in _ALARMS.items()}


def _prefixes(network: FaultNetwork, name: str) -> list[str]:
    """What the routes of a branch lead to: the data centres and the other branches."""
    return [*(centre.prefix for centre in network.centres.values()),
            *(branch.lan for branch in network.branches.values() if branch.name != name)]


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for column in ("branch", *columns):
        table.add_column(column, justify="left" if column == "branch" else "right")
    return table
