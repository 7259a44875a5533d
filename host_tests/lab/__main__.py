"""`make lab`: two data centres and a branch to try things in by hand, until Ctrl-C."""

import os
import signal
import sys

import typer
from rich.console import Console

from host_tests.lab import privileges
from host_tests.lab.errors import LabError
from host_tests.lab.gateway import Gateway
from host_tests.lab.netns import Host, Lab
from host_tests.lab.topology import TwoCentres


def main() -> None:
    """Two data centres with OpenVPN servers and a branch without its gateway, until Ctrl-C."""
    console = Console(soft_wrap=True, highlight=False)
    try:
        with Lab() as lab:
            network = TwoCentres(lab, wrap="tls-crypt")
            network.start()
            branch = network.branch
            folder = Gateway(branch.gateway, network.profiles(), lans=branch.lans).write()
            console.print(f"Hosts: {', '.join(lab.hosts)}. In another terminal, here:\n")
            console.print(f"  {_enter(branch.gateway)} make run CONFIG={folder}")
            for centre in network.centres:
                console.print(f"  {_enter(branch.host)} curl {centre.url}")
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
