"""inventory, and renewing what ends soon."""

import datetime
import json

from cryptography import x509

from branchctl import clock
from host_tests.tools.fleets import SMALL, branchctl, write

DAY = datetime.timedelta(days=1)


def members(folder, *arguments):
    run = branchctl(folder, "inventory", "--json", *arguments)
    return run.code, {(each["name"], each["kind"]): each
                      for each in json.loads(run.out)["members"]}


def test_it_says_what_is_there_and_what_is_not(tmp_path, monkeypatch):
    start = clock.now()
    monkeypatch.setattr(clock, "now", lambda: start)
    folder = write(tmp_path)
    code, found = members(folder)
    assert code == 0
    assert {each["status"] for each in found.values()} == {"not provisioned"}
    assert not (folder / "state").exists()
    branchctl(folder, "provision")
    branchctl(folder, "revoke", "nice")
    write(folder, SMALL.replace("anna = {}", "").replace('admins = ["anna"]', "admins = []"))
    branchctl(folder, "provision")
    _, found = members(folder)
    assert found["CA", "authority"]["days"] == 3650
    assert found["lyon", "branch (linux)"] == {
        "name": "lyon", "kind": "branch (linux)", "address": "10.100.0.11", "days": 730,
        "until": (start + 730 * DAY).date().isoformat(), "status": "ok"}
    assert found["nice", "branch (linux)"]["status"] == "revoked"
    assert found["anna", "former"]["status"] == "not in fleet.toml"


def test_within_is_for_cron(tmp_path):
    folder = write(tmp_path)
    branchctl(folder, "provision")
    assert members(folder, "--within", "30")[0] == 0
    assert members(folder, "--within", "800")[0] == 3


def test_renew_makes_anew_only_what_ends_soon(tmp_path, monkeypatch):
    folder = write(tmp_path)
    branchctl(folder, "provision")
    start = clock.now()
    monkeypatch.setattr(clock, "now", lambda: start + 500 * DAY)
    branchctl(folder, "renew", "lyon")
    monkeypatch.setattr(clock, "now", lambda: start + 710 * DAY)
    before = (folder / "state/credentials/lyon.pem").read_bytes()
    run = branchctl(folder, "renew")
    assert run.out.startswith("renewed: paris, dublin, nice, anna\n")
    assert (folder / "state/credentials/lyon.pem").read_bytes() == before
    assert branchctl(folder, "renew").out.startswith("renewed: none\n")
    _, found = members(folder)
    assert min(each["days"] for each in found.values()) > 500


def test_nothing_outlives_the_ca(tmp_path):
    folder = write(tmp_path, SMALL + "\n[certificates]\ndays = 3650\nca_days = 100\n")
    branchctl(folder, "provision")
    root, leaf = (x509.load_pem_x509_certificate((folder / "state" / name).read_bytes())
                  for name in ("ca/ca.crt", "credentials/lyon.pem"))
    assert leaf.not_valid_after_utc == root.not_valid_after_utc


def test_revoking_covers_every_certificate_that_was_issued(tmp_path):
    folder = write(tmp_path)
    branchctl(folder, "provision")
    serials = set()
    for _ in range(2):
        serials.add(x509.load_pem_x509_certificate(
            (folder / "state/credentials/lyon.pem").read_bytes()).serial_number)
        branchctl(folder, "renew", "lyon")
    serials.add(x509.load_pem_x509_certificate(
        (folder / "state/credentials/lyon.pem").read_bytes()).serial_number)
    branchctl(folder, "revoke", "lyon")
    for hub in ("paris", "dublin"):
        kit = folder / f"kits/{hub}/files/etc/openvpn/server/branchline"
        crl = x509.load_pem_x509_crl((kit / "crl.pem").read_bytes())
        assert {each.serial_number for each in crl} == serials
        assert not (kit / "udp1194/lyon").exists()
    assert not (folder / "bundles/lyon/gateway.json").exists()


def test_a_revoked_hub_is_told_to_those_who_dial(tmp_path):
    folder = write(tmp_path)
    branchctl(folder, "provision")
    assert "<crl-verify>" not in (folder / "bundles/lyon/paris.ovpn").read_text()
    branchctl(folder, "revoke", "paris")
    branchctl(folder, "provision", "paris")
    branchctl(folder, "provision")
    for path in ("bundles/lyon/paris.ovpn", "bundles/lyon/dublin.ovpn", "clients/anna.ovpn"):
        assert "<crl-verify>" in (folder / path).read_text()


def test_three_hubs_and_forty_branches(tmp_path):
    hubs = "".join(f'[hubs.h{n}]\nendpoints = ["udp://h{n}.example.com:1194", '
                   f'"tcp://h{n}.example.com:443"]\ntunnels = "10.8.{n}.0/24"\n'
                   f'prefixes = ["10.{n}.0.0/16"]\n' for n in (1, 2, 3))
    branches = "".join(f'b{n} = {{ lans = ["192.168.{n}.0/24"] }}\n' for n in range(40))
    folder = write(tmp_path, 'network = "big"\nvirtual = "10.100.0.0/16"\nmesh = "10.8.0.0/24"\n'
                   + hubs + "[branches]\n" + branches)
    assert branchctl(folder, "provision").code == 0
    assert branchctl(folder, "provision").out.startswith("nothing to change")
    kit = folder / "kits/h2/files/etc/openvpn/server"
    assert len(list((kit / "branchline/udp1194").iterdir())) == 40
    assert len(list(kit.glob("branchline-mesh-*.conf"))) == 2
    ports = {path.read_text().split("port ")[1].split()[0]
             for path in kit.glob("branchline-mesh-*.conf") if "lport" in path.read_text()}
    assert ports == {"1503"}
