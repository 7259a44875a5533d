"""`branchctl provision`: keys, certificates, kits, bundles and profiles, made or brought up to
date."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from branchctl import allocation, gateway_filter
from branchctl.factory import Factory
from branchctl.fleet import load
from branchctl.passphrase import CaKey, Passphrase, PassphraseFile
from branchctl.problems import WRONG_INPUT, Problems, Refusal, meant
from branchctl.production import Product, Production
from branchctl.state import State
from branchctl.terminal import (
    DEFAULT_FLEET,
    AsJson,
    FleetFile,
    note,
    print_json,
    progress,
    say,
    told,
)

Names = Annotated[list[str] | None, typer.Argument(
    metavar="[NAME]...", help="Hubs, branches and clients; all of them if none is named.")]
Tell = Callable[[str], None]


def command(
    names: Names = None,
    fleet_file: FleetFile = DEFAULT_FLEET,
    encrypt_ca: Annotated[bool, typer.Option(
        "--encrypt-ca", help="Lock the CA's key with a passphrase when it is made.")] = False,
    ca_cert: Annotated[Path | None, typer.Option(
        "--ca-cert", metavar="FILE", help="First run: use this intermediate CA, followed by those "
        "above it, instead of making a root; its key is --ca-key.")] = None,
    ca_key: CaKey = None,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Make keys and certificates, and from them kits/, bundles/ and clients/.

    What is there is kept: a second run changes nothing, and an interrupted one is simply run
    again. Hub kits are always brought up to date, as each hub must know everybody. With names,
    only these get certificates, bundles and profiles; who was revoked gets new ones if named.
    """
    with told(as_json), progress("Provisioning", as_json) as tell:
        with opened(fleet_file, names, passphrase_file, ca_key, tell) as work:
            record = work.state.record
            record.blocked = [each for each in record.blocked if each not in (names or ())]
            products = work.produce(names, encrypt_ca, ca_cert)
        report(work, products, as_json)


@dataclasses.dataclass
class Work:
    """An open, checked state folder, with all that works on it."""

    state: State
    factory: Factory
    production: Production
    tell: Tell

    def produce(self, names: list[str] | None = None, encrypt: bool = False,
                ca_cert: Path | None = None) -> list[Product]:
        """Save the record, make what is missing, and write all that is made from it."""
        factory = self.factory
        new_authority = factory.prepare_authority(encrypt, ca_cert)
        factory.unlock(names)
        self.state.save()
        for name, text in new_authority.items():
            self.state.put(name, text)
        factory.make_secrets()
        factory.drop_revoked()
        factory.issue(factory.missing(names))
        factory.make_crl()
        products = self.production.make(names or None, self.tell)
        if not names:
            factory.remove_former()
        return products


@contextlib.contextmanager
def opened(fleet_file: Path, names: list[str] | None, passphrase_file: Path | None,
           ca_key: Path | None, tell: Tell, former: bool = False,
           expired: bool = False) -> Iterator[Work]:
    """Everything is read and checked, and nothing changed yet. Raises Problems and Refusal.

    former: names may be of members that are no longer in the file; expired: the CA may have.
    """
    fleet, report = load(fleet_file)
    with State.open(fleet) as state:
        known = {*fleet.members, *(state.record.addresses if former else ())}
        for name in names or ():
            if name not in known:
                raise Refusal(f"{fleet_file} has no {name}", meant(name, known), WRONG_INPUT)
        allocation.allocate(fleet, state.record, report)
        gateway_filter.check(fleet, state.record, report)
        if report.problems:
            raise Problems(report.problems)
        factory = Factory(state, Passphrase(passphrase_file), ca_key, tell)
        factory.adopt()
        production = Production(state, factory)
        production.check()
        if state.authority_files()[1].exists() and not expired:
            state.check_authority(factory.authority().chain)
        yield Work(state, factory, production, tell)


def report(work: Work, products: list[Product], as_json: bool = False) -> None:
    """Say what was made, and what needs attention."""
    record, fleet = work.state.record, work.state.fleet
    former = sorted({each.name for each in record.issued} - set(fleet.members))
    blocked = [name for name in record.blocked if name in fleet.members]
    if as_json:
        print_json({"products": [dataclasses.asdict(each) for each in products],
                    "blocked": blocked, "former": former})
        return
    changed = [each for each in products if each.changed]
    for each in changed:
        say(f"{each.path}")
    if not changed:
        say("nothing to change: everything is up to date")
    elif any(each.name in fleet.hubs for each in changed):
        say("Copy each kit to its hub and run install.sh there; bundles go to the branches.")
    for name in blocked:
        note(f"{name} is revoked; branchctl provision {name} gives it new credentials")
    for name in former:
        note(f"{name} is no longer in {fleet.file}, but has certificates: hubs know it no more; "
             f"branchctl revoke {name} revokes them")
