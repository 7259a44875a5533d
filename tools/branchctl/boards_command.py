"""`branchctl boards`: what a gateway can run on, and what of that has been tested, and how."""

import dataclasses
from typing import Annotated

import typer
from rich.markup import escape

from branchctl import boards
from branchctl.boards import Board
from branchctl.terminal import AsJson, out, print_json, told


def command(
    name: Annotated[str | None, typer.Argument(
        metavar="[BOARD]", help="Show this one only.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the boards: what they are, how they are built and flashed, what has been tested how."""
    with told(as_json):
        shown = boards.load() if name is None else {name: boards.of_name(name)}
        if as_json:
            print_json({key: dataclasses.asdict(board) for key, board in shown.items()})
        else:
            for board in shown.values():
                _show(board)


def _show(board: Board) -> None:
    out.print(f"[bold]{escape(board.name)}[/]  {escape(board.title)}")
    lines = {
        "processor": board.mcu,
        "interfaces": ", ".join(f"{each} ({kind})" for each, kind in board.interfaces.items()),
        "image": f"{board.build} (flashing: {board.flashing})" if board.build else "none yet",
        "does": ", ".join(board.abilities),
    }
    for label, text in lines.items():
        if text:
            out.print(f"    {label:<11} {escape(text)}")
    for test in board.tested:
        out.print(f"    tested      {escape(test.what)} [dim]({escape(test.how)})[/]")
    if not board.tested:
        out.print("    tested      [yellow]nothing[/]")
