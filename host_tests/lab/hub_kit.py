"""What branchctl hands out, run in the lab: a hub as its kit installs it, a branch's bundle."""

import json
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterable
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
        self.drained = ""

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

    def processes(self) -> list[Process]:
        """What runs, or has run."""
        return [*self.servers.values(), *filter(None, (self.babel, self.agent))]

    def missing(self, absent: Iterable[str] = ()) -> str:
        """What has ended or is not up yet; "" if all is well. With absent hubs there is no
        link."""
        for process in self.processes():
            if ending := process.ending():
                return ending
        unlinked = {f"branchline-mesh-{hub}" for hub in absent}
        return next((f"{process.name} has no connection" for name, process in self.servers.items()
                     if name not in unlinked and _UP not in process.log()), "")

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
        return list(dict.fromkeys(unit for unit, *_ in self._units()))

    def _units(self) -> list[list[str]]:
        """The kit's lines: a unit, how it takes up changes, and of which files."""
        return [line.split() for line in (self.kit / "units").read_text().splitlines()]

    def upgrade(self) -> list[str]:
        """Run the installer, and have units take up what has changed, as it does where it starts
        services; return what was done."""
        changed = {line.strip() for line in self.run_installer(check=True).stdout.splitlines()
                   if line.startswith("  ")}
        done: dict[str, str] = {}
        for unit, how, *needs in self._units():
            if changed.isdisjoint(needs) or done.get(unit) == "restart":
                continue
            done[unit] = how
            if how == "restart":
                self.restart_unit(unit)
            else:
                self._drain("away", unit)
                self.host.run(*self.command(unit, "Reload"))
                self._drain("back", unit)
        return [f"{how} {unit}" for unit, how in done.items()]

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

    def command(self, unit: str, what: str = "Start") -> list[str]:
        """What an installed unit runs to start, or to do something else."""
        found = self._commands(unit, f"Exec{what}")
        if not found:
            raise LabError(f"{unit} has no Exec{what}")
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

    def restart_unit(self, unit: str, at_once: bool = False) -> None:
        """Stop what a unit has started, and start it with what is installed; traffic is moved
        away meanwhile, as the installer does it, unless it is to be done at once."""
        if not at_once:
            self._drain("away", unit)
        found = re.fullmatch(r"openvpn-server@(.*)\.service", unit)
        if found:
            running = self.servers.get(found[1])
        else:
            running = self.agent if "agent" in unit else self.babel
        if running is not None:
            running.stop()
        self.start_unit(unit)
        if not at_once:
            self._drain("back", unit)

    def _drain(self, way: str, unit: str) -> None:
        """The installer's own script; what it says is kept for the tests."""
        done = self.host.run(str(self.root / "usr/local/lib/branchline/hub-drain"), way, unit)
        self.drained += done.stdout


class BundleGateway(Gateway):
    """Our gateway, run from a bundle; `engines` are the tunnels' that are not native, `further`
    keys of gateway.json that the bundle does not have."""

    def __init__(self, host: Host, bundle: Path, **options):
        config = json.loads((bundle / "gateway.json").read_text())
        super().__init__(host, {each["name"]: "" for each in config["tunnels"]},
                         name=config["name"], **options)
        self.bundle = bundle
        self.engines: dict[str, str] = {}
        self.further: dict = {}

    def write(self) -> Path:
        """Copy the bundle, as it is now, to the gateway's folder."""
        shutil.copytree(self.bundle, self.folder, dirs_exist_ok=True)
        path = self.folder / "gateway.json"
        config = {**json.loads(path.read_text()), **self.further}
        for tunnel in config["tunnels"]:
            tunnel["engine"] = self.engines.get(tunnel["name"], "native")
        path.write_text(json.dumps(config))
        return self.folder

    def reload(self) -> str:
        """Copy the bundle as it is now, and have the gateway take it up; return what it says."""
        self.write()
        return self.hang_up()

    def hang_up(self) -> str:
        """Have the gateway read its folder again; return what it says."""
        said = r"^.* gateway reload (.*)$"
        before = len(re.findall(said, self.log(), re.MULTILINE))
        self.process.signal(signal.SIGHUP)
        return self.wait_for(said, count=before + 1)[1]
