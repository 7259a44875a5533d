"""The branches that the bench compares: stock openvpn and babeld, our gateway with each engine."""

import dataclasses
import os
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

    def start(self, network, branch: str) -> "StockBranch | Gateway":
        """Start it on a branch of a lab.topology.Network, with all its tunnels up on return."""
        if self.engine is None:
            started = StockBranch(network, branch).start()
        else:
            started = network.gateway(branch, engine=self.engine, compiled=True,
                                      routing={"stub": True}).start()
        started.wait_up()
        return started


STOCK = BranchSubject("stock openvpn + babeld", "stock")
NATIVE = BranchSubject("gateway, native", "native", "native")
OPENVPN = BranchSubject("gateway, openvpn", "openvpn", "openvpn")
SUBJECTS = (STOCK, NATIVE, OPENVPN)


def cpu_seconds(host: Host) -> float:
    """User and system time so far of all programs that run on a host."""
    ticks = 0
    for pid in namespaces.inhabitants([host.namespace]):
        if pid != os.getpid():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
