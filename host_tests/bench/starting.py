"""How soon the tunnel is up, counted from the start of the process."""

import re
import statistics
import time

from host_tests.bench.network import BenchNetwork
from host_tests.bench.subjects import Subject
from host_tests.lab import Lab

_UP = r"Initialization Sequence Completed|^\S+ +info +hub up "
_TIMEOUT = 20.0
ROUND_TRIPS = (0, 30)  # ms


def measure(
    subjects: tuple[Subject, ...], starts: int, round_trip: int, note,
) -> dict[Subject, list[float]]:
    """Subject -> seconds of each start; the subjects take turns. round_trip: ms to the server."""
    times: dict[Subject, list[float]] = {subject: [] for subject in subjects}
    with Lab() as lab:
        network = BenchNetwork(lab, "AES-256-GCM")
        if round_trip:
            network.delay(round_trip)
        for number in range(1, starts + 1):
            for subject in subjects:
                note(f"start {number}/{starts}, round trip {round_trip} ms: {subject.name}")
                client = network.start(subject)
                times[subject].append(_up_after(client.process))
                client.stop()
    return times


def summary(times: dict[Subject, list[float]]) -> list[dict]:
    """One row for each subject: milliseconds, and the ratio to the first subject."""
    medians = {subject: statistics.median(own) for subject, own in times.items()}
    first = next(iter(medians.values()))
    return [
        {
            "subject": subject.name,
            "median_ms": medians[subject] * 1000,
            "least_ms": min(own) * 1000,
            "most_ms": max(own) * 1000,
            "ratio": medians[subject] / first,
        }
        for subject, own in times.items()
    ]


def _up_after(process) -> float:
    """Seconds from the start of a process until it says that its tunnel is up.

    Looks more often than the lab does: the times are of a few milliseconds.
    """
    up = re.compile(_UP, re.MULTILINE)
    while not up.search(process.log()):
        if not process.running or time.monotonic() > process.started + _TIMEOUT:
            process.wait_for(_UP, 0)
        time.sleep(0.0005)
    return time.monotonic() - process.started
