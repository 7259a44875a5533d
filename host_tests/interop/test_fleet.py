"""A whole fleet: three hubs, each with another Babel daemon, four branches, clients that roam."""

import re
import socket
import struct
import time

import pytest

from host_tests.interop.openvpn_support import eventually
from host_tests.interop.services import EVERY, Services
from host_tests.lab import Client, Lab
from host_tests.lab.fleet_lab import FleetLab, provision
from host_tests.lab.ping import checksum
from host_tests.tools.fleets import branchctl, write

FLEET = """
network = "acme"
virtual = "10.100.0.0/24"
mesh = "10.8.0.0/24"

[hubs.paris]
endpoints = ["udp://paris.example:1194", "tcp://paris.example:443"]
tunnels = "10.8.1.0/24"
prefixes = ["10.1.0.0/24"]

[hubs.dublin]
endpoints = ["udp://192.0.2.2:1194"]
tunnels = "10.8.2.0/24"
prefixes = ["10.2.0.0/24"]
babel = "bird"

[hubs.oslo]
endpoints = ["udp://oslo.example:1194"]
tunnels = "10.8.3.0/24"
prefixes = ["10.3.0.0/24"]
babel = "branchline"

[branches]
lyon = { lans = ["192.168.11.0/24"] }
nice = { lans = ["192.168.12.0/24"] }
brest = { lans = ["192.168.13.0/24"] }
graz = { lans = { lan0 = "192.168.14.0/24" } }

[clients]
anna = { address = "10.100.0.50" }
ben = { hubs = ["paris", "dublin"] }
lost = {}

[groups]
shops = ["brest", "graz"]

[[policy]]
from = ["branches", "anna"]
to = "hubs"
allow = "any"

[[policy]]
from = "lyon"
to = "nice"
allow = ["icmp", "tcp/80"]

[[policy]]
from = "shops"
to = "shops"
allow = ["icmp", "udp/5000-5010"]

[[policy]]
from = "anna"
to = "all"
allow = ["icmp", "tcp/22"]

[[policy]]
from = "paris"
to = "dublin"
allow = "icmp"

[[policy]]
from = "ben"
to = "oslo"
allow = "tcp/443"

[[policy]]
from = "ben"
to = "anna"
allow = "icmp"

[[policy]]
from = "dublin"
to = "anna"
allow = "tcp/5900"
"""
HUBS = {"paris": EVERY, "dublin": EVERY, "oslo": EVERY}
ADMIN = {"icmp", "tcp/22"}
# The policy above once more, by hand.
ALLOWED = {
    "lyon": {**HUBS, "nice": {"icmp", "tcp/80"}},
    "nice": HUBS,
    "brest": {**HUBS, "graz": {"icmp", "udp/5000"}},
    "graz": {**HUBS, "brest": {"icmp", "udp/5000"}},
    "anna": {**HUBS, "lyon": ADMIN, "nice": ADMIN, "brest": ADMIN, "graz": ADMIN, "ben": ADMIN},
    "ben": {"oslo": {"tcp/443"}, "anna": {"icmp"}},
    "paris": {"dublin": {"icmp"}},
    "dublin": {"anna": {"tcp/5900"}},
}
STOLEN = ("lost",)  # is not started
SOON = 5  # seconds: agents tell each other at once, the rest is for a slow machine


@pytest.fixture(scope="module")
def fleet():
    """All of it, up."""
    with Lab() as lab:
        folder = write(lab.directory / "fleet", FLEET)
        provision(folder / "fleet.toml")
        network = FleetLab(lab, folder, idle=STOLEN)
        yield network.start().wait()


def without(absent: str) -> dict:
    """What is allowed among all others."""
    found = {source: {target: services for target, services in others.items() if target != absent}
             for source, others in ALLOWED.items() if source != absent}
    return {source: others for source, others in found.items() if others}


def only(fleet, name: str, hub: str) -> str:
    """A client's profile, less all remotes but one hub's."""
    endpoints = {f"remote {each.host} {each.port} " for each in fleet.fleet.hubs[hub].endpoints}
    text = (fleet.folder / "clients" / f"{name}.ovpn").read_text()
    return "\n".join(line for line in text.splitlines() if not line.startswith("remote ")
                     or any(line.startswith(each) for each in endpoints))


def test_hubs_learn_from_each_other_by_the_links_between_them(fleet):
    for hub in fleet.hubs:
        for other in fleet.hubs.values():
            if other.name != hub:
                prefix = str(other.member.prefixes[0])
                eventually(lambda hub=hub, to=prefix: has_route(fleet, hub, to).startswith(
                    "bl-mesh-"), f"{hub} reaches {prefix} by its own link", 40)


def test_all_reach_each_other_as_the_policy_says_and_not_otherwise(fleet):
    with Services(fleet, STOLEN) as services:
        assert services.reached(ALLOWED) == ALLOWED


@pytest.mark.timeout(180)
@pytest.mark.takes(40)
def test_all_others_go_on_without_a_hub_and_find_it_again(fleet):
    """Each hub loses power, as soon as the one before has it again. Paris serves the clients,
    which then go to another hub by themselves."""
    with Services(fleet, STOLEN) as services:
        for hub in ("oslo", "dublin", "paris"):
            fleet.hubs[hub].hub.kill()
            expected = without(hub)
            assert services.reached(expected, absent=(hub,)) == expected, f"without {hub}"
            fleet.hubs[hub].hub.restart()
        assert services.reached(ALLOWED) == ALLOWED


def test_a_client_that_moves_to_another_hub_is_reached_there(fleet):
    """It says no word to the former one, whose session with it goes on for seconds. Who comes and
    goes within the life of an update, 7 s, may be looked for at the hub before for as long."""
    anna = fleet.clients["anna"]
    anna.client.process.kill()
    for hub, patience in (("dublin", SOON), ("oslo", 20), ("paris", 20)):
        client = Client(anna.host, only(fleet, "anna", hub), name=f"at-{hub}").start()
        client.wait_up()
        began = time.monotonic()
        for target in fleet.branches.values():
            eventually(lambda to=target.address: anna.host.ping(to, timeout=0.2).received,
                       f"anna at {hub} reaches {target.name} and is answered", 20)
        assert time.monotonic() - began < patience
        assert has_route(fleet, hub, anna.virtual).startswith("bl-udp")
        client.process.kill()
    anna.client.start()


def has_route(fleet, hub: str, address: str) -> str:
    """The device by which a hub reaches an address; "" if it has no route of its own to it."""
    return fleet.hubs[hub].devices().get(address, "")


def test_sources_that_are_not_a_branchs_own_are_dropped_at_the_hub(fleet):
    """The branch's gateway itself sends them, past its own firewall; and a data centre's host."""
    brest, paris, dublin = fleet.branches["brest"], fleet.hubs["paris"], fleet.hubs["dublin"]
    for sender, target, own, wrong in (
        (brest.host, paris, "192.168.13.9",
         ("192.168.12.9", "10.100.0.50", "10.2.0.9", "10.8.1.1", "198.51.100.1")),
        (paris.outlook, dublin, "10.1.0.9", ("192.168.12.9", "10.100.0.50", "10.3.0.9")),
    ):
        with target.outlook.call(socket.socket, socket.AF_INET, socket.SOCK_RAW,
                                 socket.IPPROTO_ICMP) as listener:
            def heard(source, sender=sender, target=target, listener=listener) -> bool:
                sender.call(send_echo, source, target.address)
                return arrives(listener, source)

            eventually(lambda heard=heard, own=own: heard(own), f"{own} is heard")
            assert [each for each in wrong if heard(each)] == []
            assert heard(own)


def arrives(listener: socket.socket, source: str) -> bool:
    """Whether a packet with that source comes within a second."""
    deadline = time.monotonic() + 1.0
    while (left := deadline - time.monotonic()) > 0:
        listener.settimeout(left)
        try:
            packet = listener.recv(100)
        except TimeoutError:
            return False
        if packet[12:16] == socket.inet_aton(source):
            return True
    return False


def send_echo(source: str, target: str) -> None:
    """An echo request with any source."""
    echo = struct.pack("!BBHHH", 8, 0, 0, 1, 1)
    echo = echo[:2] + struct.pack("!H", checksum(echo)) + echo[4:]
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(echo), 0, 0, 64, 1, 0,
                         socket.inet_aton(source), socket.inet_aton(target))
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        raw.sendto(header + echo, (target, 0))


def test_who_is_revoked_is_refused_at_every_hub_after_one_installation(fleet):
    """Also a session that is under way ends."""
    host, hubs = fleet.clients["lost"].host, fleet.hubs
    profiles = {hub: only(fleet, "lost", hub) for hub in hubs}
    client = Client(host, profiles["paris"], name="lost").start()
    client.wait_up()
    run = branchctl(fleet.folder, "revoke", "lost")
    assert run.code == 0, run.err
    for site in hubs.values():
        site.hub.upgrade()
    server = hubs["paris"].hub.servers["branchline-udp1194"]
    eventually(lambda: re.search(r"lost/.*(client-kill|SIGTERM|SIGUSR1)", server.log()),
               "the session ends", 20)
    client.process.kill()
    for hub, profile in profiles.items():
        Client(host, profile, name=f"again-{hub}", device=f"tun-{hub}").start()
    for hub, site in hubs.items():
        eventually(lambda site=site: any(
            re.search(r"VERIFY ERROR.*certificate revoked.*CN=lost", process.log())
            for process in site.hub.servers.values()), f"{hub} refuses the certificate", 30)
        eventually(lambda hub=hub: not has_route(fleet, hub, fleet.clients["lost"].virtual),
                   f"{hub} has no route to it any more", 20)
