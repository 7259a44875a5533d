"""What branchctl hands out, run in the lab: a hub as its kit installs it, a branch's bundle."""

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

from host_tests.lab.babel import Daemon
from host_tests.lab.babeld import Babeld
from host_tests.lab.bird import Bird
from host_tests.lab.errors import LabError
from host_tests.lab.gateway import MICROPYTHON, Gateway
from host_tests.lab.netns import Host
from host_tests.lab.process import Process

_BABEL = "branchline-babel.service"
# Of babeld's routes, BIRD's, the agent's to clients and its own Babel's, and hub-network's.
_PROTOCOLS = ("babel", "bird", "190", "201", "191")
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

    def upgrade(self) -> "InstalledHub":
        """Run the installer again, then restart or reload whatever the kit's units say."""
        said = self.run_installer(check=True).stdout
        changed = {line.split()[0] for line in said.splitlines() if line.startswith("  ")}
        for line in (self.kit / "units").read_text().splitlines():
            unit, how, *needs = line.split()
            if changed & set(needs):
                for command in self._commands(unit, "ExecReload") if how == "reload" else ():
                    self.host.run(*command)
                if how == "restart":
                    self.restart_unit(unit)
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

    def processes(self) -> list[Process]:
        """What runs, or has run."""
        return [*self.servers.values(), *filter(None, (self.babel, self.agent))]

    def missing(self) -> str:
        """What has ended or is not up yet; "" if all is well."""
        for process in self.processes():
            if ending := process.ending():
                return ending
        return next((f"{process.name} has no connection" for process in self.servers.values()
                     if _UP not in process.log()), "")

    def kill(self) -> None:
        """SIGKILL for all: as if the machine lost power."""
        for process in self.processes():
            process.kill()

    def restart(self) -> None:
        """Start all after kill(), as on a machine that starts afresh."""
        for family in ("-4", "-6"):
            for protocol in _PROTOCOLS:
                self.host.ip(family, "route", "flush", "proto", protocol)
        self.start()

    @property
    def routing(self) -> Daemon:
        """The Babel daemon, to ask it what it knows."""
        found = re.search(r"/(babeld|bird)\b", " ".join(self.command(_BABEL)))
        kind = {"babeld": Babeld, "bird": Bird}[found[1]]
        return kind(self.host, {}, control=self.root / f"run/branchline/{found[1]}.sock")

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
            for command in self._commands(unit, "ExecStartPre"):
                self.host.run(*command)
            self.babel = self._spawn(unit, "babel")

    def _spawn(self, unit: str, name: str) -> Process:
        return self.host.spawn(*self.command(unit), name=name, env=self._environment(unit))

    def _environment(self, unit: str) -> dict[str, str]:
        return dict(re.findall(r"^Environment=(\w+)=(.*)$", self._text(unit), re.MULTILINE))

    def _text(self, unit: str) -> str:
        return (self.root / "etc/systemd/system" / unit).read_text()

    def command(self, unit: str) -> list[str]:
        """What an installed unit starts."""
        found = self._commands(unit, "ExecStart")
        if not found:
            raise LabError(f"{unit} starts nothing")
        return found[0]

    def _commands(self, unit: str, when: str) -> list[list[str]]:
        return [shlex.split(each)
                for each in re.findall(rf"^{when}=(.*)$", self._text(unit), re.MULTILINE)]

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
