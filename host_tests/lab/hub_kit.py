"""What branchctl hands out, run in the lab: a hub as its kit installs it, a branch's bundle."""

import json
import re
import shutil
import subprocess
from pathlib import Path

from host_tests.lab.errors import LabError
from host_tests.lab.gateway import MICROPYTHON, Gateway
from host_tests.lab.netns import Host
from host_tests.lab.process import Process

_UP = "Initialization Sequence Completed"


class InstalledHub:
    """A kit on a host, below a folder of its own.

        hub = InstalledHub(host, Path("kits/paris")).install().start()
    """

    def __init__(self, host: Host, kit: Path, interpreter: Path = MICROPYTHON):
        """interpreter: what runs the hub's agent."""
        self.host = host
        self.interpreter = interpreter
        self.kit = kit
        self.root = host.directory / "root"
        self.root.mkdir(exist_ok=True)
        self.servers: dict[str, Process] = {}
        self.babel: Process | None = None
        self.agent: Process | None = None

    def install(self) -> "InstalledHub":
        """Run the kit's installer."""
        self.run_installer(check=True)
        return self

    def run_installer(self, check: bool = False) -> subprocess.CompletedProcess:
        """The installer's answer."""
        return self.host.run("sh", str(self.kit / "install.sh"), "--root", str(self.root),
                             "--interpreter", str(self.interpreter), check=check)

    def start(self) -> "InstalledHub":
        """Start everything, in the order of the kit's units."""
        for unit in self.units():
            self.start_unit(unit)
        return self

    def units(self) -> list[str]:
        """The units that the kit has the machine start."""
        return [line.split()[0] for line in (self.kit / "units").read_text().splitlines()]

    def start_unit(self, unit: str) -> None:
        """Start what a unit starts, once it is up."""
        found = re.fullmatch(r"openvpn-server@(.*)\.service", unit)
        if found:
            self._start_openvpn(found[1])
        elif "network" in unit:
            self.host.run(*self.command(unit))
        elif "agent" in unit:
            self.agent = self._spawn(unit, "agent")
        else:
            self.babel = self._spawn(unit, "babel")

    def _spawn(self, unit: str, name: str) -> Process:
        return self.host.spawn(*self.command(unit), name=name, env=self._environment(unit))

    def _environment(self, unit: str) -> dict[str, str]:
        return dict(re.findall(r"^Environment=(\w+)=(.*)$", self._text(unit), re.MULTILINE))

    def _text(self, unit: str) -> str:
        return (self.root / "etc/systemd/system" / unit).read_text()

    def command(self, unit: str) -> list[str]:
        """What an installed unit starts."""
        found = re.search(r"^ExecStart=(.*)$", self._text(unit), re.MULTILINE)
        if not found:
            raise LabError(f"{unit} starts nothing")
        return found[1].split()

    def _start_openvpn(self, name: str) -> None:
        folder = self.root / "etc/openvpn/server"
        process = self.servers[name] = self.host.spawn(
            "openvpn", "--cd", str(folder), "--config", f"{name}.conf", name=f"openvpn-{name}")
        if "mesh" not in name:
            process.wait_for(_UP)

    def restart_unit(self, unit: str) -> None:
        """Stop what a unit has started, and start it with what is installed."""
        found = re.fullmatch(r"openvpn-server@(.*)\.service", unit)
        if found:
            running = self.servers.get(found[1])
        else:
            running = self.agent if "agent" in unit else self.babel
        if running is not None:
            running.stop()
        self.start_unit(unit)


class BundleGateway(Gateway):
    """Our gateway, run from a bundle."""

    def __init__(self, host: Host, bundle: Path, **options):
        config = json.loads((bundle / "gateway.json").read_text())
        super().__init__(host, {each["name"]: "" for each in config["tunnels"]},
                         name=config["name"], **options)
        self.bundle = bundle

    def write(self) -> Path:
        """Copy the bundle, as it is now, to the gateway's folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.bundle, self.folder)
        return self.folder
