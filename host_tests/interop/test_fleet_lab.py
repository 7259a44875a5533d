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
from host_tests.tools.fleets import Run, branchctl


@pytest.fixture
def lab_of(tmp_path):
    """Runs `branchctl lab` on the demo's fleet; whatever is up at the end goes."""
    folder = tmp_path / "fleet"
    folder.mkdir()
    (folder / "fleet.toml").write_text(DEMO.read_text())

    def call(*arguments: str) -> Run:
        return branchctl(folder, "lab", *arguments)

    yield call
    call("down")


def execute(folder, *arguments: str) -> subprocess.CompletedProcess:
    """`branchctl lab exec`, which the command that it runs takes the place of."""
    return subprocess.run(
        [sys.executable, "-m", "branchctl", "lab", "exec", *arguments], cwd=folder,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)


def notice(status: dict) -> dict:
    """What the keeper has noted down, and where its run is."""
    directory = status["directory"]
    with open(os.path.join(directory, "keeper.json")) as file:
        return {**json.load(file), "directory": directory}


def pairs(status: dict) -> dict[tuple[str, str], tuple[bool, str | None]]:
    return {(each["from"], each["to"]): (each["answers"], each["way"]) for each in status["reach"]}


def test_a_lab_is_raised_cut_healed_and_taken_down(lab_of, tmp_path):
    done = lab_of("up")
    assert done.code == 0, done.err
    assert "everything is up" in done.out and "for this lab alone" in done.out
    assert "is up already" in lab_of("up").err
    script = "ping -c1 nice-desk; exit 7"
    pinged = execute(tmp_path / "fleet", "lyon-desk", "sh", "-c", script)
    assert "64 bytes from nice-desk" in pinged.stdout and pinged.returncode == 7

    status = lab_of("status", "--json")
    assert status.code == 0, status.out
    status = json.loads(status.out)
    notice_of, found = notice(status), pairs(status)
    assert found["lyon", "nice"][0] and found["anna", "lyon"][0] and not found["lyon", "anna"][0]
    assert status["missing"] == [] and {each["name"] for each in status["clients"]} == {"anna"}

    assert lab_of("cut", "lyon", "paris").code == 0
    assert "is cut already" in lab_of("cut", "paris", "lyon").err
    wait_way(lab_of, ("lyon", "paris"), "dublin")
    assert lab_of("heal").code == 0
    wait_way(lab_of, ("lyon", "paris"), "paris")
    for arguments, message in (
        (("cut", "lion"), "did you mean lyon?"), (("exec", "lion", "id"), "did you mean lyon?"),
        (("cut", "nice-desk"), "behind nice"), (("heal", "nice", "paris"), "is not cut"),
        (("cut", "nice", "nice"), "no path to itself"),
    ):
        refused = lab_of(*arguments)
        assert refused.code and message in refused.err, arguments

    assert lab_of("down").code == 0
    assert_gone(notice_of)
    assert is_down(lab_of)


def is_down(lab_of) -> bool:
    """Other tests' labs may be up meanwhile."""
    refused = lab_of("status")
    return refused.code == 1 and ("no lab is up" in refused.err or "is not up" in refused.err)


def wait_way(lab_of, pair: tuple[str, str], hub: str) -> None:
    """Wait until one reaches the other by a hub."""
    deadline = time.monotonic() + 30
    while (found := pairs(json.loads(lab_of("status", "--json").out))[pair]) != (True, hub):
        assert time.monotonic() < deadline, found


def assert_gone(run: dict) -> None:
    tag = run["directory"].rpartition("-")[2]
    assert not os.path.exists(run["directory"])
    assert namespaces.existing(f"{run_directory.PREFIX}{tag}-") == []


def test_nothing_is_left_of_a_lab_whose_keeper_is_killed(lab_of):
    """With a branch of stock clients, which announce nothing, and without some members."""
    done = lab_of("up", "--stub", "nice", "--without", "dublin", "--without", "anna")
    assert done.code == 0, done.err
    status = json.loads(lab_of("status", "--json").out)
    branches = {each["name"]: each for each in status["branches"]}
    assert branches["nice"]["kind"] == "stub"
    assert branches["nice"]["tunnels"] == [{"name": "paris", "state": "up"}]
    assert pairs(status) == {("lyon", "paris"): (True, "paris"), ("paris", "lyon"): (True, "lyon")}
    run = notice(status)
    os.kill(run["pid"], signal.SIGKILL)
    time.sleep(0.2)
    assert is_down(lab_of)
    assert lab_of("down").code == 0
    assert_gone(run)


def test_a_lab_that_cannot_be_raised_says_why(lab_of, tmp_path):
    assert is_down(lab_of) and lab_of("down").code == 1
    assert "did you mean dublin?" in lab_of("up", "--without", "dubln").err
    toml = tmp_path / "fleet" / "fleet.toml"
    toml.write_text(toml.read_text().replace("10.2.0.0/24", "10.1.0.0/24"))
    refused = lab_of("up")
    assert refused.code == 2 and "overlaps" in refused.err
