"""Hub kits: what OpenVPN and BIRD make of them, and the installer, into a folder."""

import json
import re
import shutil
import stat
import subprocess
import sys

import pytest

from host_tests.lab.gateway import MICROPYTHON
from host_tests.tools.fleets import SMALL, branchctl, write

KIT = "etc/branchline/kit"
SECRETS = (b"PRIVATE KEY", b"key id", b"Static key", b"server key", b"\"role\"")
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


def install(kit, root, *options):
    return subprocess.run(["sh", str(kit / "install.sh"), "--root", str(root), *options],
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
        firmware = name.startswith("usr/local/lib/branchline/firmware")
        if not firmware and any(mark in content for mark in SECRETS):
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


def agent(root):
    return json.loads((root / "etc/branchline/agent/gateway.json").read_text())


def test_what_the_hubs_agent_is_told(fleet, root):
    install(fleet / "kits/paris", root)
    config = agent(root)
    assert (config["name"], config["role"], config["address"]) == ("paris", "hub", "10.100.0.1")
    assert config["servers"] == [
        {"name": name, "device": f"bl-{name}",
         "management": f"{root}/run/branchline/{name}.sock"} for name in ("udp1194", "tcp443")]
    assert config["clients"] == {"accept": ["10.100.0.0/24"], "skip": ["lyon", "nice"],
                                 "revoked": []}
    assert config["hubs"] == [{"name": "dublin", "address": "10.100.0.2"}]
    assert config["routes"] == {"protocol": 190}
    assert "routing" not in config


def test_sessions_of_who_is_revoked_or_gone_are_ended(fleet, root):
    branchctl(fleet, "revoke", "lyon")
    write(fleet, SMALL.replace("anna = {}", "").replace('"anna"', ""))
    branchctl(fleet, "provision")
    done = install(fleet / "kits/paris", root)
    assert agent(root)["clients"]["revoked"] == ["anna", "lyon"]
    assert agent(root)["clients"]["skip"] == ["nice"]
    assert "etc/branchline/agent/gateway.json" in changes(done)
    units = (fleet / "kits/paris/units").read_text()
    assert "\nbranchline-agent.service restart etc/branchline/agent/gateway.json " in units


def test_the_agent_is_the_babel_router_where_the_fleet_says_so(fleet, root):
    """It has what babeld.conf and bird.conf say: links, keys, and from whom what is learned."""
    assert "branchline-babel" in (fleet / "kits/dublin/units").read_text()
    write(fleet, SMALL.replace('babel = "bird"', 'babel = "branchline"'))
    assert branchctl(fleet, "provision").code == 0
    kit = fleet / "kits/dublin"
    assert "branchline-babel" not in (kit / "units").read_text()
    assert not (kit / "files/etc/branchline/bird.conf").exists()
    install(kit, root)
    config = agent(root)
    assert "routes" not in config
    routing = config["routing"]
    assert routing["interfaces"] == ["bl-udp1194", {"device": "bl-mesh-1", "signed": False}]
    assert routing["announce"] == ["10.2.0.0/16"]
    assert routing["accept"] == [
        {"neighbour": "fe80::b:2", "exactly": ["10.100.0.11/32", "192.168.11.0/24"]},
        {"neighbour": "fe80::b:3", "exactly": ["10.100.0.3/32", "192.168.12.0/24"]},
        {"device": "bl-mesh-1", "prefix": "10.100.0.0/24", "shortest": 32},
        {"device": "bl-mesh-1", "exactly": ["10.1.0.0/16", "192.168.11.0/24",
                                            "192.168.12.0/24"]}]
    board = json.loads((fleet / "bundles/lyon/gateway.json").read_text())["routing"]
    assert (routing["keys"], routing["hello_ms"]) == (board["keys"], board["hello_ms"])


def help_of(interpreter, folder):
    return subprocess.run([interpreter, "main.py", "--help"], cwd=folder, capture_output=True,
                          text=True, env={"PYTHONPATH": "cpython"})


def test_the_kits_firmware_runs_on_micropython_and_on_python(fleet, root):
    install(fleet / "kits/paris", root)
    folder = root / "usr/local/lib/branchline/firmware"
    assert (folder / "microdot.py").exists()
    for interpreter in (MICROPYTHON, sys.executable):
        done = help_of(interpreter, folder)
        assert (done.returncode, done.stderr) == (0, "")
        assert "gateway.json" in done.stdout


def started(root):
    unit = (root / "etc/systemd/system/branchline-agent.service").read_text()
    return next(line.partition("=")[2].split()[0] for line in unit.splitlines()
                if line.startswith("ExecStart="))


def test_the_agents_interpreter_is_kept_once_chosen(fleet, root):
    install(fleet / "kits/paris", root, "--interpreter", MICROPYTHON)
    assert started(root) == str(MICROPYTHON)
    assert changes(install(fleet / "kits/paris", root)) == set()
    assert started(root) == str(MICROPYTHON)


@pytest.mark.parametrize("what", ["exit 1", "exec sleep 0", None], ids=[
    "too old", "does not load the firmware", "is not there"])
def test_an_interpreter_that_cannot_run_the_agent_is_refused(fleet, root, tmp_path, what):
    program = tmp_path / "interpreter"
    if what:
        program.write_text(f'#!/bin/sh\n[ "$1" != -c ] || {what}\nexit 1\n')
        program.chmod(0o755)
    done = install(fleet / "kits/paris", root, "--interpreter", program)
    assert done.returncode == 1 and "cannot run the agent" in done.stderr
    assert installed(root) == {}


def test_other_firmware_replaces_all_of_the_former(fleet, root):
    install(fleet / "kits/paris", root)
    folder = root / "usr/local/lib/branchline/firmware"
    (folder / "former.py").touch()
    (folder.parent / "firmware.tar").write_bytes(b"other")
    done = install(fleet / "kits/paris", root)
    assert changes(done) == {"usr/local/lib/branchline/firmware.tar"}
    assert not (folder / "former.py").exists()
    assert (folder / "main.py").exists()


def test_hubs_agents_hear_each_other_over_the_mesh_alone(fleet):
    rules = (fleet / "kits/paris/files/etc/branchline/policy.nft").read_text()
    chain = rules[rules.index("chain agents"):].splitlines()[1:3]
    hubs = re.search(r"daddr @(\S+)", chain[1])[1]
    assert [line.strip() for line in chain] == [
        f'iifname "bl-mesh-*" ip saddr @{hubs} ip daddr @{hubs} udp dport 6697 accept',
        f"ip daddr @{hubs} udp dport 6697 counter drop"]
    assert f"set {hubs} {{ type ipv4_addr; flags interval; " \
           "elements = { 10.100.0.1/32, 10.100.0.2/32 }; }" in rules
    assert rules.count("policy accept;\n    jump agents\n") == 2
