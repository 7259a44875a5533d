"""Labs that a keeper (keeper.py) holds up: found, asked, entered, taken down."""

import contextlib
import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from host_tests.lab import privileges
from host_tests.lab.errors import LabError
from host_tests.lab.netns import WITH_HOSTS_FILE, Host
from host_tests.lab.run_directory import is_owned, remove_leftover, run_directories

CONTROL, NOTICE = "control", "keeper.json"
_ROOT = Path(__file__).resolve().parents[2]
_TIMEOUT = 60.0
_PATIENCE = 20.0
_POLL = 0.05


@dataclasses.dataclass(frozen=True)
class Kept:
    """A lab of the user, by its run's directory; `users` is the user namespace of its keeper."""

    directory: Path
    fleet: Path
    pid: int
    users: int

    @property
    def alive(self) -> bool:
        """Whether its keeper lives; if not, only leftovers are there."""
        return is_owned(self.directory)

    def ask(self, do: str, **request) -> dict:
        """The keeper's answer. Raises LabError."""
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(_TIMEOUT)
            try:
                link.connect(str(self.directory / CONTROL))
                link.sendall(json.dumps({"do": do, **request}).encode() + b"\n")
                answer = json.loads(link.makefile().readline())
            except (OSError, ValueError) as error:
                raise LabError(f"the lab does not answer: {error}") from None
        if "error" in answer:
            raise LabError(answer["error"])
        return answer

    def down(self) -> None:
        """Take it down, or remove what is left of it."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)
            deadline = time.monotonic() + _PATIENCE
            while self.directory.exists() and self.alive:
                if time.monotonic() > deadline:
                    os.kill(self.pid, signal.SIGKILL)
                    break
                time.sleep(_POLL)
        if self.directory.exists():
            self._end_users()
            remove_leftover(self.directory)

    def _end_users(self) -> None:
        """Kill what lives in the keeper's user namespace, if it had one of its own: its network
        namespaces cannot be seen from here, and go with their last process."""
        if self.users == os.stat("/proc/self/ns/user").st_ino:
            return
        deadline = time.monotonic() + _PATIENCE
        while (left := self._residents()) and time.monotonic() < deadline:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(_POLL)

    def _residents(self) -> list[int]:
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and os.stat(entry / "ns/user").st_ino == self.users:
                    found.append(int(entry.name))
        return found


def find() -> list[Kept]:
    """The user's labs, alive or not."""
    found = []
    for directory in run_directories():
        with contextlib.suppress(OSError, ValueError, KeyError):
            facts = json.loads((directory / NOTICE).read_text())
            found.append(Kept(directory, Path(facts["fleet"]), facts["pid"], facts["users"]))
    return found


def raise_kept(file: Path, **options) -> Iterator[dict]:
    """Start a keeper; yields what it tells, "up" or "failed" as the last."""
    with tempfile.TemporaryFile() as errors:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "host_tests.lab.keeper", str(file), json.dumps(options)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, cwd=_ROOT,
            env={**os.environ, "PYTHONPATH": f"{_ROOT}:{_ROOT / 'tools'}"},
            start_new_session=True,  # Ctrl-C is for whoever waits, who then stops the keeper
        )
        try:
            told = {}
            for line in keeper.stdout:
                told = json.loads(line)
                yield told
                if "up" in told:
                    return
            if "failed" not in told:
                errors.seek(0)
                last = errors.read().decode(errors="replace").strip().splitlines()[-1:]
                raise LabError(f"the lab's keeper has ended: {' '.join(last)}")
        except BaseException:  # whoever waits has had enough
            keeper.terminate()
            keeper.wait()
            raise


def enter_command(host: Host, folder: str) -> list[str]:
    """The command that runs what follows it, in a folder, on a host of this process."""
    join = []
    if privileges.rootless():
        join = ["nsenter", "--target", str(os.getpid()), "--user", "--mount",
                "--preserve-credentials", f"--wdns={folder}"]
    return [*join, "ip", "netns", "exec", host.namespace, *WITH_HOSTS_FILE,
            str(host.directory / "hosts")]
