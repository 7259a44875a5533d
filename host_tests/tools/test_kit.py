"""Hub kits: what OpenVPN and BIRD make of them, and the installer, into a folder."""

import json
import shutil
import stat
import subprocess

import pytest

from host_tests.tools.fleets import SMALL, branchctl, write

KIT = "etc/branchline/kit"
CONFIG = "etc/openvpn/server/branchline-udp1194.conf"


@pytest.fixture
def fleet(tmp_path):
    folder = write(tmp_path / "fleet")
    assert branchctl(folder, "provision").code == 0
    return folder


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


def install(kit, root):
    return subprocess.run(["sh", str(kit / "install.sh"), "--root", str(root)],
                          capture_output=True, text=True)


def installed(root):
    return {str(path.relative_to(root)): (path.read_bytes(), path.stat().st_mtime_ns,
                                          stat.S_IMODE(path.stat().st_mode))
            for path in root.rglob("*") if path.is_file()}


def changes(done):
    """The files that an installer says it has changed."""
    return {line.strip() for line in done.stdout.splitlines() if line.startswith("  ")}


def test_what_is_installed_is_complete_and_private(fleet, root):
    done = install(fleet / "kits/paris", root)
    assert done.returncode == 0, done.stderr
    found = installed(root)
    for name, (content, _, mode) in found.items():
        assert b"@ROOT@" not in content, name
        if b"PRIVATE KEY" in content or b"key id" in content or b"Static key" in content \
                or b"server key" in content:
            assert mode == 0o600, name
    assert found["usr/local/lib/branchline/hub-network"][2] == 0o755
    management = f"management {root}/run/branchline/udp1194.sock unix"
    assert management in found[CONFIG][0].decode()


def test_installing_again_changes_nothing(fleet, root):
    install(fleet / "kits/paris", root)
    before = installed(root)
    del before["etc/branchline/units"], before["etc/branchline/installed"]
    done = install(fleet / "kits/paris", root)
    assert (done.returncode, changes(done)) == (0, set())
    after = installed(root)
    assert {name: after[name] for name in before} == before


def test_an_upgrade_in_place_touches_only_what_differs(fleet, root):
    install(fleet / "kits/paris", root)
    write(fleet, SMALL.replace('"tcp://paris.example.com:443"', '"tcp://paris.example.com:8443"')
          .replace("anna = {}", "anna = {}\nbob = {}"))
    assert branchctl(fleet, "provision").code == 0
    done = install(fleet / "kits/paris", root)
    gone, new = "branchline-tcp443", "branchline-tcp8443"
    changed = changes(done)
    assert "etc/openvpn/server/branchline/udp1194/bob" in changed
    assert f"etc/openvpn/server/{gone}.conf (removed)" in changed
    assert f"etc/openvpn/server/{new}.conf" in changed
    assert CONFIG not in changed
    assert not (root / f"etc/openvpn/server/{gone}.conf").exists()
    assert (root / f"etc/openvpn/server/{new}.conf").exists()


def test_an_interrupted_installation_is_run_again(fleet, root):
    """What the first run has placed counts as changed for the second, which starts services."""
    install(fleet / "kits/paris", root)
    (root / CONFIG).unlink()
    (root / "etc/branchline/pending").write_text("etc/sysctl.d/90-branchline.conf\n")
    done = install(fleet / "kits/paris", root)
    assert changes(done) == {CONFIG}
    assert not (root / "etc/branchline/pending").exists()


def refused(kit, root):
    before = installed(root)
    done = install(kit, root)
    assert done.returncode == 1
    assert installed(root) == before
    return done.stderr


def test_a_kit_of_another_hub_or_fleet_is_refused(fleet, root, tmp_path):
    install(fleet / "kits/paris", root)
    assert "is the hub paris" in refused(fleet / "kits/dublin", root)
    other = write(tmp_path / "other")
    branchctl(other, "provision")
    assert "another fleet" in refused(other / "kits/paris", root)


@pytest.mark.parametrize("spoil", [
    lambda kit: (kit / "MANIFEST").unlink(),
    lambda kit: (kit / "MANIFEST").write_text(
        (kit / "MANIFEST").read_text().splitlines()[0] + "\n"),
    lambda kit: (kit / "files" / CONFIG).unlink(),
    lambda kit: (kit / "files" / CONFIG).write_text("dev tun0\n"),
], ids=["no manifest", "only its title", "a file is missing", "a file is changed"])
def test_a_kit_that_is_not_whole_is_refused(fleet, root, spoil):
    spoil(fleet / "kits/paris")
    assert "copy" in refused(fleet / "kits/paris", root)


def test_a_clock_in_the_past_is_refused(fleet, root, tmp_path):
    fake = tmp_path / "bin"
    fake.mkdir()
    (fake / "date").write_text("#!/bin/sh\necho 0\n")
    (fake / "date").chmod(0o755)
    done = subprocess.run(["sh", str(fleet / "kits/paris/install.sh"), "--root", str(root)],
                          capture_output=True, text=True, env={"PATH": f"{fake}:/usr/bin:/bin"})
    assert done.returncode == 1 and "clock is in the past" in done.stderr
    assert installed(root) == {}


def test_bird_takes_its_configuration(fleet):
    bird = shutil.which("bird", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    config = fleet / "kits/dublin/files/etc/branchline/bird.conf"
    done = subprocess.run([bird, "-p", "-c", str(config)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_the_server_knows_of_a_branch(fleet):
    folder = fleet / "kits/paris/files/etc/openvpn/server/branchline"
    assert (folder / "udp1194/lyon").read_text().splitlines() == [
        "ifconfig-push 10.8.1.2 255.255.255.128", "ifconfig-ipv6-push fe80::b:2/64",
        "iroute 10.100.0.11 255.255.255.255", "iroute 192.168.11.0 255.255.255.0"]
    assert "ifconfig-push 10.8.1.130 255.255.255.128" in (folder / "tcp443/lyon").read_text()


def test_a_client_is_pushed_routes_to_what_its_policy_allows(fleet):
    folder = fleet / "kits/paris/files/etc/openvpn/server/branchline"
    text = (folder / "udp1194/anna").read_text()
    assert "ifconfig-push 10.100.0.4 255.255.255.0" in text
    assert [line for line in text.splitlines() if "push \"route " in line] == [
        'push "route 192.168.11.0 255.255.255.0"']


def test_facts_for_the_hubs_agent(fleet):
    facts = json.loads((fleet / "kits/paris/files/etc/branchline/kit.json").read_text())
    assert facts["clients"] == {"anna": "10.100.0.4"}
    assert [(each["name"], each["device"]) for each in facts["servers"]] == [
        ("udp1194", "bl-udp1194"), ("tcp443", "bl-tcp443")]
    assert facts["route_protocol"] == 190
