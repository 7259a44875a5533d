"""What the demo prints while it runs: a line for each step, with its time and its results."""

import contextlib
import time

from rich.console import Console

from host_tests.lab.errors import LabError


class Failure(Exception):
    """A step went wrong; the message is for the user."""


class Steps:
    """Says what is happening, how long it has taken, and which step failed."""

    def __init__(self, console: Console):
        self.console = console
        self._began = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began

    @contextlib.contextmanager
    def step(self, what: str):
        """Announce a step; what the body appends to the yielded list ends its line."""
        results: list[str] = []
        with self.console.status(f"{what} ..."):
            try:
                yield results
            except LabError as error:
                self._line("[red]failed[/]", what, [])
                raise Failure(f"{what}: {error}") from error
        self._line("[green]ok[/]", what, results)

    def note(self, text: str) -> None:
        """A result that must not be overlooked."""
        self.console.print(f"{'':14}{text}", highlight=False, soft_wrap=True, style="bold")

    def _line(self, verdict: str, what: str, results: list[str]) -> None:
        detail = f"  [dim]{', '.join(results)}[/]" if results else ""
        self.console.print(
            f"{self.elapsed:6.2f} s  {verdict}  {what}{detail}", highlight=False, soft_wrap=True,
        )
