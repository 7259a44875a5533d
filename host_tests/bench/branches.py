"""The branches that the bench compares: stock openvpn and babeld, our gateway with each engine."""

import dataclasses
import os
import re
from pathlib import Path

from host_tests.lab import Gateway, Host, namespaces
from host_tests.lab.stock_branch import StockBranch


@dataclasses.dataclass(frozen=True)
class BranchSubject:
    """What can run a branch. key: on the command line; engine: of our gateway's tunnels, None for
    the stock programs."""

    name: str
    key: str
    engine: str | None = None

    def start(self, network, branch: str, snapshot: bool = True) -> "StockBranch | Gateway":
        """Start it on a branch of a lab.topology.Network, with all its tunnels up on return;
        snapshot: whether our gateway writes its status each second, which it is asked for here
        but not by default."""
        if self.engine is None:
            started = StockBranch(network, branch).start()
        else:
            started = network.gateway(branch, engine=self.engine, compiled=True,
                                      routing={"stub": True})
            started.snapshot = snapshot
            started.start()
        started.wait_up()
        return started


STOCK = BranchSubject("stock openvpn + babeld", "stock")
NATIVE = BranchSubject("gateway, native", "native", "native")
OPENVPN = BranchSubject("gateway, openvpn", "openvpn", "openvpn")
SUBJECTS = (STOCK, NATIVE, OPENVPN)


def cpu_seconds(host: Host) -> float:
    """Processor time so far of all programs that run on a host."""
    return sum(process_seconds(pid) for pid in namespaces.inhabitants([host.namespace])
               if pid != os.getpid())


def process_seconds(pid: int) -> float:
    """Processor time so far of a process, to the nanosecond: /proc/PID/stat only says what ran
    when a tick came, which misses the most of what runs for less."""
    nanoseconds = sum(int(path.read_text().split()[0])
                      for path in Path(f"/proc/{pid}/task").glob("*/schedstat"))
    return nanoseconds / 1e9


def resident_kb(pid: int) -> int:
    """The memory that a process has now."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^VmRSS:\s*(\d+)", status, re.MULTILINE)[1])
