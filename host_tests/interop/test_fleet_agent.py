"""Hubs from kits with their agents: a stock client is reached at whichever hub it connects."""

import sys
import time
from pathlib import Path

from host_tests.interop.fleet_support import FleetNetwork
from host_tests.interop.openvpn_support import eventually

HUBS = {"paris": "babeld", "dublin": "bird", "oslo": "branchline"}
# A hub's server notices after 20 s that a client has gone without a word; agents tell each other
# within 1 s, and the rest is for a slow machine.
SOON = 8
AGENT = "branchline-agent.service"


def reached(fleet, address: str) -> float:
    """Seconds until a host behind the branch reaches an address."""
    began = time.monotonic()
    eventually(lambda: fleet.desks["lyon"].ping(address, timeout=0.2).received,
               f"lyon reaches {address}", 40)
    return time.monotonic() - began


def leads_to(fleet, hub: str, address: str) -> str:
    """The device by which a hub reaches an address, or "" if it does not."""
    found = fleet.hosts[hub].ip("-o", "route", "show", address)
    return found.partition(" dev ")[2].partition(" ")[0]


def test_a_stock_client_is_reached_at_each_hub_until_it_is_revoked(lab):
    """With each Babel daemon; nobody sets a route by hand. One agent runs on CPython."""
    fleet = FleetNetwork(lab, HUBS, {"dublin": Path(sys.executable)}).start()
    gateway = fleet.gateway("lyon").start()
    gateway.wait_up()
    for number in range(1, 1 + len(HUBS)):
        reached(fleet, f"10.{number}.0.2")
    client = address = None
    for hub in HUBS:
        if client:
            client.process.kill()  # the hub before still has its session
        client = fleet.client(fleet.profile(hub), name=hub, device=f"tun-{hub}").start()
        client.wait_up()
        found = fleet.hosts["anna"].ip("-4", "-o", "address", "show", f"tun-{hub}").split()[3]
        taken = reached(fleet, found.partition("/")[0])
        if address:
            assert taken < SOON
        assert address in (None, found)
        address = found
        assert leads_to(fleet, hub, found.partition("/")[0]) == "bl-udp1194"
    address = address.partition("/")[0]
    fleet.branchctl("revoke", "anna")
    for hub in fleet.hubs.values():
        hub.install().restart_unit(AGENT)
    for hub in HUBS:
        eventually(lambda hub=hub: not leads_to(fleet, hub, address),
                   f"{hub} has no route to the client", SOON)
    server = fleet.hubs["oslo"].servers["branchline-udp1194"]
    server.wait_for("certificate revoked")
