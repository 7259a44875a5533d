"""`branchctl renew`: new keys and certificates in time; the old ones stay good until they end."""

import datetime
from typing import Annotated

import typer

from branchctl import clock
from branchctl.passphrase import CaKey, PassphraseFile
from branchctl.problems import Refusal
from branchctl.provision import Names, Work, opened, report
from branchctl.terminal import DEFAULT_FLEET, AsJson, FleetFile, progress, say, told


def command(
    names: Names = None,
    within: Annotated[int, typer.Option(
        "--within", metavar="DAYS", min=0,
        help="Without names: renew what ends within so many days.")] = 30,
    authority: Annotated[bool, typer.Option(
        "--ca", help="Renew the CA's certificate, with its key: all that it signed stays good. "
        "Every hub and branch must get the new one before the old one ends.")] = False,
    fleet_file: FleetFile = DEFAULT_FLEET,
    ca_key: CaKey = None,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Make new keys and certificates for who is named, or for all that end soon.

    Nothing drops: hubs accept old and new, until the old ones end. A hub takes up its own new
    certificate by a restart of its servers, from which traffic is moved before: install one hub
    after the other.
    """
    with told(as_json), progress("Renewing", as_json) as tell:
        with opened(fleet_file, names, passphrase_file, ca_key, tell,
                    expired=authority) as work:
            if not work.state.authority_files()[1].exists():
                raise Refusal(f"{fleet_file} was never provisioned", "run branchctl provision")
            if authority:
                work.state.save()
                work.factory.renew_authority()
            renewed = _renew(work, names, within)
            products = work.produce(names)
        if not as_json:
            say(f"renewed: {', '.join(renewed) or 'none'}")
        report(work, products, as_json)


def _renew(work: Work, names: list[str] | None, within: int) -> list[str]:
    limit = clock.now() + datetime.timedelta(days=within)
    chosen = []
    for each in work.factory.wanted():
        credential = work.state.credential(each.name)
        if credential is not None and (
                each.member in names if names else
                credential.certificate.not_valid_after_utc <= limit):
            chosen.append(each)
    return work.factory.issue(chosen)
