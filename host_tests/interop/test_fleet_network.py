"""Hubs of a fleet together: links between them, the policy, and what must not pass."""

import re
import socket

import pytest

from host_tests.interop.fleet_support import FleetNetwork
from host_tests.interop.openvpn_support import eventually

PARIS, DUBLIN = "10.1.0.2", "10.2.0.2"
NICE = "192.168.12.2"


@pytest.fixture
def fleet(lab):
    """Two hubs, one with each daemon; both branches connected to both, behind their firewall."""
    network = FleetNetwork(lab, {"paris": "babeld", "dublin": "bird"}).start()
    for name in ("lyon", "nice"):
        network.hosts[name].run("nft", "-f", str(network.folder / f"bundles/{name}/policy.nft"))
        gateway = network.gateway(name).start()
        gateway.wait_up()
    return network


def reaches(host, address: str) -> None:
    eventually(lambda: host.ping(address, timeout=0.5).received, f"{host} reaches {address}", 40)


def tcp(host, address: str, port: int) -> bool:
    """Whether a connection comes about."""
    def connect() -> bool:
        with socket.socket() as link:
            link.settimeout(1.5)
            try:
                link.connect((address, port))
            except OSError:
                return False
            return True
    return host.call(connect)


def listen(host, address: str, *ports: int) -> list[socket.socket]:
    return [host.call(socket.create_server, (address, port)) for port in ports]


def test_what_the_policy_allows_and_nothing_else(fleet):
    """lyon may ping nice and open its port 80; nice may open nothing towards lyon; data centres
    may be pinged from paris to dublin, not back."""
    lyon, nice = fleet.desks["lyon"], fleet.desks["nice"]
    for desk in (lyon, nice):
        for address in (PARIS, DUBLIN):
            reaches(desk, address)
    reaches(lyon, NICE)
    listeners = listen(nice, NICE, 80, 22) + listen(lyon, "192.168.11.2", 80)
    assert tcp(lyon, NICE, 80)
    assert not tcp(lyon, NICE, 22)
    assert not tcp(nice, "192.168.11.2", 80)
    assert nice.ping("192.168.11.2", timeout=1).received == 0
    reaches(fleet.servers["paris"], DUBLIN)
    assert fleet.servers["dublin"].ping(PARIS, timeout=1).received == 0
    for each in listeners:
        each.close()


def test_hubs_learn_from_each_other_over_the_mesh(fleet):
    def learned(hub, prefix):
        return any(prefix in line and "bl-mesh-" in line
                   for line in fleet.hosts[hub].ip("route").splitlines())

    eventually(lambda: learned("dublin", "10.1.0.0/24"), "dublin learns paris's prefix", 40)
    eventually(lambda: learned("paris", "10.2.0.0/24"), "paris learns dublin's prefix", 40)


def pings_from(host, source: str, address: str) -> bool:
    """Whether an echo request with that source, which becomes the host's, is answered."""
    host.ip("address", "replace", f"{source}/32", "dev", "lo")
    done = host.run("ping", "-c", "1", "-W", "1", "-I", source, address, check=False)
    return done.returncode == 0


def dropped(fleet, hub: str) -> int:
    """How many packets the firewall's rules against wrong sources have dropped."""
    text = fleet.hosts[hub].run("nft", "list", "chain", "inet", "branchline", "spoofed").stdout
    return sum(int(each) for each in re.findall(r"counter packets (\d+)", text))


def test_spoofed_sources_are_dropped(fleet):
    """From a branch OpenVPN drops them; from a data centre the firewall does."""
    lyon = fleet.desks["lyon"]
    reaches(lyon, PARIS)
    reaches(fleet.desks["nice"], DUBLIN)
    gateway = fleet.hosts["lyon"]
    gateway.ip("route", "replace", "10.1.0.0/24", "dev", "bl-paris")
    fleet.hubs["paris"].agent.stop()  # the server's management interface serves one at a time
    with socket.socket(socket.AF_UNIX) as management:  # drops are logged from this level on
        management.connect(str(fleet.hubs["paris"].root / "run/branchline/udp1194.sock"))
        management.sendall(b"verb 5\n")
        eventually(lambda: b"SUCCESS" in management.recv(4096), "the server takes the level")
    assert pings_from(gateway, "10.100.0.3", PARIS)
    assert not pings_from(gateway, "10.2.0.77", PARIS)
    log = "".join(each.log() for each in fleet.hubs["paris"].servers.values())
    assert "bad source address from client [10.2.0.77]" in log
    before = dropped(fleet, "paris")
    assert not pings_from(fleet.servers["paris"], "192.168.12.9", "192.168.11.2")
    assert dropped(fleet, "paris") == before + 1


def test_a_client_roams_between_hubs_with_different_server_keys(fleet):
    """Its profile has a key for each hub; its address is the same at both."""
    fleet.branchctl("rotate", "tls-crypt", "--server", "dublin")
    hub = fleet.hubs["dublin"].install()
    hub.restart_unit("openvpn-server@branchline-udp1194.service", at_once=True)
    profile = (fleet.folder / "clients/anna.ovpn").read_text()
    assert profile.count("<connection>") == 4
    address = None
    for name in ("paris", "dublin"):
        client = fleet.client(profile, name=name).start()
        client.wait_up()
        found = fleet.hosts["anna"].ip("-4", "-o", "address", "show", "dev", "tun0").split()[3]
        assert address in (None, found)
        address = found
        client.stop()
        fleet.hubs["paris"].servers["branchline-udp1194"].stop()
        fleet.hubs["paris"].servers["branchline-tcp443"].stop()
    assert "anna/" in fleet.hubs["dublin"].servers["branchline-udp1194"].log()
