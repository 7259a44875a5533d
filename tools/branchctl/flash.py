"""`branchctl flash`: firmware and bundle onto a board, into the slot that does not run."""

import contextlib
import importlib.metadata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from serial.tools import list_ports

from branchctl import boards, image
from branchctl.console_board import ConsoleBoard, slot_image
from branchctl.fleet import load
from branchctl.linux_board import LinuxBoard
from branchctl.model import Branch, Fleet
from branchctl.payload import payload
from branchctl.problems import WRONG_INPUT, Refusal, meant
from branchctl.production import BUNDLES
from branchctl.ssh import Ssh
from branchctl.terminal import DEFAULT_FLEET, FleetFile, err, note, progress, say, told

_DEFAULT_CONFIRM_S = 300
_LINUX = "linux"


def command(
    branch: Annotated[str, typer.Argument(
        metavar="BRANCH", help="Whose bundle the board is to run.")],
    port: Annotated[str | None, typer.Option(
        "--port", metavar="auto|PATH|socket://HOST:PORT",
        help="A microcontroller board's console.")] = None,
    ssh: Annotated[str | None, typer.Option(
        "--ssh", metavar="root@HOST", help="A board that runs Linux, as ssh names it.")] = None,
    ssh_config: Annotated[Path | None, typer.Option(
        "--ssh-config", metavar="FILE", help="ssh's configuration, instead of your own.")] = None,
    confirm_s: Annotated[int, typer.Option(
        "--confirm-within", metavar="SECONDS", min=1, max=3600,
        help="How long the update may take until a tunnel works; then the board goes back.",
    )] = _DEFAULT_CONFIRM_S,
    wait: Annotated[bool, typer.Option(
        help="Wait for the board's own report (over ssh).")] = True,
    yes: Annotated[bool, typer.Option(
        "--yes", help="Use a board that holds somebody else's files, too.")] = False,
    fleet_file: FleetFile = DEFAULT_FLEET,
) -> None:
    """Put the firmware and a branch's bundle on a board, and start them.

    Only what the board lacks is sent. It goes into the slot that does not run, is verified there,
    and tried once: unless a tunnel works in time, the board goes back to what it ran before.
    """
    with told():
        fleet, _ = load(fleet_file)
        member = _branch(fleet, branch)
        if (ssh is None) == (port is None):
            raise Refusal("the way to the board is not clear",
                          "give --ssh root@HOST, or --port PATH or --port auto", WRONG_INPUT)
        bundle = fleet.folder / BUNDLES / branch
        if ssh is not None:
            _flash_linux(bundle, member, Ssh(ssh, ssh_config), confirm_s, wait)
        else:
            _flash_console(bundle, member, _port(port), confirm_s, yes)


def _branch(fleet: Fleet, name: str) -> Branch:
    if name not in fleet.branches:
        raise Refusal(f"{fleet.file} has no branch {name}", meant(name, fleet.branches),
                      WRONG_INPUT)
    return fleet.branches[name]


def _check_board(member: Branch, found: str) -> None:
    if member.board != found:
        raise Refusal(f"{member.name} is to be a {member.board}, and this is a {found}",
                      f'write board = "{found}" in fleet.toml, and run branchctl provision')


def _version() -> str:
    return importlib.metadata.version("branchline")


@contextlib.contextmanager
def _sending(octets: int) -> Iterator[Callable[[int], None]]:
    """A progress bar; yields sent(octets)."""
    with Progress(TextColumn("sending"), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
                  console=err, transient=True, disable=not err.is_terminal) as shown:
        task = shown.add_task("", total=octets)
        yield lambda count: shown.advance(task, count)


# ---- Linux ----

def _flash_linux(bundle: Path, member: Branch, ssh: Ssh, confirm_s: int, wait: bool) -> None:
    with progress(f"Looking at {ssh.destination}") as tell:
        board = LinuxBoard(ssh)
        machine = board.machine
        _check_board(member, _LINUX)
        code = image.build(machine.architecture, _LINUX, tell)
    say(f"{ssh.destination}: Linux, MicroPython {machine.version}"
        f"{', ' + machine.architecture if machine.architecture else ''}")
    wanted = payload(bundle, {image.NAME: code}, _LINUX, _version(), confirm_s)
    if board.install_boot():
        say("boot code installed")
    missing = board.missing(wanted)
    if missing is None:
        say("nothing to change: the board has just this")
        return
    octets = sum(len(wanted.content(name)) for name in missing)
    with _sending(octets) as sent:
        answer = board.send(wanted, missing, sent)
    say(f"{len(missing)} files, {octets} octets sent; {answer}")
    if not machine.systemd:
        note("that machine has no systemd: start its gateway again yourself")
    else:
        board.restart()
    if wait:
        _report(board, confirm_s)


def _report(board: LinuxBoard, confirm_s: int) -> None:
    with progress("The board") as tell:
        status = board.outcome(confirm_s, tell)
    say(status["said"])
    if status["trial"] or status["starts"] or "not taken" in status["said"]:
        for line in board.journal():
            note(line)
        raise Refusal("no tunnel works with it", "the journal's last lines stand above; the "
                      "board goes on with what it ran before, if it ran anything")


# ---- microcontrollers ----

def _port(wanted: str) -> str:
    """The port that is meant. Raises Refusal."""
    if wanted != "auto":
        return wanted
    # What is on the machine's own board has no USB identity.
    ports = [each for each in list_ports.comports() if each.vid is not None]
    if len(ports) == 1:
        return ports[0].device
    if not ports:
        raise Refusal("no board is connected", "connect one by USB, or name its port with --port")
    listed = ", ".join(f"{each.device} ({each.description})" for each in ports)
    raise Refusal(f"several boards are connected: {listed}", "name one with --port", WRONG_INPUT)


def _flash_console(bundle: Path, member: Branch, port: str, confirm_s: int, yes: bool) -> None:
    with progress(f"Looking at {port}") as tell:
        board = ConsoleBoard(port)
        found = board.found
        _check_board(member, found.board)
        code = image.build(found.architecture, boards.load()[found.board].hal, tell)
    say(f"{port}: {found.board}, MicroPython {found.version}, {found.architecture}")
    if found.strangers and not yes:
        raise Refusal(f"the board holds files of something else: {', '.join(found.strangers)}",
                      "--yes uses it all the same, and leaves them there")
    wanted = payload(bundle, {image.NAME: code}, found.board, _version(), confirm_s, "/keys")
    slot = slot_image(wanted)
    board.open_update(wanted, slot)
    if board.is_present():
        say("nothing to change: the board has just this")
        board.reset()  # it was interrupted
        return
    keys, blocks = board.missing(wanted, slot)
    octets = sum(len(wanted.keys[name]) for name in keys) + len(blocks) * board.BLOCK
    with _sending(octets) as sent:
        staged = board.send(wanted, slot, keys, blocks, sent)
    say(f"{len(keys)} keys and {len(blocks)} blocks, {octets} octets sent; "
        f"staged in slot {staged}")
    board.reset()
