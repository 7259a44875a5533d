"""Hubs' agents with real OpenVPN servers and Babel daemons: a stock client comes, moves and goes."""

import socket
import time

import pytest

from host_tests.interop.hub_support import ANNA, ANNA_LAN, DEVICE, VIRTUAL, HubNetwork
from host_tests.interop.openvpn_support import eventually
from host_tests.lab import Server
from host_tests.lab.hub_agent import HubAgent

_MOVED_S = 3.0  # on a loaded machine; the figures are printed


@pytest.fixture(params=[("babeld", "babeld", "babeld"), ("bird", "bird", "bird"),
                        ("agent", "agent", "agent")], ids=lambda kinds: kinds[0])
def network(lab, request):
    """Three started hubs: with stock daemons that take the agents' routes, or with none."""
    return HubNetwork(lab, request.param).start()


def test_a_client_arrives_moves_and_leaves(network):
    """Its former hub does not know that it has gone; ghent only observes."""
    relays = {name: network.relay(name) for name in ("paris", "dublin")}
    client = network.client("paris", relays["paris"].remote)
    network.settle("paris")
    assert ANNA_LAN in network.hubs["paris"].own_routes()
    figures = []
    for count, where in enumerate(("dublin", "paris", "dublin"), 2):
        former = "paris" if where == "dublin" else "dublin"
        relays[former].cut()
        client.process.kill()
        client = network.client(where, relays[where].remote, wait=False)
        arrived = network.arrival(where, count // 2)
        figures.append(network.settle(where, arrived))
        assert network.hubs["ghent"].reaches(ANNA)
        assert network.hubs[former].own_routes() == set()
        relays[former].restore()
    print(f"moved within {', '.join(f'{each:.2f}' for each in figures)} s")
    assert sorted(figures)[1] < _MOVED_S
    assert any(each["name"] == "anna" and each["announced"] == [f"{ANNA}/32", ANNA_LAN]
               for each in network.hubs["dublin"].agent.fresh_status()["clients"])
    client.stop()
    network.gone()
