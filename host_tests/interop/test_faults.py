"""Every fault of the lab, with each engine: the gateway recovers alone, nothing stays stuck."""

import contextlib
import time

import pytest

from host_tests.interop.openvpn_support import eventually
from host_tests.lab import LabError, faults, namespaces
from host_tests.lab.fault_network import FaultNetwork
from host_tests.lab.gap import Traffic

_ENGINES = ("native", "openvpn")
_STEADY = 2.0  # seconds that traffic must flow to count as back
_AROUND = 30.0  # ... and the time in which it is to find the other way
# ... in which all is as before once the fault has gone; one that flapped is kept away for long
_BACK = 150.0
_MARGIN = 240.0  # seconds that a test may take beyond the fault itself
_USUAL = 15.0  # ... and that it takes


def _matrix() -> list:
    """Each fault and the engines of the two branches: where both suffer alike, one of each."""
    cases = []
    for fault in faults.ALL:
        alike = [(engine, engine) for engine in _ENGINES]
        for engines in [_ENGINES] if fault.shared else alike:
            name = f"{'+'.join(dict.fromkeys(engines))}-{fault.name}".replace(" ", "-")
            cases.append(pytest.param(fault, engines, id=name, marks=[
                pytest.mark.timeout(fault.hold + _MARGIN),
                pytest.mark.takes(fault.hold + _USUAL)]))
    return cases


@pytest.mark.parametrize("fault, engines", _matrix())
def test_the_gateway_recovers_alone(lab, fault, engines):
    """Traffic from LAN to LAN finds the way that is left while the fault lasts. Afterwards all
    tunnels are back and carry traffic, and the TCP connection from before still lives; the
    gateways have not been started again and leave no process, device or route."""
    network = FaultNetwork(lab, clocks=fault.clocks)
    network.start()
    gateways = [network.gateway(name, engine).start()
                for name, engine in zip(network.branches, engines, strict=True)]
    for gateway in gateways:
        gateway.wait_up()
    network.settle()
    with _logs_shown(gateways), \
            Traffic(network.source.desk, network.target.desk, network.target.address) as traffic:
        _endure(network, fault, traffic)
        fault.heal(network)
        network.settle(_BACK, by=None)
        assert traffic.wait_steady(_STEADY, _BACK), "the traffic has not come back"
        _assert_tunnels_carry(network)
    assert traffic.download.error == ""
    for gateway in gateways:
        assert gateway.log().count("gateway start") == 1
        assert "Traceback" not in gateway.log()
        gateway.stop()
        assert namespaces.inhabitants([gateway.host.namespace]) == []


@contextlib.contextmanager
def _logs_shown(gateways):
    """The gateways' logs, where something does not come back."""
    try:
        yield
    except (AssertionError, LabError):
        for gateway in gateways:
            print(f"---- {gateway.name}\n{gateway.log()}")
        raise


def _endure(network: FaultNetwork, fault: faults.Fault, traffic: Traffic) -> None:
    """The time from the beginning of a fault to its end."""
    began = time.monotonic()
    fault.inject(network)
    time.sleep(fault.hold)
    if fault.passable:
        back = traffic.wait_steady(_STEADY, _AROUND, download=False)
        gap = traffic.between(began, time.monotonic())
        print(f"{fault.name}: no reply for {gap.gap_ms:.0f} ms, nothing over TCP for "
              f"{gap.stall_ms:.0f} ms")
        assert back, f"{network.missing(by=None) or 'lossy'}: {gap}"


def _assert_tunnels_carry(network: FaultNetwork) -> None:
    """Each branch reaches each hub by the hub's own tunnel, be it over UDP or TCP."""
    for branch in network.branches.values():
        for hub, centre in network.centres.items():
            ends = (centre.server.address, network.tcp[hub].address)
            eventually(lambda b=branch, e=ends: any(
                b.gateway.ping(end, 3, timeout=1.0).lost == 0 for end in e),
                f"{branch.name}'s tunnel to {hub} carries traffic")
