"""`branchctl check`: every mistake in fleet.toml, with its line and how to mend it."""

import dataclasses
from typing import Annotated

import typer

from branchctl import allocation, gateway_filter, online
from branchctl.fleet import load
from branchctl.problems import DUE, Problems
from branchctl.state import State
from branchctl.terminal import (
    DEFAULT_FLEET,
    AsJson,
    FleetFile,
    err,
    print_json,
    progress,
    say,
    told,
)


def command(
    fleet_file: FleetFile = DEFAULT_FLEET,
    probe: Annotated[bool, typer.Option(
        "--online", help="Also resolve the hubs' names and knock at their ports.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what is wrong in fleet.toml: file, line, key and how to mend it.

    Exit code 2 for mistakes; with --online, 3 if the file is good but a hub does not answer.
    """
    with told(as_json):
        fleet, report = load(fleet_file)
        known = State.peek(fleet)
        if known is not None:
            allocation.allocate(fleet, known, report)
            gateway_filter.check(fleet, known, report)
            if report.problems:
                raise Problems(report.problems)
        unreachable = []
        if probe:
            with progress("Looking for the hubs", as_json) as tell:
                unreachable = online.look(fleet, report, tell)
        if as_json:
            print_json({"problems": [dataclasses.asdict(each) for each in unreachable]})
        for problem in () if as_json else unreachable:
            err.print(str(problem), markup=False)
        if unreachable:
            raise typer.Exit(DUE)
        if not as_json:
            say(f"{fleet_file} is good: {len(fleet.hubs)} hubs, {len(fleet.branches)} branches, "
                f"{len(fleet.clients)} clients, {len(fleet.rules)} rules")
