"""Our gateway on a host of the lab: its folder, its process on real MicroPython, its log."""

import json
import os
import re
import time
from pathlib import Path

from host_tests.lab.errors import LabError
from host_tests.lab.netns import Host
from host_tests.lab.pki import Pki
from host_tests.lab.process import Process

_ROOT = Path(__file__).resolve().parents[2]
MICROPYTHON = Path(os.environ.get("BRANCHLINE_MICROPYTHON",
                                   _ROOT / ".toolchain" / "bin" / "micropython")).resolve()
_LIBRARIES = _ROOT / ".toolchain" / "lib"  # microdot
_IMAGE = _ROOT / "build" / "branchline.romfs"
_TIMEOUT = 20.0
_POLL = 0.02


def image_is_fresh() -> bool:
    """Whether `make compile` has made an image of the firmware as it is."""
    sources = (_ROOT / "firmware" / "branchline").rglob("*.py")
    return _IMAGE.exists() and (
        max(path.stat().st_mtime for path in sources) <= _IMAGE.stat().st_mtime)


class Gateway:
    """The firmware, run as `make run` does.

        gateway = Gateway(host, {"paris": profile}).start()
        gateway.wait_up("paris")
        ...
        gateway.stop()
    """

    SOURCES = _ROOT / "firmware"

    def __init__(self, host: Host, profiles: dict[str, str], *, name: str | None = None,
                 lans: tuple[tuple[str, str], ...] = (), tunnels: dict[str, dict] | None = None,
                 heap: str | None = None, compiled: bool = False, env: dict | None = None,
                 program: Path = _ROOT / "firmware" / "main.py", **config):
        """Describe the gateway; its folder is written by start().

        profiles  tunnel name -> text of its .ovpn profile
        lans      (interface, prefix) pairs
        tunnels   tunnel name -> further keys of its entry, such as {"device": "tun7"}
        heap      size of MicroPython's heap, such as "96k"
        compiled  run the image that `make compile` has made, in place as in a board's flash
        program   what to run instead of main.py, with the folder as its argument
        config    further keys of gateway.json
        """
        self.host = host
        self.name = name or host.name
        self.heap, self.compiled, self.env = heap, compiled, dict(env or {})
        self.program = program
        self.image_program = _ROOT / "firmware" / "image_main.py"  # the same for an image
        self.snapshot = True  # whether it writes its status once a second, which costs time
        self.process: Process | None = None
        self.folder = host.directory / f"gateway-{self.name}"
        self.profiles = profiles
        self._before: tuple[set[str], set[str]] = (set(), set())
        entries = []
        for tunnel in profiles:
            entries.append({"name": tunnel, "profile": f"{tunnel}.ovpn",
                            **(tunnels or {}).get(tunnel, {})})
        self.config = {"name": self.name, "tunnels": entries, **config}
        if lans:
            self.config["lans"] = [{"interface": i, "prefix": p} for i, p in lans]

    def write(self) -> Path:
        """Write the gateway's folder, gateway.json and the profiles; return its path."""
        files = Pki(self.folder)
        files.write("gateway.json", json.dumps(self.config, indent=2))
        for tunnel, profile in self.profiles.items():
            files.write(f"{tunnel}.ovpn", profile)
        return self.folder

    def start(self) -> "Gateway":
        """Start the gateway; no tunnel is up yet."""
        if not MICROPYTHON.exists():
            raise LabError(f"{MICROPYTHON} is missing: run `make setup`")
        self.write()
        self._status_path.unlink(missing_ok=True)
        self._before = (self.host.devices(), self.host.routes())
        command = [self.program]
        if self.compiled:
            command = [self.image_program, _IMAGE]
            if not _IMAGE.exists():
                raise LabError(f"{_IMAGE} is missing: run `make compile`")
        options = ["-X", f"heapsize={self.heap}"] if self.heap else []
        status = {"BRANCHLINE_STATUS": str(self._status_path)} if self.snapshot else {}
        self.process = self.host.spawn(
            str(MICROPYTHON), *options, *map(str, command), str(self.folder),
            name=f"gateway-{self.name}",
            env={"MICROPYPATH": f"{self.SOURCES}:{_LIBRARIES}:.frozen",
                 **status, **self.env},
        )
        return self

    def wait_up(self, *tunnels: str, timeout: float = _TIMEOUT, count: int = 1) -> float:
        """Wait until each of the tunnels (by default all) is up for the `count`th time.

        Returns the seconds since the start of the process.
        """
        deadline = time.monotonic() + timeout
        for tunnel in tunnels or [entry["name"] for entry in self.config["tunnels"]]:
            self.wait_event(tunnel, "up", max(0.0, deadline - time.monotonic()), count)
        return time.monotonic() - self._running().started

    def wait_event(self, tunnel: str, event: str, timeout: float = _TIMEOUT,
                   count: int = 1) -> dict[str, str]:
        """Wait for a log line `TIME LEVEL tunnel event ...`; return its key=value pairs."""
        pattern = rf"^\S+ +\S+ +{re.escape(tunnel)} +{re.escape(event)}\b(.*)"
        what = f"{tunnel} {event}"
        line = self._running().wait_for(pattern, timeout, count, what)[1]
        return dict(field.split("=", 1) for field in line.split() if "=" in field)

    def wait_for(self, pattern: str, timeout: float = _TIMEOUT, count: int = 1) -> re.Match:
        """Wait for `pattern` in the log."""
        return self._running().wait_for(pattern, timeout, count)

    def log(self) -> str:
        """What the gateway has logged."""
        return self._running().log()

    def status(self) -> dict:
        """The latest status snapshot, as the gateway has written it."""
        process = self._running()
        deadline = time.monotonic() + _TIMEOUT
        while time.monotonic() < deadline and process.running:
            if self._status_path.exists():
                return json.loads(self._status_path.read_text())
            time.sleep(_POLL)
        raise LabError(f"{process.name} writes no status; its log ends with:\n{process.tail()}")

    def fresh_status(self) -> dict:
        """A status snapshot that was taken after this call."""
        self._status_path.unlink(missing_ok=True)
        return self.status()

    def tunnel_status(self, tunnel: str) -> dict:
        """One tunnel's part of a fresh status."""
        for entry in self.fresh_status()["tunnels"]:
            if entry["name"] == tunnel:
                return entry
        raise LabError(f"the status of {self.name} knows no tunnel {tunnel}")

    def stop(self, timeout: float = 5.0) -> None:
        """SIGTERM; raise LabError unless the gateway exits with 0 and leaves nothing behind."""
        process = self._running()
        code = process.stop(timeout)
        if code:
            raise LabError(f"{process.name} ended with {code}; its log ends with:\n"
                           f"{process.tail()}")
        devices, routes = self._before
        left = sorted((self.host.devices() - devices) | (self.host.routes() - routes))
        gone = sorted((devices - self.host.devices()) | (routes - self.host.routes()))
        if left or gone:
            raise LabError(f"{process.name} left behind {left} and took away {gone}")

    def kill(self) -> None:
        """SIGKILL: the board loses power."""
        self._running().kill()

    @property
    def _status_path(self) -> Path:
        return self.folder / "status.json"

    def _running(self) -> Process:
        if self.process is None:
            raise LabError(f"the gateway {self.name} has not been started")
        return self.process
