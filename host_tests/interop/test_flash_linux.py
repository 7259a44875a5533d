"""branchctl flash onto a Linux machine over a real ssh: slots, trials, and ways back."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from host_tests.interop.fleet_support import FleetNetwork
from host_tests.interop.openvpn_support import eventually
from host_tests.lab.linux_board import ROOT, LinuxMachine

_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def fleet(lab):
    """One hub, and the branch lyon without a gateway yet."""
    return FleetNetwork(lab, {"paris": "babeld"}).start()


@pytest.fixture
def machine(fleet):
    """What is to be lyon's gateway; the operator's computer is anna's."""
    return LinuxMachine(fleet.hosts["lyon"], fleet.hosts["anna"])


def _flash(fleet, machine, *options: str, branch: str = "lyon") -> subprocess.CompletedProcess:
    address = fleet.hosts["lyon"].ip("-4", "-o", "address", "show", "dev", "internet")
    address = address.split(" inet ")[1].split("/")[0]
    return fleet.hosts["anna"].run(
        sys.executable, "-m", "branchctl", "flash", branch, "--ssh", f"root@{address}",
        "--ssh-config", str(machine.ssh_config), "--fleet", str(fleet.folder / "fleet.toml"),
        *options, timeout=90, check=False)


@pytest.fixture(autouse=True)
def branchctl_here(monkeypatch, tmp_path):
    """branchctl from this checkout, with a cache of its own."""
    monkeypatch.setenv("PYTHONPATH", str(_ROOT / "tools"))
    monkeypatch.setenv("XDG_CACHE_HOME", os.environ.get("XDG_CACHE_HOME", str(tmp_path)))


def _record(machine) -> dict:
    return json.loads(machine.read(f"{ROOT}/RECORD"))


def _reaches_hub(fleet) -> bool:
    return fleet.desks["lyon"].ping("10.1.0.2", timeout=1.0).received == 1


@pytest.mark.timeout(240)
@pytest.mark.takes(50)
def test_a_machine_is_installed_updated_and_goes_back_from_what_does_not_work(fleet, machine):
    machine.start()
    machine.start_init()
    first = _flash(fleet, machine)
    assert first.returncode == 0, first.stdout
    assert "boot code installed" in first.stdout
    eventually(lambda: _reaches_hub(fleet), "the branch reaches the data centre")
    profile = machine.read(f"{ROOT}/a/paris.ovpn")
    assert "PRIVATE KEY" not in profile and "key ../keys/paris-" in profile

    again = _flash(fleet, machine)
    assert again.returncode == 0 and "nothing to change" in again.stdout, again.stdout

    _change(fleet, 'hello_ms = 200', 'hello_ms = 250')
    good = _flash(fleet, machine, "--no-wait")
    assert good.returncode == 0 and "staged in slot b" in good.stdout, good.stdout
    assert "branchline.romfs" not in good.stdout
    machine.restart_gateway()
    eventually(lambda: _record(machine)["said"] == "slot b has confirmed itself", "it is taken")
    assert _record(machine)["good"] == "b"
    eventually(lambda: _reaches_hub(fleet), "the branch reaches the data centre again")

    # Nobody listens there: no tunnel will work.
    _change(fleet, ":1194", ":1195", ":443", ":444")
    bad = _flash(fleet, machine, "--no-wait", "--confirm-within", "3")
    assert bad.returncode == 0 and "staged in slot a" in bad.stdout, bad.stdout
    machine.restart_gateway()
    told = "slot a was not taken: no tunnel has worked within 3 s"
    eventually(lambda: _record(machine)["said"] == told, "it goes back")
    eventually(lambda: _reaches_hub(fleet), "the former configuration runs")
    assert _record(machine)["good"] == "b" and _record(machine)["trial"] is None


def _change(fleet, *pairs: str) -> None:
    path = fleet.folder / "fleet.toml"
    text = path.read_text()
    for old, new in zip(pairs[::2], pairs[1::2]):
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    fleet.branchctl("provision")


def test_what_cannot_be_installed_is_refused_before_anything_is_changed(fleet, machine):
    unreachable = _flash(fleet, machine)
    assert unreachable.returncode == 1 and "cannot be reached" in unreachable.stdout
    machine.start(interpreter=False)
    bare = _flash(fleet, machine)
    assert bare.returncode == 1 and "has no MicroPython" in bare.stdout, bare.stdout
    (machine.folder / "bin" / "micropython").write_text("#!/bin/sh\necho version 1.19.0\n")
    (machine.folder / "bin" / "micropython").chmod(0o755)
    old = _flash(fleet, machine)
    assert old.returncode == 1 and "too old" in old.stdout, old.stdout
    unknown = _flash(fleet, machine, branch="lyons")
    assert unknown.returncode == 2 and "did you mean lyon?" in unknown.stdout, unknown.stdout
    assert not Path(f"/proc/{machine.sshd.pid}/root{ROOT}").exists()


def test_another_branchs_bundle_is_refused_and_the_slot_left_alone(fleet, machine):
    machine.start()
    assert _flash(fleet, machine, "--no-wait").returncode == 0
    before = machine.read(f"{ROOT}/RECORD")
    other = _flash(fleet, machine, branch="nice")
    assert other.returncode == 1, other.stdout
    assert "it is of the branch nice, and this is lyon" in other.stdout
    assert machine.read(f"{ROOT}/RECORD") == before
