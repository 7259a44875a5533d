"""The least heap in which the compiled gateway connects and carries pings."""

import functools
import struct

from host_tests.lab import Gateway, Host, Lab, LabError, Pki, Server

PINGS = 1000
TUNNELS = (1, 2)
_LOW, _HIGH = 32, 1024  # KB: too little, and more than enough
_STEP = 2
_TIMEOUT = 5.0


def measure(note) -> list[dict]:
    """One row for each of TUNNELS. Raises LabError if _HIGH is not enough."""
    rows = []
    for tunnels in TUNNELS:
        with Lab() as lab:
            hub, branch = lab.host("hub"), lab.host("branch")
            link = lab.link(hub, branch, "192.0.2.0/24")
            servers = _servers(hub, Pki(lab.directory / "pki"), tunnels)
            profiles = {
                server.name: server.profile("lyon", link.address(hub)) for server in servers
            }
            addresses = [server.address for server in servers]
            least = _least(functools.partial(_works, note, branch, profiles, addresses))
        rows.append({"tunnels": tunnels, "pings": PINGS, "least_kb": least,
                     "bits": 8 * struct.calcsize("P")})
    return rows


def _servers(hub: Host, pki: Pki, number: int) -> list[Server]:
    return [
        Server(hub, pki, name=f"server{i}", port=1194 + i, network=f"10.{8 + i}.0.0/24",
               wrap="tls-crypt").start()
        for i in range(number)
    ]


def _least(works) -> int:
    low, high = _LOW, _HIGH
    if not works(high):
        raise LabError(f"the gateway does not work in {high} KB of heap")
    while high - low > _STEP:
        middle = (low + high) // 2 // _STEP * _STEP
        if works(middle):
            high = middle
        else:
            low = middle
    return high


def _works(note, branch: Host, profiles: dict[str, str], addresses: list[str],
           kilobytes: int) -> bool:
    note(f"{len(profiles)} tunnels in {kilobytes} KB of heap")
    gateway = Gateway(branch, profiles, heap=f"{kilobytes}k", compiled=True).start()
    try:
        gateway.wait_up(timeout=_TIMEOUT)
        lost = sum(branch.ping(address, PINGS, interval=0.001).lost for address in addresses)
        gateway.stop()
        return lost == 0
    except LabError:
        gateway.process.kill()
        return False
