"""The CA key's passphrase: from a file, the environment or a prompt, never from arguments."""

import dataclasses
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from branchctl.problems import Refusal

_VARIABLE = "BRANCHCTL_CA_PASSPHRASE"
PassphraseFile = Annotated[Path | None, typer.Option(
    "--ca-passphrase-file", metavar="FILE",
    help=f"The CA key's passphrase is the first line of this file (otherwise {_VARIABLE}, or a "
         "prompt).")]
CaKey = Annotated[Path | None, typer.Option(
    "--ca-key", metavar="FILE", help="The CA's key, where it is kept outside of state/.")]


@dataclasses.dataclass
class Passphrase:
    """Where to get it from."""

    file: Path | None = None

    def given(self) -> str | None:
        """The passphrase from the file or the environment."""
        if self.file is not None:
            try:
                return self.file.read_text().splitlines()[0]
            except (OSError, UnicodeError, IndexError):
                raise Refusal(f"{self.file} holds no passphrase",
                              "put it on the first line of that file") from None
        return os.environ.get(_VARIABLE) or None

    def ask(self) -> str | None:
        """The passphrase, from a prompt if need be; None where nobody can be asked."""
        given = self.given()
        if given is None and sys.stdin.isatty():
            given = typer.prompt("Passphrase of the CA's key", hide_input=True, err=True)
        return given

    def choose(self) -> str:
        """A new passphrase."""
        given = self.given()
        if given is None and sys.stdin.isatty():
            given = typer.prompt("A passphrase for the CA's key", hide_input=True,
                                 confirmation_prompt=True, err=True)
        if not given:
            raise Refusal("there is no passphrase for the CA's key",
                          f"give one: --ca-passphrase-file, {_VARIABLE}, or run in a terminal")
        return given
