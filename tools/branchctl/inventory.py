"""`branchctl inventory`: what exists, and what ends when."""

import datetime
from typing import Annotated

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from branchctl import authority, clock
from branchctl.factory import Factory
from branchctl.fleet import load
from branchctl.model import Fleet
from branchctl.passphrase import Passphrase
from branchctl.problems import DUE
from branchctl.state import State
from branchctl.terminal import DEFAULT_FLEET, AsJson, FleetFile, out, print_json, say, told


def command(
    within: Annotated[int | None, typer.Option(
        "--within", metavar="DAYS", min=0,
        help="Exit with 3 if anything ends within so many days (for cron).")] = None,
    fleet_file: FleetFile = DEFAULT_FLEET,
    as_json: AsJson = False,
) -> None:
    """Show every member: address, certificate, and the days that are left of it."""
    with told(as_json):
        fleet, _ = load(fleet_file)
        with State.open(fleet) as state:
            rows = _rows(fleet, state)
            keys = {"babel": state.record.babel, "rotation": state.record.babel_phase or None,
                    "revoked": len(state.record.revoked)}
        if as_json:
            print_json({"network": fleet.network, "members": rows, **keys})
        else:
            out.print(_table(rows))
            say(f"Babel's keys: {', '.join(keys['babel'])}" +
                (f" (rotation in step {keys['rotation']})" if keys["rotation"] else "") +
                f"; revoked certificates: {keys['revoked']}")
        if within is not None and any(
                row["days"] is not None and row["days"] <= within for row in rows):
            raise typer.Exit(DUE)


def _rows(fleet: Fleet, state: State) -> list[dict]:
    now = clock.now()
    rows = []
    chain = state.authority_files()[1]
    if chain.exists():
        for each in authority.read_chain(chain.read_bytes(), str(chain)):
            rows.append(_row("CA", "authority", None, each.not_valid_after_utc, now, "ok"))
    for each in Factory(state, Passphrase()).wanted():
        credential = state.credential(each.name)
        status = "ok" if credential else \
            "revoked" if each.member in state.record.blocked else "not provisioned"
        until = credential.certificate.not_valid_after_utc if credential else None
        rows.append(_row(each.member, _kind(fleet, each.member, each.kind),
                         state.record.addresses.get(each.member), until, now, status))
    for name in sorted({each.name for each in state.record.issued} - set(fleet.members)):
        until = max(each.until for each in state.record.issued if each.name == name)
        rows.append(_row(name, "former", state.record.addresses.get(name),
                         datetime.datetime.fromisoformat(until), now, "not in fleet.toml"))
    return rows


def _kind(fleet: Fleet, name: str, kind: str) -> str:
    if name in fleet.hubs:
        return "hub" if kind == authority.SERVER else "hub's mesh"
    return f"branch ({fleet.branches[name].board})" if name in fleet.branches else "client"


def _row(name, kind, address, until, now, status) -> dict:
    days = None if until is None else (until - now).days
    if until is not None and until <= now:
        status = "expired"
    return {"name": name, "kind": kind, "address": address,
            "until": until and until.date().isoformat(), "days": days, "status": status}


def _table(rows: list[dict]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("name", "kind", "address", "until", "days", "status"):
        table.add_column(column, justify="right" if column == "days" else "left")
    for row in rows:
        style = {"ok": "", "expired": "red", "revoked": "red"}.get(row["status"], "yellow")
        if row["status"] == "ok" and row["days"] <= 30:
            style = "yellow"
        table.add_row(*("–" if value is None else escape(str(value)) for value in row.values()),
                      style=style)
    return table
