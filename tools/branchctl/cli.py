"""The commands. Each is registered here and lives in a module of its own."""

import typer

from branchctl import status

app = typer.Typer(
    help="Looks after Branchline's gateways from a host.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _commands() -> None:
    """Even a single command is called by its name."""


app.command(name="status")(status.command)
