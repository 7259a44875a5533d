"""`branchctl lab`: the fleet's whole network on this machine, to try things in."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from branchctl import lab_tables
from branchctl.fleet import load
from branchctl.problems import DUE, WRONG_INPUT, Refusal, meant
from branchctl.terminal import (
    DEFAULT_FLEET,
    AsJson,
    FleetFile,
    err,
    note,
    out,
    print_json,
    progress,
    say,
    told,
)

_ROOT = Path(__file__).resolve().parents[2]
_INTERRUPTED = 130
_SHOWN = 16  # hosts

app = typer.Typer(
    no_args_is_help=True,
    help="The fleet's whole network on this machine: an internet, hubs as their kits install "
         "them, branches that run our gateway from their bundles, hosts on their LANs, stock "
         "clients.\n\nEach is a network namespace; nothing outside of them is touched. A host "
         "behind paris is called paris-server, one on lyon's LAN lyon-desk, and all names resolve "
         "on all hosts.",
    epilog="An afternoon in the lab: `lab up`, `lab exec lyon-desk ping nice-desk`, `lab cut lyon "
           "paris` (traffic takes another hub), `lab status`, `lab heal`, `lab down`.",
)
_Member = Annotated[str, typer.Argument(metavar="A", help="A hub, branch or client.")]


@app.command(name="up")
def up(
    file: Annotated[Path | None, typer.Argument(
        metavar="FLEET.toml", help="By default fleet.toml, or what --fleet names.")] = None,
    fleet_file: FleetFile = DEFAULT_FLEET,
    fresh: Annotated[bool, typer.Option(
        "--fresh", help="Use keys made for this lab alone, not those of state/.")] = False,
    stub: Annotated[list[str] | None, typer.Option(
        metavar="BRANCH", help="Run stock OpenVPN and no Babel there; may be repeated.")] = None,
    without: Annotated[list[str] | None, typer.Option(
        metavar="NAME", help="Leave a hub, branch or client out; may be repeated.")] = None,
    timeout: Annotated[float, typer.Option(
        metavar="SECONDS", help="How long to wait for tunnels and routes.")] = 60.0,
    as_json: AsJson = False,
) -> None:
    """Raise the network and leave it running.

    Kits, bundles and profiles beside fleet.toml are used as they are; where there are none, keys
    are made that live and die with the lab. Exit code 3 if it runs but something is not up.
    """
    with told(as_json):
        path = (file or fleet_file).resolve()
        fleet, _ = load(path)
        for names, known in ((stub, fleet.branches), (without, fleet.members)):
            for name in names or ():
                if name not in known:
                    raise Refusal(f"{path} has no {name} to choose", meant(name, known),
                                  WRONG_INPUT)
        if any(each.fleet == path and each.alive for each in _kept().find()):
            raise Refusal(f"the lab of {path} is up already", "branchctl lab down takes it down")
        for each in _kept().find():
            if each.fleet == path:  # a crash has left it
                each.down()
        answer = _raise(path, as_json, fresh=fresh, stubs=stub or [], without=without or [],
                        timeout=timeout)
        if as_json:
            print_json(answer)
        else:
            _tell_how_to_go_on(path, answer)
    if answer["up"]:
        raise typer.Exit(DUE)


@app.command(name="status")
def status(fleet_file: FleetFile = DEFAULT_FLEET, as_json: AsJson = False) -> None:
    """Show tunnels, cuts, and who reaches whom by ping, compared with the policy.

    With --json also all routes. Exit code 3 if something is not as it should be.
    """
    with told(as_json):
        with progress("Looking around", as_json):
            answer = _ask(_lab(fleet_file), "status")
        if as_json:
            print_json(answer)
        else:
            for part in lab_tables.status(answer):
                out.print(part)
    if answer["missing"] or any(each["answers"] != each["allowed"] for each in answer["reach"]):
        raise typer.Exit(DUE)


@app.command(name="cut")
def cut(
    a: _Member,
    b: Annotated[str | None, typer.Argument(
        metavar="B", help="The other end; without it, A loses everybody.")] = None,
    fleet_file: FleetFile = DEFAULT_FLEET,
) -> None:
    """Cut the path between two members: every packet vanishes, and nobody is told.

    Such as `cut lyon paris` (a tunnel), `cut paris dublin` (a link between hubs), `cut paris` (a
    data centre that is off the Internet).
    """
    with told():
        lab = _lab(fleet_file)
        names = _members(lab, a, b)
        if not _ask(lab, "cut", names=names)["changed"]:
            raise Refusal(f"{' - '.join(names)} is cut already", "branchctl lab heal undoes it")
        say(f"{' - '.join(names)} is cut; branchctl lab status shows what becomes of it")


@app.command(name="heal")
def heal(
    a: Annotated[str | None, typer.Argument(
        metavar="A", help="A hub, branch or client; without any, all cuts are undone.")] = None,
    b: Annotated[str | None, typer.Argument(metavar="B", help="The other end.")] = None,
    fleet_file: FleetFile = DEFAULT_FLEET,
) -> None:
    """Undo a cut, named as it was cut, or all of them."""
    with told():
        lab = _lab(fleet_file)
        names = _members(lab, a, b) if a else []
        if not _ask(lab, "heal", names=names)["changed"]:
            cuts = [" ".join(pair) for pair in _ask(lab, "names")["cuts"]]
            raise Refusal(f"{' - '.join(names) or 'nothing'} is not cut" if names else
                          "nothing is cut", "cut are: " + ", ".join(cuts) if cuts else
                          "branchctl lab cut A B cuts something")
        say(f"{' - '.join(names) or 'everything'} is healed")


@app.command(name="exec", context_settings={"ignore_unknown_options": True,
                                            "allow_interspersed_args": False})
def execute(
    name: Annotated[str, typer.Argument(
        metavar="HOST", help="A host of the lab, such as lyon or lyon-desk.")],
    command: Annotated[list[str], typer.Argument(
        metavar="COMMAND", help="What to run there.")],
    fleet_file: FleetFile = DEFAULT_FLEET,
) -> None:
    """Run a command on a host, such as `exec lyon-desk ping nice-desk` or `exec paris bash`.

    It ends with the command's exit code. `exec lyon branchctl status` shows a gateway's view.
    """
    with told():
        lab = _lab(fleet_file)
        hosts = _ask(lab, "names")["hosts"]
        if name not in hosts:
            raise Refusal(f"the lab has no host {name}", meant(name, hosts), WRONG_INPUT)
        argv = [*_ask(lab, "enter", host=name, folder=os.getcwd())["command"], *command]
        sys.stdout.flush()
        try:
            os.execvp(argv[0], argv)
        except OSError as error:
            raise Refusal(f"{argv[0]} cannot be run: {error.strerror}",
                          "install iproute2 and util-linux") from None


@app.command(name="down")
def down(
    fleet_file: FleetFile = DEFAULT_FLEET,
    everything: Annotated[bool, typer.Option(
        "--all", help="All labs of this user, whatever their fleets.")] = False,
) -> None:
    """Take the lab down, or remove what a crash has left of it. Nothing stays behind."""
    with told():
        known = _kept().find()
        chosen = known if everything else [
            each for each in known if each.fleet == fleet_file.resolve()]
        chosen = chosen or [_lab(fleet_file, known)]
        for each in chosen:
            with progress(f"Taking down the lab of {each.fleet}"):
                each.down()
            say(f"the lab of {each.fleet} is gone")


# ---- the lab that lives in the checkout ----


def _kept():
    """The module of labs that are kept. Raises Refusal outside of a checkout."""
    if not (_ROOT / "host_tests" / "lab" / "kept.py").exists():
        raise Refusal("the lab is not part of the installed branchctl",
                      "run .venv/bin/branchctl of a clone of Branchline's repository, where "
                      "`make setup` has made it")
    if str(_ROOT) not in sys.path:
        sys.path.append(str(_ROOT))
    from host_tests.lab import kept
    return kept


def _lab(fleet_file: Path, known: list | None = None):
    """The lab of a fleet, or the only one, of those that are known, by default all that are alive.
    Raises Refusal."""
    known = known if known is not None else [each for each in _kept().find() if each.alive]
    for each in known:
        if each.fleet == fleet_file.resolve():
            return each
    if len(known) == 1 and fleet_file == DEFAULT_FLEET and not fleet_file.exists():
        return known[0]
    if known:
        others = ", ".join(f"--fleet {each.fleet}" for each in known)
        raise Refusal(f"the lab of {fleet_file.resolve()} is not up", f"up are: {others}")
    raise _none_up()


def _none_up() -> Refusal:
    return Refusal("no lab is up" + ("" if os.geteuid() == 0 else " that is yours"),
                   "branchctl lab up raises one")


def _ask(lab, do: str, **request) -> dict:
    from host_tests.lab.errors import LabError
    try:
        return lab.ask(do, **request)
    except LabError as error:
        raise Refusal(str(error), "branchctl lab down and up begin anew") from None


def _members(lab, *names: str | None) -> list[str]:
    """The names of one or two members, checked."""
    chosen = [name for name in names if name is not None]
    known = _ask(lab, "names")
    for name in chosen:
        if name in known["behind"]:
            inner = known["behind"][name]
            raise Refusal(f"{name} is behind {inner} and not on the internet itself",
                          f"name {inner}", WRONG_INPUT)
        if name not in known["members"]:
            raise Refusal(f"the lab has no {name}", meant(name, known["members"]), WRONG_INPUT)
    if len(set(chosen)) < len(chosen):
        raise Refusal(f"{chosen[0]} has no path to itself", "name two members, or one alone",
                      WRONG_INPUT)
    return chosen


def _raise(path: Path, as_json: bool, **options) -> dict:
    """What the keeper says at last. Raises Refusal."""
    from host_tests.lab.errors import LabError
    told_last: dict = {}
    try:
        with progress("Raising the lab", as_json) as tell:
            for told_last in _kept().raise_kept(path, **options):
                tell(told_last.get("progress", ""))
    except LabError as error:
        told_last = {"failed": str(error)}
    except KeyboardInterrupt:
        err.print("stopped; nothing is left of it")
        raise typer.Exit(_INTERRUPTED) from None
    if "failed" in told_last:
        raise Refusal(f"the lab does not come up: {told_last['failed']}", "nothing is left of it")
    return told_last


def _tell_how_to_go_on(path: Path, answer: dict) -> None:
    for each in answer["up"]:
        note(each)
    if not Path(answer["keys"]).samefile(path.parent):
        say("The keys were made for this lab alone.", style="dim")
    elif path.stat().st_mtime > (path.parent / "state" / "state.json").stat().st_mtime:
        note(f"{path.name} is newer than the kits; if it says something else by now, run "
             "branchctl provision and raise the lab again")
    what = "something is not up" if answer["up"] else "everything is up"
    hosts = answer["hosts"]
    more = f" and {len(hosts) - _SHOWN} more" if len(hosts) > _SHOWN else ""
    say(f"After {answer['seconds']:.1f} s {what}. Hosts: {', '.join(hosts[:_SHOWN])}{more}")
    say("branchctl lab exec HOST COMMAND runs something there, lab status shows who reaches whom, "
        "lab cut breaks something, lab down removes it all.")
    say(f"Logs: {answer['directory']}", style="dim")
