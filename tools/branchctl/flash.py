"""`branchctl flash`: firmware and bundle onto a board, into the slot that does not run."""

import importlib.metadata
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from branchctl import image
from branchctl.fleet import load
from branchctl.linux_board import LinuxBoard
from branchctl.payload import Payload, payload
from branchctl.problems import WRONG_INPUT, Refusal, meant
from branchctl.production import BUNDLES
from branchctl.ssh import Ssh
from branchctl.terminal import DEFAULT_FLEET, FleetFile, err, note, progress, say, told

_DEFAULT_CONFIRM_S = 300


def command(
    branch: Annotated[str, typer.Argument(
        metavar="BRANCH", help="Whose bundle the board is to run.")],
    ssh: Annotated[str | None, typer.Option(
        "--ssh", metavar="root@HOST", help="A board that runs Linux, as ssh names it.")] = None,
    ssh_config: Annotated[Path | None, typer.Option(
        "--ssh-config", metavar="FILE", help="ssh's configuration, instead of your own.")] = None,
    confirm_s: Annotated[int, typer.Option(
        "--confirm-within", metavar="SECONDS", min=1, max=3600,
        help="How long the update may take until a tunnel works; then the board goes back.",
    )] = _DEFAULT_CONFIRM_S,
    wait: Annotated[bool, typer.Option(
        help="Wait for the board's own report.")] = True,
    fleet_file: FleetFile = DEFAULT_FLEET,
) -> None:
    """Put the firmware and a branch's bundle on a board, and start them.

    Only what the board lacks is sent. It goes into the slot that does not run, is verified there,
    and tried once: unless a tunnel works in time, the board goes back to what it ran before.
    """
    with told():
        bundle = _bundle(fleet_file, branch)
        if ssh is None:
            raise Refusal("no way to the board was named", "add --ssh root@HOST", WRONG_INPUT)
        with progress(f"Looking at {ssh}") as tell:
            board = LinuxBoard(Ssh(ssh, ssh_config))
            machine = board.machine
            firmware = image.build(machine.architecture, tell)
        say(f"{ssh}: Linux, MicroPython {machine.version}"
            f"{', ' + machine.architecture if machine.architecture else ''}")
        wanted = payload(bundle, firmware, "linux", importlib.metadata.version("branchline"),
                         confirm_s)
        if board.install_boot():
            say("boot code installed")
        missing = board.missing(wanted)
        if missing is None:
            say("nothing to change: the board has just this")
            return
        _send(board, wanted, missing)
        _start(board, confirm_s, wait)


def _bundle(fleet_file: Path, name: str) -> Path:
    fleet, _ = load(fleet_file)
    if name not in fleet.branches:
        raise Refusal(f"{fleet_file} has no branch {name}", meant(name, fleet.branches),
                      WRONG_INPUT)
    return fleet.folder / BUNDLES / name


def _send(board: LinuxBoard, wanted: Payload, missing: list[str]) -> None:
    octets = sum(len(wanted.content(name)) for name in missing)
    with Progress(TextColumn("sending"), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
                  console=err, transient=True, disable=not err.is_terminal) as shown:
        task = shown.add_task("", total=octets)
        said = board.send(wanted, missing, lambda count: shown.advance(task, count))
    say(f"{len(missing)} files, {octets} octets sent; {said}")


def _start(board: LinuxBoard, confirm_s: int, wait: bool) -> None:
    if not board.machine.systemd:
        note("that machine has no systemd: start its gateway again yourself")
    else:
        board.restart()
    if not wait:
        return
    with progress("The board") as tell:
        status = board.outcome(confirm_s, tell)
    say(status["said"])
    if status["trial"] or status["starts"] or "not taken" in status["said"]:
        for line in board.journal():
            note(line)
        raise Refusal("no tunnel works with it", "the journal's last lines stand above; the "
                      "board goes on with what it ran before, if it ran anything")
