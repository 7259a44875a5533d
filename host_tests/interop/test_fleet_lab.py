"""`branchctl lab`, as a user types it: up, looked at, cut, healed, entered, gone without trace."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from host_tests.lab import namespaces, run_directory
from host_tests.lab.demo import FLEET as DEMO
from host_tests.lab.errors import LabError
from host_tests.lab.fleet_lab import FleetLab, provision
from host_tests.lab.sites import STUB


@pytest.fixture
def lab_of(tmp_path):
    """Runs `branchctl lab` on the demo's fleet; whatever is up at the end goes."""
    folder = tmp_path / "fleet"
    folder.mkdir()
    (folder / "fleet.toml").write_text(DEMO.read_text())

    def call(*arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run([sys.executable, "-m", "branchctl", "lab", *arguments], cwd=folder,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=110)

    yield call
    call("down")


def notice(lab_of) -> dict:
    """What the keeper has noted down, and where its run is."""
    directory = json.loads(lab_of("status", "--json").stdout)["directory"]
    with open(os.path.join(directory, "keeper.json")) as file:
        return {**json.load(file), "directory": directory}


def pairs(status: dict) -> dict[tuple[str, str], tuple[bool, str | None]]:
    return {(each["from"], each["to"]): (each["answers"], each["way"]) for each in status["reach"]}


def test_a_lab_is_raised_cut_healed_and_taken_down(lab_of):
    done = lab_of("up")
    assert done.returncode == 0, done.stderr
    assert "everything is up" in done.stdout and "for this lab alone" in done.stdout
    assert "is up already" in lab_of("up").stderr
    pinged = lab_of("exec", "lyon-desk", "ping", "-c1", "nice-desk")
    assert "64 bytes from nice-desk" in pinged.stdout
    assert lab_of("exec", "paris", "sh", "-c", "exit 7").returncode == 7

    status = lab_of("status", "--json")
    assert status.returncode == 0, status.stdout
    status = json.loads(status.stdout)
    found = pairs(status)
    assert found["lyon", "nice"][0] and found["anna", "lyon"][0] and not found["lyon", "anna"][0]
    assert status["missing"] == [] and {each["name"] for each in status["clients"]} == {"anna"}

    assert lab_of("cut", "lyon", "paris").returncode == 0
    assert "is cut already" in lab_of("cut", "paris", "lyon").stderr
    wait_way(lab_of, ("lyon", "paris"), "dublin")
    assert lab_of("heal").returncode == 0
    wait_way(lab_of, ("lyon", "paris"), "paris")
    for arguments, message in (
        (("cut", "lion"), "did you mean lyon?"), (("exec", "lion", "id"), "did you mean lyon?"),
        (("cut", "nice-desk"), "behind nice"), (("heal", "nice", "paris"), "is not cut"),
        (("cut", "nice", "nice"), "no path to itself"),
    ):
        refused = lab_of(*arguments)
        assert refused.returncode and message in refused.stderr, arguments

    run = notice(lab_of)
    assert lab_of("down").returncode == 0
    assert_gone(run)
    assert "no lab is up" in lab_of("status").stderr


def wait_way(lab_of, pair: tuple[str, str], hub: str) -> None:
    """Wait until one reaches the other by a hub."""
    deadline = time.monotonic() + 30
    while (found := pairs(json.loads(lab_of("status", "--json").stdout))[pair]) != (True, hub):
        assert time.monotonic() < deadline, found


def assert_gone(run: dict) -> None:
    tag = run["directory"].rpartition("-")[2]
    assert not os.path.exists(run["directory"])
    assert namespaces.existing(f"{run_directory.PREFIX}{tag}-") == []


def test_nothing_is_left_of_a_lab_whose_keeper_is_killed(lab_of):
    assert lab_of("up", "--without", "nice", "--without", "dublin").returncode == 0
    run = notice(lab_of)
    os.kill(run["pid"], signal.SIGKILL)
    time.sleep(0.2)
    assert "no lab is up" in lab_of("status").stderr
    assert lab_of("down").returncode == 0
    assert_gone(run)


def test_a_lab_that_cannot_be_raised_says_why(lab_of, tmp_path):
    assert "no lab is up" in lab_of("down").stderr
    assert "did you mean dublin?" in lab_of("up", "--without", "dubln").stderr
    toml = tmp_path / "fleet" / "fleet.toml"
    toml.write_text(toml.read_text().replace("10.2.0.0/24", "10.1.0.0/24"))
    refused = lab_of("up")
    assert refused.returncode == 2 and "overlaps" in refused.stderr


def test_stubs_are_stock_clients_and_absent_members_are_left_out(lab, tmp_path):
    (tmp_path / "fleet.toml").write_text(DEMO.read_text())
    with pytest.raises(LabError, match="branchctl provision"):
        FleetLab(lab, tmp_path)
    provision(tmp_path / "fleet.toml")
    fleet = FleetLab(lab, tmp_path, stubs=["nice"], stub_hubs=["paris"], absent=["dublin", "anna"])
    fleet.start().wait()
    assert fleet.branches["nice"].kind == STUB
    assert fleet.branches["nice"].host.ping("10.8.1.1").received == 1
    assert set(fleet.sites) == {"paris", "lyon", "nice"}
