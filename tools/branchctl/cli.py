"""The commands. Each is registered here and lives in a module of its own."""

import typer

from branchctl import (
    check,
    flash,
    init,
    inventory,
    lab,
    policy_command,
    provision,
    renew,
    revoke,
    rotate,
    status,
)
from branchctl.problems import EXIT_CODES

app = typer.Typer(
    help="Looks after a Branchline fleet and its gateways from a host.\n\n"
         "A fleet in five commands: init writes fleet.toml, check finds mistakes in it, provision "
         "makes keys, hub kits, branches' bundles and clients' profiles; run kits/HUB/install.sh "
         "on each hub and a bundle on each branch.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def _commands() -> None:
    """Even a single command is called by its name."""


app.command(name="init")(init.command)
app.command(name="check")(check.command)
app.command(name="provision")(provision.command)
app.command(name="renew")(renew.command)
app.command(name="revoke")(revoke.command)
app.add_typer(rotate.app, name="rotate")
app.command(name="inventory")(inventory.command)
app.command(name="flash")(flash.command)
app.add_typer(policy_command.app, name="policy")
app.command(name="status")(status.command)
app.add_typer(lab.app, name="lab")
