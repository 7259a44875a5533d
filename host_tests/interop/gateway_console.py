"""The gateway, its routing driven line by line as the watchdog drives it.

Each line on the FIFO that CONSOLE names calls a method of app.routing.Routing: its name, and
arguments that are numbers where they look so; `now` is added.
"""

import os
import sys

from branchline.app import gateway, run


class ConsoleGateway(gateway.Gateway):
    """Registers the FIFO beside everything else."""

    def __init__(self, *args):
        super().__init__(*args)
        # Opened for writing, too, so that there is a writer from the beginning.
        self._console = open(os.getenv("CONSOLE"), "r+b", 0)  # noqa: SIM115
        self._system.poller.register(self._console, self._obey)

    def _obey(self, readable, writable):
        words = self._console.readline().decode().split()
        arguments = [int(word) if word.isdigit() else word for word in words[1:]]
        getattr(self._routing, words[0])(*(arguments + [self._system.ticks()]))


gateway.Gateway = ConsoleGateway
sys.exit(run.main(sys.argv[1:]))
