"""How soon the tunnel is up, counted from the start of the process."""

import statistics

from host_tests.bench.network import BenchNetwork
from host_tests.bench.subjects import Subject
from host_tests.lab import Lab


def measure(subjects: tuple[Subject, ...], starts: int, note) -> dict[Subject, list[float]]:
    """Subject -> seconds of each start; the subjects take turns."""
    times: dict[Subject, list[float]] = {subject: [] for subject in subjects}
    with Lab() as lab:
        network = BenchNetwork(lab, "AES-256-GCM")
        for number in range(1, starts + 1):
            for subject in subjects:
                note(f"start {number}/{starts}: {subject.name}")
                client = network.start(subject)
                times[subject].append(client.wait_up())
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
