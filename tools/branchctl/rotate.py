"""`branchctl rotate`: keys replaced step by step, so that nobody is ever shut out."""

from typing import Annotated

import typer

from branchctl.passphrase import CaKey, PassphraseFile
from branchctl.problems import FAILED, WRONG_INPUT, Refusal, meant
from branchctl.provision import Names, opened, report
from branchctl.rotation import BOARDS, HUBS, IDLE, advance_babel
from branchctl.terminal import (
    DEFAULT_FLEET,
    AsJson,
    FleetFile,
    progress,
    say,
    told,
)

app = typer.Typer(no_args_is_help=True, help="Replace keys with overlap.")

# What a phase is entered with: what must have been done, and what to do.
_DONE = {
    IDLE: None,
    BOARDS: "Do all branches run the bundles that have both keys, and all BIRD hubs their kits?",
    HUBS: "Do all hubs run the kits that have the new key?",
}
_NEXT = {
    BOARDS: "Now every branch has both keys: bring the bundles to all branches (SIGHUP has a "
            "gateway take its own up) and install the kits of BIRD hubs. When all run them, run "
            "`branchctl rotate babel` again.",
    HUBS: "Now babeld hubs have the new key: install their kits. When all run them, run "
          "`branchctl rotate babel` again.",
    IDLE: "The old key is gone: bring the bundles to all branches and install the kits of BIRD "
          "hubs, in any order.",
}


@app.command(name="babel")
def babel(
    yes: Annotated[bool, typer.Option(
        "--yes", "-y", help="The step before is installed everywhere; do not ask.")] = False,
    fleet_file: FleetFile = DEFAULT_FLEET,
    ca_key: CaKey = None,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Replace Babel's key, in three steps: run this once for each, and do what it says between.

    First branches get both keys, and sign with both; then hubs change to the new one; then the
    old one is removed. babeld can have one key only, so it is branches that make the overlap.
    """
    with told(as_json):
        with opened(fleet_file, None, passphrase_file, ca_key, lambda text: None) as work:
            record = work.state.record
            if not work.state.fleet.signed:
                raise Refusal("this fleet has no keys for Babel (routing.keys = false)",
                              "remove that line to sign Babel's packets")
            # An interrupted step is completed first, or the next one would come too early.
            products = work.produce()
            behind = any(each.changed for each in products)
            if not behind:
                question = _DONE[record.babel_phase]
                if question and not yes and not typer.confirm(question, err=True):
                    raise Refusal("nothing was changed", "come back when it is done", FAILED)
                advance_babel(record)
                products = work.produce()
        report(work, products, as_json)
        if not as_json:
            say("That was left to do; no step was taken. Install it, then run this again."
                if behind else _NEXT[record.babel_phase])


@app.command(name="tls-crypt")
def tls_crypt(
    names: Names = None,
    hub: Annotated[str | None, typer.Option(
        "--server", metavar="HUB", help="Replace this hub's server key, and everybody's key "
        "toward it.")] = None,
    fleet_file: FleetFile = DEFAULT_FLEET,
    ca_key: CaKey = None,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Replace the tls-crypt-v2 keys of branches and clients (all, or those named).

    Nothing drops: a hub accepts every key that its server key has wrapped, the old ones, too. So
    this does not shut out who has an old key; revoke does, and so does a new server key. OpenVPN
    has one server key at a time: with --server, a branch has no tunnel to that one hub while only
    one of them has the new key, and traffic takes the other hubs. Do one hub after the other.
    """
    with told(as_json), progress("Rotating", as_json) as tell, \
            opened(fleet_file, names, passphrase_file, ca_key, tell) as work:
        record, fleet = work.state.record, work.state.fleet
        if hub is not None:
            if hub not in fleet.hubs or names:
                raise Refusal(f"--server {hub}: " + ("names go without it" if names else
                              "there is no such hub"), meant(hub, fleet.hubs), WRONG_INPUT)
            record.server_keys[hub] += 1
        else:
            for name in names or [*fleet.branches, *fleet.clients]:
                if name in fleet.hubs:
                    raise Refusal(f"{name} is a hub", f"use --server {name}", WRONG_INPUT)
                record.client_keys[name] = record.client_keys.get(name, 1) + 1
        products = work.produce()
        report(work, products, as_json)
