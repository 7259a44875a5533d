"""Hubs' agents with real OpenVPN servers and Babel daemons: a client comes, moves and goes."""

import signal
import socket
import time

import pytest

from host_tests.interop.hub_support import ANNA, ANNA_LAN, DEVICE, VIRTUAL, HubNetwork
from host_tests.interop.openvpn_support import eventually
from host_tests.lab import Client, Server
from host_tests.lab.hub_agent import HubAgent

_MOVED_S = 3.0  # the usual one of three, on a loaded machine; the figures are printed
_PORT = 6697


@pytest.fixture
def network(lab, request):
    """Three started hubs: with stock daemons that take the agents' routes, or with none."""
    return HubNetwork(lab, request.param).start()


def _with(*kinds):
    return pytest.mark.parametrize("network", [(kind,) * 3 for kind in kinds], ids=kinds,
                                   indirect=True)


@_with("babeld", "bird", "agent")
def test_a_client_arrives_moves_and_leaves(network):
    """Its former hub does not know that it has gone; ghent only observes."""
    relays = {name: network.relay(name) for name in ("paris", "dublin")}
    client = network.client("paris", relays["paris"].remote)
    network.settle("paris")
    figures = []
    for count, (former, where) in enumerate(
            [("paris", "dublin"), ("dublin", "paris"), ("paris", "dublin")]):
        relays[former].cut()
        client.process.kill()
        client = network.client(where, relays[where].remote, wait=False)
        arrived = network.arrival(where, 1 + (count + 1) // 2)
        figures.append(network.settle(where, arrived))
        eventually(lambda: network.hubs["ghent"].reaches(ANNA), "ghent reaches anna")
        assert network.hubs[former].own_routes() == set()
        relays[former].restore()
    print(f"moved within {', '.join(f'{each:.2f}' for each in figures)} s")
    assert sorted(figures)[1] < _MOVED_S
    dublin = network.hubs["dublin"]
    assert dublin.own_routes() == {ANNA, ANNA_LAN}
    clients = dublin.agent.fresh_status()["clients"]
    assert [set(each["announced"]) for each in clients] == [{f"{ANNA}/32", ANNA_LAN}]
    eventually(lambda: all(each["heard_s"] is not None
                           for each in dublin.agent.fresh_status()["hubs"]), "all are heard")
    client.stop()
    network.gone()


@_with("agent")
def test_restarts(network):
    """OpenVPN's, and the agent's own: after a kill, too, its routes to clients stay."""
    paris, ghent = network.hubs["paris"], network.hubs["ghent"]
    client = network.client("paris")
    network.settle("paris")
    with client.host.pinger(paris.address) as pinger:
        paris.agent.kill()
        time.sleep(1)
        paris.agent.start()
        paris.agent.wait_for("took over 2 routes")
        network.settle("paris")
    assert pinger.result.lost < 5
    paris.agent.stop()
    assert paris.own_routes() == {ANNA, ANNA_LAN}
    client.stop()
    eventually(lambda: not paris.server.clients(), "paris's server has no clients")
    paris.agent.start()
    paris.agent.wait_event("hub", "withdrawn", count=2)
    assert paris.own_routes() == set()
    eventually(lambda: not ghent.route(ANNA), "ghent does not route to anna", 30)
    paris.server.kill()
    paris.agent.wait_event("udp", "down")
    paris.server.start()
    paris.agent.wait_event("udp", "up", count=2)
    client = network.client("paris")
    network.settle("paris")
    paris.server.process.signal(signal.SIGSTOP)
    paris.agent.wait_for("udp down no answer to")
    paris.server.process.signal(signal.SIGCONT)
    paris.agent.wait_event("udp", "up", count=3)
    assert paris.own_routes() == {ANNA, ANNA_LAN}


@_with("babeld")
def test_a_dead_hub_hostile_datagrams_and_the_revoked(network):
    """What a dead hub announced is gone elsewhere; nobody but a hub ends a client's session."""
    paris, dublin, ghent = network.hubs.values()
    relay = network.relay("paris")
    client = network.client("paris", relay.remote)
    network.settle("paris")
    # From the host of another hub, but not from its address or port; nonsense from these.
    arrival = b"BLA\x01" + bytes(4) + b"\x04anna\x00"

    def send(address: str, port: int, *datagrams: bytes) -> None:
        with dublin.host.call(socket.socket, socket.AF_INET, socket.SOCK_DGRAM) as link:
            link.bind((address, port))
            for each in datagrams:
                link.sendto(each, (paris.address, _PORT))

    send("0.0.0.0", _PORT + 1, arrival)
    send(dublin.address, 0, arrival)
    dublin.agent.stop()
    send(dublin.address, _PORT, b"", b"BLA\x01\xff", b"BLA\x02" + arrival[4:], bytes(1400),
         arrival[:-1])
    eventually(lambda: paris.agent.fresh_status()["arrivals"].get("malformed") == 5
               and paris.agent.fresh_status()["arrivals"].get("stranger") == 2, "both are counted")
    assert paris.own_routes() == {ANNA, ANNA_LAN}
    dublin.agent.start()
    for each in (paris.server, paris.babel, paris.agent):
        each.kill()
    client.process.kill()
    eventually(lambda: not ghent.route(ANNA), "ghent does not route to anna", 40)
    ghent.agent.config["clients"]["revoked"] = ["anna"]
    ghent.agent.stop()
    client = network.client("ghent")
    eventually(lambda: ghent.server.clients()[0]["Virtual Address"] == ANNA, "anna is at ghent")
    ghent.agent.start()
    ghent.agent.wait_for("anna ended at udp, from [0-9.:]+: revoked")
    ghent.server.wait_for("anna/.* client-instance exiting|SIGTERM.*")
    assert ghent.own_routes() == set()


class _ByPort(Server):
    """Its management interface is at a TCP port, with a password."""

    def _config(self) -> list[str]:
        password = self._write("management.pw", "a secret\n")
        lines = [line for line in super()._config() if not line.startswith("management ")]
        return [*lines, f"management 127.0.0.1 7505 {password}"]


def test_two_servers_by_socket_and_by_port(lab, pki):
    """The latest session of a client counts whichever server it is at; the management interface
    is found by TCP and a password; what is not accepted is not announced."""
    hub, anna = lab.host("hub"), lab.host("anna")
    link = lab.link(hub, anna, "192.0.2.0/24")
    ccd = {"anna": (f"ifconfig-push {ANNA} 255.255.255.0", "iroute 172.16.0.0 255.240.0.0")}
    udp = Server(hub, pki, name=DEVICE, ccd=ccd, push=("explicit-exit-notify 1",)).start()
    tcp = _ByPort(hub, pki, name="bl-tcp", ccd=ccd, proto="tcp", port=443,
                  network="10.9.0.0/24").start()
    agent = HubAgent(
        hub, clients={"accept": [VIRTUAL]}, files={"pw": "a secret\n"}, servers=[
            {"name": "udp", "device": DEVICE, "management": str(udp._management)},
            {"name": "tcp", "device": "bl-tcp", "management": "127.0.0.1:7505",
             "password": "pw"}],
    ).start()
    agent.wait_event("udp", "up")
    agent.wait_event("tcp", "up")

    def way() -> str:
        return hub.ip("-4", "route", "show", ANNA)

    first = Client(anna, udp.profile("anna", link.address(hub)), name="first").start()
    first.wait_up()
    eventually(lambda: f"dev {DEVICE} " in way(), "anna is at the one")
    assert not hub.ip("-4", "route", "show", "172.16.0.0/12")
    first.process.signal(signal.SIGSTOP)
    second = Client(anna, tcp.profile("anna", link.address(hub)), name="second", device="tun1")
    second.start().wait_up()
    eventually(lambda: "dev bl-tcp " in way(), "anna is at the other")
    agent.wait_for("anna ended at udp, from [0-9.:]+: superseded by tcp")
    assert "a secret" not in agent.log()
    second.stop()
    eventually(lambda: not way(), "anna has left")
