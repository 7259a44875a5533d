"""Throughput and CPU time: iperf3 TCP through the tunnel, clients in turn.

All run on the same cores as the server and iperf3 themselves, and the machine may be busy with
other things: so the clients take turns, and what is reported is the median of the rounds and
the median of the ratios within a round.
"""

import contextlib
import dataclasses
import json
import os
import statistics
from pathlib import Path

from host_tests.bench.network import BenchNetwork
from host_tests.bench.subjects import STOCK, Subject
from host_tests.lab import Host, Lab, LabError

DIRECTIONS = {"up": (), "down": ("-R",)}
_TICK_US = 1_000_000 / os.sysconf("SC_CLK_TCK")
_PATIENCE = 20  # seconds beyond the run that iperf3 gets


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of iperf3: Mbit/s, TCP segments sent again, CPU time of the client for a packet."""

    mbit_s: float
    retransmits: int
    cpu_us: float


def measure(cipher: str, subjects: tuple[Subject, ...], seconds: float, rounds: int, note):
    """(subject, direction) -> list of Run, one for each round; note(text) is told what runs."""
    runs: dict[tuple[Subject, str], list[Run]] = {}
    with Lab() as lab:
        network = BenchNetwork(lab, cipher)
        listener = network.hub.spawn("iperf3", "-s", "-B", network.server.address, "--forceflush")
        listener.wait_for("Server listening")
        for number in range(1, rounds + 1):
            for subject in subjects:
                client = network.start(subject)
                client.wait_up()
                for direction, options in DIRECTIONS.items():
                    note(f"{cipher} round {number}/{rounds}: {subject.name}, {direction}")
                    run = _run(network, client.process.pid, seconds, options)
                    runs.setdefault((subject, direction), []).append(run)
                client.stop()
    return runs


def summary(runs: dict[tuple[Subject, str], list[Run]]) -> list[dict]:
    """One row for each subject and direction: medians, and the ratio to the stock client."""
    rows = []
    for (subject, direction), own in runs.items():
        stock = runs[STOCK, direction]
        rows.append({
            "subject": subject.name,
            "direction": direction,
            "mbit_s": statistics.median(run.mbit_s for run in own),
            "ratio": statistics.median(a.mbit_s / b.mbit_s for a, b in zip(own, stock)),
            "cpu_us_per_packet": statistics.median(run.cpu_us for run in own),
            "cpu_ratio": statistics.median(a.cpu_us / b.cpu_us for a, b in zip(own, stock)),
            "retransmits": statistics.median(run.retransmits for run in own),
            "runs": [dataclasses.asdict(run) for run in own],
        })
    return rows


def _run(network: BenchNetwork, pid: int, seconds: float, options: tuple[str, ...]) -> Run:
    device = network.server.name
    packets, ticks = _packets(network.hub, device), _ticks(pid)
    result = _iperf(network, seconds, options)
    ticks, packets = _ticks(pid) - ticks, _packets(network.hub, device) - packets
    return Run(
        mbit_s=result["sum_received"]["bits_per_second"] / 1e6,
        retransmits=result["sum_sent"]["retransmits"],
        cpu_us=ticks * _TICK_US / packets,
    )


def _iperf(network: BenchNetwork, seconds: float, options: tuple[str, ...]) -> dict:
    command = ["iperf3", "-J", "-c", network.server.address, "-t", f"{seconds:g}", *options]
    output = network.branch.run(*command, timeout=seconds + _PATIENCE, check=False).stdout
    with contextlib.suppress(ValueError, KeyError):
        result = json.loads(output)
        if "error" not in result:
            return result["end"]
        output = result["error"]
    raise LabError(f"`{' '.join(command)}` measured nothing: {output.strip()}")


def _packets(host: Host, device: str) -> int:
    """Packets of both directions; at the server, whose device counts each one by itself."""
    shown = host.ip("-json", "-stats", "link", "show", "dev", device)
    counts = json.loads(shown)[0]["stats64"]
    return counts["rx"]["packets"] + counts["tx"]["packets"]


def _ticks(pid: int) -> int:
    """User and system time of a process so far, in clock ticks."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
