"""branchctl flash onto the board in QEMU: over its console, by slots, and back from what fails."""

import json
import sys
from pathlib import Path

import pytest

from host_tests.interop.openvpn_support import eventually
from host_tests.lab.board import BareBoard, Wire
from host_tests.lab.hub_kit import InstalledHub
from host_tests.tools.fleets import branchctl

_ROOT = Path(__file__).resolve().parents[2]
_FLEET = """
network = "acme"
virtual = "10.100.0.0/24"

[hubs.paris]
endpoints = ["udp://{address}:{port}"]
tunnels = "10.8.1.0/24"

[branches]
lyon = {{ board = "{board}" }}
nice = {{ board = "{board}" }}
"""


def _provision(folder: Path, port: int = 1194, board: str = "qemu_mps2") -> None:
    text = _FLEET.format(address=Wire.address, port=port, board=board)
    (folder / "fleet.toml").write_text(text)
    run = branchctl(folder, "provision")
    assert run.code == 0, run.err


def _flash(board, folder: Path, branch: str = "lyon", *options: str):
    return board.wire.modem.run(
        sys.executable, "-m", "branchctl", "flash", branch, "--port", board.port, "--fleet",
        str(folder / "fleet.toml"), *options, timeout=110, check=False)


@pytest.mark.timeout(300)
def test_a_board_is_flashed_updated_and_goes_back_from_what_does_not_work(lab, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(_ROOT / "tools"))
    folder = lab.directory / "fleet"
    folder.mkdir()
    _provision(folder)
    modem = lab.host("modem")
    wire = Wire(modem)
    wire.serve()
    InstalledHub(modem, folder / "kits/paris").install().start()
    board = BareBoard(wire).start()
    board.wait_for("nothing to start")

    first = _flash(board, folder)
    assert first.returncode == 0, first.stdout
    assert "staged in slot a" in first.stdout
    board.wait_for("paris +up", 60)
    address = json.loads((folder / "bundles/lyon/gateway.json").read_text())["address"]
    eventually(lambda: modem.ping(address).received, "the board's address answers")

    again = _flash(board, folder)
    assert again.returncode == 0 and "nothing to change" in again.stdout, again.stdout
    other = _flash(board, folder, "nice")
    assert other.returncode == 1, other.stdout
    assert "it is of the branch nice, and this is lyon" in other.stdout

    # Nobody listens there: no tunnel will work.
    _provision(folder, 1195)
    bad = _flash(board, folder, "lyon", "--confirm-within", "8")
    assert bad.returncode == 0 and "staged in slot b" in bad.stdout, bad.stdout
    board.wait_for("slot b was not taken: no tunnel has worked within 8 s", 90)
    eventually(lambda: modem.ping(address).received, "the former configuration runs", 60)

    _provision(folder, board="teensy41")
    wrong = _flash(board, folder)
    assert wrong.returncode == 1 and "lyon is to be a teensy41" in wrong.stdout, wrong.stdout
