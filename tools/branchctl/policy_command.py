"""`branchctl policy explain`: what one member may open towards another, and why."""

import ipaddress

import typer

from branchctl.fleet import load
from branchctl.model import Fleet
from branchctl.policy import allowed
from branchctl.problems import WRONG_INPUT, Refusal, meant
from branchctl.reader import Report
from branchctl.record import Record
from branchctl.state import State
from branchctl.terminal import DEFAULT_FLEET, AsJson, FleetFile, print_json, say, told

app = typer.Typer(no_args_is_help=True, help="Ask the policy of fleet.toml.")
_MEMBER = typer.Argument(help="A hub, branch or client, or an address of one.")


@app.callback()
def _commands() -> None:
    """Even a single command is called by its name."""


@app.command(name="explain")
def explain(
    a: str = _MEMBER,
    b: str = _MEMBER,
    fleet_file: FleetFile = DEFAULT_FLEET,
    as_json: AsJson = False,
) -> None:
    """Say what A may open towards B, what B may open towards A, and which rules say so.

    Answers come back without a rule. Hubs and Linux branches enforce this; whatever no rule
    allows is dropped.
    """
    with told(as_json):
        fleet, report = load(fleet_file)
        record = State.peek(fleet)
        first, second = (_member(fleet, record, each) for each in (a, b))
        directions = [(first, second), (second, first)]
        if as_json:
            print_json([{"from": source, "to": target, "allowed": _rules(
                fleet, report, source, target)} for source, target in directions])
            return
        for source, target in directions:
            found = _rules(fleet, report, source, target)
            for each in found:
                say(f"{source} -> {target}: {each['service']} (rule {each['rule']}, "
                    f"{fleet.file}:{each['line']})")
            if not found:
                say(f"{source} -> {target}: nothing; no rule allows it")


def _rules(fleet: Fleet, report: Report, source: str, target: str) -> list[dict]:
    return [{"service": str(each.service), "rule": each.rule.number,
             "line": report.line(each.rule.key)} for each in allowed(fleet, source, target)]


def _member(fleet: Fleet, record: Record | None, text: str) -> str:
    """The member of that name, or that has that address or is in front of it."""
    if text in fleet.members:
        return text
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise Refusal(f"{text} is no hub, branch or client", meant(text, fleet.members),
                      WRONG_INPUT) from None
    for member in fleet.members.values():
        own = record.addresses.get(member.name) if record else member.address
        if str(address) == str(own) or any(address in each for each in member.networks()):
            return member.name
    raise Refusal(f"nobody in the fleet has {text}", "addresses outside of the fleet are never "
                  "reached through it", WRONG_INPUT)
