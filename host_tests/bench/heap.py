"""The least heap in which the compiled gateway connects and carries pings."""

from host_tests.bench.network import BenchNetwork
from host_tests.bench.subjects import COMPILED
from host_tests.lab import Lab, LabError

PINGS = 1000
_LOW, _HIGH = 32, 512  # KB: too little, and more than enough
_STEP = 2
_TIMEOUT = 5.0


def measure(note) -> int:
    """KB of MicroPython's heap, within _STEP. Raises LabError if _HIGH is not enough."""
    with Lab() as lab:
        network = BenchNetwork(lab, "AES-256-GCM")
        low, high = _LOW, _HIGH
        if not _works(network, high, note):
            raise LabError(f"the gateway does not work in {high} KB of heap")
        while high - low > _STEP:
            middle = (low + high) // 2 // _STEP * _STEP
            if _works(network, middle, note):
                high = middle
            else:
                low = middle
    return high


def _works(network: BenchNetwork, kilobytes: int, note) -> bool:
    note(f"heap of {kilobytes} KB")
    gateway = network.start(COMPILED, heap=f"{kilobytes}k")
    try:
        gateway.wait_up(timeout=_TIMEOUT)
        lost = network.branch.ping(network.server.address, PINGS, interval=0.001).lost
        gateway.stop()
        return lost == 0
    except LabError:
        gateway.process.kill()
        return False
