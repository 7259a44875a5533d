"""What branchctl says: to people on the terminal, to scripts as JSON; how it ends."""

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from branchctl.fleet import FILE
from branchctl.problems import WRONG_INPUT, Problems, Refusal

out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)

FleetFile = Annotated[Path, typer.Option(
    "--fleet", "-f", metavar="FILE", envvar="BRANCHCTL_FLEET",
    help="The fleet's description; state/, kits/, bundles/ and clients/ lie beside it.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
DEFAULT_FLEET = Path(FILE)


def say(text: str, style: str = "") -> None:
    """A line for people; it may hold rich's markup only in `style`."""
    out.print(escape(text), style=style)


def note(text: str) -> None:
    """Something that needs attention, on standard error."""
    err.print(f"[yellow]note:[/] {escape(text)}")


def print_json(value) -> None:
    """The answer for a script."""
    print(json.dumps(value, indent=2, default=str))


@contextlib.contextmanager
def told(as_json: bool = False) -> Iterator[None]:
    """Refusals and mistakes become messages (JSON on standard output) and the exit code."""
    try:
        yield
    except Problems as error:
        if as_json:
            print_json({"problems": [dataclasses.asdict(each) for each in error.problems]})
        for problem in () if as_json else error.problems:
            key = f"[bold]{escape(problem.key)}[/]: " if problem.key else ""
            err.print(f"{escape(problem.file)}:{problem.line}: {key}[red]{escape(problem.what)}"
                      f"[/]; {escape(problem.fix)}")
        raise typer.Exit(WRONG_INPUT) from None
    except Refusal as error:
        if as_json:
            print_json({"error": error.what, "fix": error.fix})
        else:
            err.print(f"[red]error:[/] {escape(error.what)}; {escape(error.fix)}")
        raise typer.Exit(error.code) from None


@contextlib.contextmanager
def progress(title: str, quiet: bool = False) -> Iterator:
    """Shows what goes on, on a terminal; yields tell(text)."""
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(),
                  console=err, transient=True, disable=quiet or not err.is_terminal) as shown:
        task = shown.add_task(escape(title))
        yield lambda text: shown.update(task, description=escape(f"{title}: {text}"))
