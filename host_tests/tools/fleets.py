"""Fleets for the tests, and branchctl run on them."""

import dataclasses
from pathlib import Path

from typer.testing import CliRunner

from branchctl.cli import app

SMALL = """\
network = "acme"
virtual = "10.100.0.0/24"
mesh = "10.8.0.0/24"

[hubs.paris]
endpoints = ["udp://paris.example.com:1194", "tcp://paris.example.com:443"]
tunnels = "10.8.1.0/24"
prefixes = ["10.1.0.0/16"]

[hubs.dublin]
endpoints = ["udp://dublin.example.com:1194"]
tunnels = "10.8.2.0/24"
prefixes = ["10.2.0.0/16"]
babel = "bird"

[branches]
lyon = { lans = ["192.168.11.0/24"], address = "10.100.0.11" }
nice = { lans = { eth1 = "192.168.12.0/24" } }

[clients]
anna = {}

[groups]
admins = ["anna"]

[[policy]]
from = "branches"
to = "hubs"
allow = "any"

[[policy]]
from = "admins"
to = "lyon"
allow = ["tcp/22", "udp/5000-5010", "icmp"]
"""

_HUB = """\
[hubs.h{n}]
endpoints = ["udp://h{n}.example:1194"]
tunnels = "10.8.{n}.0/24"
prefixes = ["10.{n}.0.0/24"]
"""


def large(hubs: int, branches: int, babel: str = "babeld") -> str:
    """The fleet.toml of hubs h1, h2... and branches b1, b2...: at most 7 and 200.

    The LANs are 192.168.NUMBER.0/24; the last branch has another one, 10.64.0.0/24 behind eth2.
    """
    lans = [f'{{ eth1 = "192.168.{n}.0/24" }}' for n in range(1, branches + 1)]
    lans[-1] = lans[-1].replace(" }", ', eth2 = "10.64.0.0/24" }')
    return "".join((
        f'network = "large"\nvirtual = "10.100.0.0/24"\nmesh = "10.8.0.0/24"\n'
        f'[defaults]\nbabel = "{babel}"\n',
        *(_HUB.format(n=n) for n in range(1, hubs + 1)), "[branches]\n",
        *(f"b{n} = {{ lans = {lan} }}\n" for n, lan in enumerate(lans, 1)),
        '[[policy]]\nfrom = "all"\nto = "all"\nallow = "any"\n',
    ))


@dataclasses.dataclass
class Run:
    """What branchctl answered."""

    code: int
    out: str
    err: str


def branchctl(folder: Path, *arguments: str, env: dict | None = None, stdin: str = "") -> Run:
    """branchctl as a user calls it, on the fleet of a folder."""
    found = CliRunner().invoke(app, [str(each) for each in arguments], input=stdin, env={
        "BRANCHCTL_FLEET": str(folder / "fleet.toml"), "COLUMNS": "200", **(env or {})})
    if found.exception and not isinstance(found.exception, SystemExit):
        raise found.exception
    return Run(found.exit_code, found.stdout, found.stderr)


def write(folder: Path, text: str = SMALL) -> Path:
    """A fleet.toml in a folder; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "fleet.toml").write_text(text)
    return folder
