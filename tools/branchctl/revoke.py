"""`branchctl revoke`: all certificates of a member are refused from now on."""

from typing import Annotated

import typer

from branchctl.passphrase import CaKey, PassphraseFile
from branchctl.problems import Refusal
from branchctl.provision import opened, report
from branchctl.terminal import DEFAULT_FLEET, AsJson, FleetFile, progress, say, told


def command(
    name: Annotated[str, typer.Argument(
        metavar="NAME", help="A hub, branch or client; also one that fleet.toml has no more.")],
    fleet_file: FleetFile = DEFAULT_FLEET,
    ca_key: CaKey = None,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Revoke all certificates of a member, and put the revocation list into every hub's kit.

    Install the kits to make it so: each hub then ends the member's sessions and refuses new ones.
    Hubs also forget the member until `branchctl provision NAME` gives it new credentials.
    """
    with told(as_json), progress("Revoking", as_json) as tell:
        with opened(fleet_file, [name], passphrase_file, ca_key, tell, former=True) as work:
            if not work.state.authority_files()[1].exists():
                raise Refusal(f"{name} has no certificates", "run branchctl provision first")
            work.factory.authority().key()  # what cannot be signed must not be on record
            count = work.factory.revoke(name)
            products = work.produce()
        if not as_json:
            say(f"{count} certificates of {name} are revoked")
        report(work, products, as_json)
