"""`python -m host_tests.lab.keeper FLEET.toml`: raises a fleet and keeps it up until SIGTERM.

It is started by `branchctl lab up` and tells on its standard output, as lines of JSON, how far it
is: {"progress": TEXT}, and at last {"up": MISSING, ...} or {"failed": TEXT}. From then on it
answers requests on a UNIX socket in the run's directory; kept.py is the other side.
"""

import contextlib
import json
import os
import shutil
import socket
import sys
import time
from pathlib import Path

from branchctl.fleet import FILE
from branchctl.problems import Problems, Refusal
from branchctl.state import FOLDER as STATE
from host_tests.lab import fleet_status
from host_tests.lab.errors import LabError
from host_tests.lab.fleet_lab import FleetLab, provision
from host_tests.lab.kept import CONTROL, NOTICE, enter_command
from host_tests.lab.netns import Lab

_LONGEST = 65536
_TIMEOUT = 5.0


def main() -> None:
    file, options = Path(sys.argv[1]).resolve(), json.loads(sys.argv[2])
    began = time.monotonic()
    try:
        with Lab() as lab:
            _notice(lab, file)
            fleet = _raise(lab, file, options)
            missing = _wait(fleet, options["timeout"])
            with socket.socket(socket.AF_UNIX) as door:
                door.bind(str(lab.directory / CONTROL))
                door.listen()
                _tell(up=missing, seconds=time.monotonic() - began, hosts=fleet.host_names(),
                      directory=str(lab.directory), keys=str(fleet.folder))
                _close_output()
                _serve(door, fleet)
    except LabError as error:
        _fail(str(error))
    except Refusal as error:
        _fail(f"{error.what}; {error.fix}")
    except Problems as error:
        _fail(str(error))


def _notice(lab: Lab, file: Path) -> None:
    """Write down, for other processes, whose lab this is."""
    facts = {"fleet": str(file), "pid": os.getpid(), "users": os.stat("/proc/self/ns/user").st_ino}
    path = lab.directory / f"{NOTICE}.new"
    path.write_text(json.dumps(facts))
    path.rename(lab.directory / NOTICE)


def _raise(lab: Lab, file: Path, options: dict) -> FleetLab:
    """The fleet from the kits beside its file, or, without any, from keys for this lab alone."""
    folder = file.parent
    if options["fresh"] or file.name != FILE or not (folder / STATE).exists():
        folder = lab.directory / "fleet"
        folder.mkdir(mode=0o700)
        shutil.copy(file, folder / FILE)
        provision(folder / FILE, lambda text: _tell(progress=f"making keys: {text}"))
    _tell(progress="making hosts and links")
    fleet = FleetLab(lab, folder, stubs=options["stubs"], absent=options["without"])
    return fleet.start(tell=lambda name: _tell(progress=f"starting: {name}"))


def _wait(fleet: FleetLab, timeout: float) -> list[str]:
    """What is not up when time is over."""
    try:
        fleet.wait(timeout, lambda text: _tell(progress=text))
    except LabError:
        return fleet.missing()
    return []


def _serve(door: socket.socket, fleet: FleetLab) -> None:
    while True:
        link, _ = door.accept()
        with link, contextlib.suppress(OSError, ValueError):
            link.settimeout(_TIMEOUT)
            request = json.loads(link.makefile().readline(_LONGEST))
            try:
                answer = _answer(fleet, request)
            except LabError as error:
                answer = {"error": str(error)}
            link.sendall(json.dumps(answer).encode() + b"\n")


def _answer(fleet: FleetLab, request: dict) -> dict:
    match request.get("do"):
        case "status":
            return {**fleet_status.status(fleet), "directory": str(fleet.lab.directory)}
        case "cut":
            return {"changed": fleet.cuts.cut(*request["names"])}
        case "heal":
            return {"changed": fleet.cuts.heal(*request["names"])}
        case "names":
            return {"members": list(fleet.sites), "hosts": fleet.host_names(),
                    "behind": {host: site.name for site in fleet.sites.values()
                               for host in site.inside},
                    "cuts": sorted(fleet.cuts.pairs)}
        case "enter":
            return {"command": enter_command(fleet.lab.hosts[request["host"]],
                                             request["folder"])}
        case other:
            return {"error": f"the lab has no answer to {other}"}


def _tell(**facts) -> None:
    print(json.dumps(facts), flush=True)


def _fail(text: str) -> None:
    _tell(failed=text)
    sys.exit(1)


def _close_output() -> None:
    """Nobody reads it any more."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)


if __name__ == "__main__":
    main()
