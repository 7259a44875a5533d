"""`make lab`: two data centres and two branches to try things in by hand, until Ctrl-C."""

import os
import signal
import sys

import typer
from rich.console import Console

from host_tests.lab import privileges
from host_tests.lab.babel import MacKey
from host_tests.lab.errors import LabError
from host_tests.lab.netns import Host, Lab
from host_tests.lab.topology import Network


def main() -> None:
    """Two data centres with their hubs, two branches without their gateways, until Ctrl-C."""
    console = Console(soft_wrap=True, highlight=False)
    try:
        with Lab() as lab:
            network = Network(lab, {"paris": "babeld", "dublin": "babeld"}, ("lyon", "nice"),
                              key=MacKey(), wrap="tls-crypt")
            network.start()
            console.print(f"Hosts: {', '.join(lab.hosts)}. In another terminal, here:\n")
            for name, branch in network.branches.items():
                folder = network.gateway(name).write()
                console.print(f"  {_enter(branch.gateway)} make run CONFIG={folder}")
            desk = network.branches["lyon"].desk
            for centre in network.centres.values():
                centre.serve()
                console.print(f"  {_enter(desk)} curl {centre.url}")
            console.print(f"\nLogs and configurations: {lab.directory}. Ctrl-C removes all.")
            signal.pause()
    except LabError as error:
        console.print(f"The lab does not come up: {error}", style="red", markup=False)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        console.print("\nRemoved.")
        sys.exit(0)


def _enter(host: Host) -> str:
    """The command that runs what follows it on a host."""
    join = ["nsenter", "--target", str(os.getpid()), "--user", "--mount", "--preserve-credentials",
            "--wdns", os.getcwd()]
    return " ".join([*(join if privileges.rootless() else []), "ip netns exec", host.namespace])


if __name__ == "__main__":
    typer.run(main)
