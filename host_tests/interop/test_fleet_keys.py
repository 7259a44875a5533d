"""What branchctl makes, used by real peers: a hub from its kit, stock clients, our gateway."""

import json
import re

import pytest

from host_tests.interop.fleet_support import FleetNetwork
from host_tests.interop.openvpn_support import eventually
from host_tests.lab import LabError
from host_tests.tools.fleets import branchctl

HUB, SERVER = "10.100.0.1", "10.1.0.2"  # the virtual address, and a host in the data centre
UDP, TCP = "openvpn-server@branchline-udp1194.service", "openvpn-server@branchline-tcp443.service"


@pytest.fixture
def fleet(lab):
    """One hub, running babeld."""
    return FleetNetwork(lab, {"paris": "babeld"}).start()


def server_log(fleet) -> str:
    return "".join(each.log() for each in fleet.hubs["paris"].servers.values())


def reaches(host, address: str) -> None:
    eventually(lambda: host.ping(address, timeout=0.5).received, f"{host} reaches {address}", 30)


@pytest.mark.parametrize("proto", ["udp", "tcp-client"])
def test_a_stock_client_gets_its_virtual_address(fleet, proto):
    profile = (fleet.folder / "clients/anna.ovpn").read_text()
    lines = [line for line in profile.splitlines()
             if not line.startswith("remote ") or line.endswith(" " + proto)]
    client = fleet.client("\n".join(lines)).start()
    client.wait_up()
    host = fleet.hosts["anna"]
    assert " 10.100.0.4/24 " in host.ip("-4", "-o", "address", "show", "dev", "tun0")
    assert "10.1.0.0/24" in host.ip("route", "show", "dev", "tun0")
    reaches(host, HUB)
    assert host.ping(SERVER).received == 1
    assert "MULTI ERROR" not in server_log(fleet)


def test_our_gateway_is_served_as_its_bundle_says(fleet):
    gateway = fleet.gateway("lyon").start()
    gateway.wait_up()
    gateway.wait_for(r"babel route 10\.1\.0\.0/24 via 10\.8\.1\.1")
    reaches(fleet.desks["lyon"], SERVER)
    assert fleet.desks["lyon"].ping(HUB).received == 1
    assert "ignored line" not in gateway.log()
    gateway.stop()


def test_another_fleets_keys_are_refused(lab, fleet):
    """A client key that another server key has wrapped is not answered; a certificate of another
    CA is refused, even behind the right key."""
    (lab.directory / "other").mkdir()
    text = (fleet.folder / "fleet.toml").read_text()
    (lab.directory / "other/fleet.toml").write_text(text)
    assert branchctl(lab.directory / "other", "provision").code == 0
    theirs = (lab.directory / "other/clients/anna.ovpn").read_text()
    ours = (fleet.folder / "clients/anna.ovpn").read_text()
    wrapped = re.compile(r"<tls-crypt-v2>.*</tls-crypt-v2>", re.DOTALL)
    with pytest.raises(LabError):
        fleet.client(theirs).start().wait_up(timeout=4)
    assert "Can not unwrap tls-crypt-v2 client key" in server_log(fleet)
    mixed = wrapped.sub(lambda _: wrapped.search(ours)[0], theirs)
    mixed = re.sub(r"<ca>.*</ca>", lambda _: re.search(r"<ca>.*</ca>", ours, re.DOTALL)[0],
                   mixed, flags=re.DOTALL)
    fleet.client(mixed, name="mixed").start()
    eventually(lambda: "VERIFY ERROR" in server_log(fleet), "the hub refuses the certificate")


def test_a_branch_cannot_pose_as_a_hub(fleet):
    """Branches' certificates are for clients: others refuse them as a server's."""
    branch = (fleet.folder / "state/credentials/nice.pem").read_text()
    mark = "-----BEGIN CERTIFICATE"
    keys = fleet.hubs["paris"].root / "etc/openvpn/server/branchline"
    (keys / "hub.key").write_text(branch.partition(mark)[0])
    (keys / "hub.crt").write_text(mark + branch.partition(mark)[2])
    fleet.hubs["paris"].restart_unit(UDP)
    gateway = fleet.gateway("lyon").start()
    gateway.wait_for("paris down tls-error")


def test_who_is_revoked_is_refused_once_the_kit_is_installed(fleet):
    client = fleet.client().start()
    client.wait_up()
    client.stop()
    profile = (fleet.folder / "clients/anna.ovpn").read_text()
    fleet.branchctl("revoke", "anna")
    assert not (fleet.folder / "clients/anna.ovpn").exists()
    fleet.hubs["paris"].install()
    fleet.client(profile, name="again").start()
    eventually(lambda: "certificate revoked" in server_log(fleet), "the hub refuses it")
    fleet.branchctl("provision", "anna")
    fleet.hubs["paris"].install()
    fleet.client(name="anew", device="tun9").start().wait_up()


def test_renewed_and_former_certificates_are_both_good(fleet):
    former = (fleet.folder / "clients/anna.ovpn").read_text()
    fleet.branchctl("renew", "anna", "paris")
    hub = fleet.hubs["paris"].install()
    renewed = (fleet.folder / "clients/anna.ovpn").read_text()
    assert former != renewed
    for profile in (former, renewed):
        client = fleet.client(profile, name=f"client{profile == former}").start()
        client.wait_up()
        client.stop()
    hub.restart_unit(UDP)
    client = fleet.client(former, name="last").start()
    client.wait_up()


def test_rotated_tls_crypt_v2_keys(fleet):
    """A member's own key: old and new are good. A new server key shuts out the old ones."""
    former = (fleet.folder / "clients/anna.ovpn").read_text()
    fleet.branchctl("rotate", "tls-crypt", "anna")
    for number, profile in enumerate(
            (former, (fleet.folder / "clients/anna.ovpn").read_text())):
        client = fleet.client(profile, name=f"client{number}").start()
        client.wait_up()
        client.stop()
    fleet.branchctl("rotate", "tls-crypt", "--server", "paris")
    hub = fleet.hubs["paris"].install()
    for unit in (UDP, TCP):
        hub.restart_unit(unit)
    with pytest.raises(LabError):
        fleet.client(former, name="former").start().wait_up(timeout=4)
    assert "Can not unwrap tls-crypt-v2 client key" in server_log(fleet)
    fleet.client(name="new", device="tun9").start().wait_up()


def test_a_client_roams_between_hubs_with_different_server_keys(lab):
    """Its profile has a key for each hub; its address is the same at both."""
    fleet = FleetNetwork(lab, {"paris": "babeld", "dublin": "bird"}).start()
    fleet.branchctl("rotate", "tls-crypt", "--server", "dublin")
    hub = fleet.hubs["dublin"].install()
    hub.restart_unit(UDP, at_once=True)
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


def test_babels_key_is_rotated_in_three_steps(fleet):
    """Three steps; at each, whoever has taken it speaks with whoever has not."""
    hub = fleet.hubs["paris"]
    gateway = fleet.gateway("lyon").start()
    reaches(fleet.desks["lyon"], SERVER)
    for step in ("boards", "hubs", ""):
        fleet.branchctl("rotate", "babel", "--yes")
        if step == "hubs":
            assert hub.upgrade() == ["reload branchline-babel.service"]
        else:
            gateway.stop()
            gateway = fleet.gateway("lyon").start()
        reaches(fleet.desks["lyon"], SERVER)
    assert "# k2" in (hub.root / "etc/branchline/babeld-keys.conf").read_text()
    assert "k1" not in (fleet.folder / "bundles/lyon/gateway.json").read_text()


@pytest.mark.parametrize("daemon", ["babeld", "bird"])
def test_a_branch_is_believed_only_its_own_prefixes(lab, daemon):
    fleet = FleetNetwork(lab, {"paris": daemon}).start()
    path = fleet.folder / "bundles/lyon/gateway.json"
    config = json.loads(path.read_text())
    config["routing"]["announce"] = ["172.16.9.0/24", "192.168.12.0/24", "192.168.11.0/24"]
    path.write_text(json.dumps(config))
    gateway = fleet.gateway("lyon").start()
    gateway.wait_up()
    eventually(lambda: "192.168.11.0/24" in fleet.hosts["paris"].ip("route"),
               "the hub learns the branch's own prefix", 40)
    routes = fleet.hosts["paris"].ip("route")
    assert "172.16.9.0" not in routes and "192.168.12.0" not in routes
