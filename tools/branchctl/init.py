"""`branchctl init`: a commented fleet.toml to begin with."""

import os
import re
from pathlib import Path
from typing import Annotated

import typer

from branchctl.fleet import FILE
from branchctl.problems import Refusal
from branchctl.template import TEMPLATE
from branchctl.terminal import say, told


def command(
    folder: Annotated[Path, typer.Argument(
        metavar="[FOLDER]", help="Where the fleet is to be kept; made if it is missing.")
    ] = Path("."),
) -> None:
    """Write a commented fleet.toml to begin with; one that is there stays as it is."""
    with told():
        path = write(folder)
        say(f"{path} is written. Describe your hubs and branches in it, then run: branchctl check")


def write(folder: Path) -> Path:
    """Writes the template; raises Refusal where a file is in the way."""
    path = folder / FILE
    name = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-")[:32].strip("-")
    text = TEMPLATE.format(network=name or "example")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666), "w") as file:
            file.write(text)
    except FileExistsError:
        raise Refusal(f"{path} is there already", "it is left as it is; name another folder, or "
                      "remove the file first") from None
    except OSError as error:
        raise Refusal(f"{path} cannot be written: {error.strerror}",
                      "choose a folder that you may write to") from None
    return path
