"""Power cuts while a board is updated, started and at work: it is old or new, and never mixed.

Here a power cut is SIGKILL to all of the board's processes; what the flash itself may lose is
host_tests/unit/test_slots.py's business. BRANCHLINE_CUTS says how many there are.
"""

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest

from branchboot.slots import Slots
from branchctl import image
from branchctl.payload import Payload, payload
from host_tests.lab import LabError

_CUTS = int(os.environ.get("BRANCHLINE_CUTS", "30"))
_FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"
_MICROPYTHON = _FIRMWARE.parent / ".toolchain" / "bin" / "micropython"
_START_S = 0.8  # from nothing to a tunnel that works


class Board:
    """A folder with slots, and the programs that work on it, on a host of the lab."""

    def __init__(self, host, folder: Path):
        self.host = host
        self.root = folder / "root"
        self.versions: dict[bytes, Payload] = {}  # by manifest
        self.random = random.Random(7)

    def start(self, command: str, payload: Payload | None = None):
        """One run of slot_main.py, in a process group of its own."""
        script = f"umask 077; exec {_MICROPYTHON} {_FIRMWARE}/slot_main.py {self.root} {command}"
        if payload:
            incoming = self.root / "incoming"
            (incoming / "keys").mkdir(parents=True, exist_ok=True)
            for name in [*payload.files, *(f"keys/{key}" for key in payload.keys)]:
                (incoming / name).write_bytes(payload.content(name))
            (incoming / "MANIFEST").write_bytes(payload.manifest)
            self.versions[payload.manifest] = payload
            script += f" <{incoming}/MANIFEST"
        return self.host.spawn("sh", "-c", script, name="board",
                               env={"MICROPYPATH": f"{_FIRMWARE}:.frozen"})

    def cut(self, process, within: float) -> None:
        """The power goes at some moment within that time."""
        time.sleep(self.random.uniform(0, within))
        os.killpg(process.pid, signal.SIGKILL)
        process.popen.wait()

    def check(self) -> bytes:
        """The manifest of what the next start takes, which is whole, and its keys are there."""
        choice = Slots(str(self.root)).choose()
        assert choice.folder, choice.said
        folder = Path(choice.folder)
        manifest = (folder / "MANIFEST").read_bytes()
        expected = self.versions[manifest]
        found = {path.name: path.read_bytes() for path in folder.iterdir()}
        found.pop("MANIFEST")
        assert found == expected.files
        keys = self.root / "keys"
        assert {name: (keys / name).read_bytes() for name in expected.keys} == expected.keys
        return manifest


@pytest.fixture
def board(pair, lab):
    return Board(pair.branch, lab.directory)


def _payloads(pair, folder: Path):
    """Endless versions of a branch's software: other configurations, at times other code."""
    server = pair.server()
    firmware = image.build("x64")
    number = 0
    while True:
        number += 1
        bundle = folder / f"bundle-{number}"
        bundle.mkdir()
        config = {"name": "lyon", "tunnels": [{"name": "paris", "profile": "paris.ovpn"}],
                  "log": {"level": "info"}, "watchdog": {"probe_ms": 200 + number % 100}}
        (bundle / "gateway.json").write_text(json.dumps(config))
        key = f"# turn {number // 3}\n"  # a comment: another content, the same key
        profile = pair.profile(server).replace("<key>\n", f"<key>\n{key}")
        assert key in profile
        (bundle / "paris.ovpn").write_text(profile)
        (bundle / "MANIFEST").write_text(
            "# Branchline: bundle of lyon, network acme, fleet 00\n")
        code = firmware + bytes(number // 5 % 4 * 16)
        yield payload(bundle, code, "linux", str(number), 60)


@pytest.mark.timeout(60 + 4 * _CUTS)
def test_power_cuts_leave_the_old_or_the_new_version(pair, lab, board):
    versions = _payloads(pair, lab.directory)
    first = next(versions)
    began = time.monotonic()
    assert board.start("stage", first).wait() == 0
    takes = time.monotonic() - began
    good, taken = board.check(), set()
    for number in range(_CUTS):
        new = next(versions)
        board.cut(board.start("stage", new), takes)
        now = board.check()  # as the next start, which tries what was staged
        assert now in (good, new.manifest)
        taken.add(now == new.manifest)
        if now != good:
            board.cut(board.start("boot"), _START_S)
            # It had its start already: this one goes back.
            assert board.check() == good
            if number % 2:
                _accept(board, new)
                good = new.manifest
        elif number % 4 == 0:
            board.cut(board.start("boot"), _START_S)
            assert board.check() == good
    # Cuts came early and late, or they were no test.
    assert taken == {True, False}
    # And the board is as good as ever.
    last = next(versions)
    assert board.start("stage", last).wait() == 0
    running = board.start("boot")
    running.wait_for("paris +up", 20)
    _until_confirmed(board)
    running.stop()
    assert board.check() == last.manifest


def _accept(board, version: Payload) -> None:
    """The same update once more, uncut, and confirmed by a start that is cut after it."""
    assert board.start("stage", version).wait() == 0
    running = board.start("boot")
    _until_confirmed(board)
    board.cut(running, 0.1)
    assert board.check() == version.manifest


def _until_confirmed(board) -> None:
    deadline = time.monotonic() + 20
    while Slots(str(board.root)).trial:
        if time.monotonic() > deadline:
            raise LabError("the trial was not confirmed")
        time.sleep(0.05)
