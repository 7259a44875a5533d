"""Another machine's shell, by OpenSSH's own client: its keys, known hosts and settings hold."""

import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

from branchctl.problems import Refusal

_UNREACHABLE = 255
_CONNECT_S = 15


class Ssh:
    """destination: as ssh takes it, such as root@192.0.2.7; config: an ssh_config of its own."""

    def __init__(self, destination: str, config: Path | None = None):
        if destination.startswith("-"):
            raise Refusal(f"{destination} is no destination for ssh", "write USER@HOST")
        self.destination = destination
        self._command = ["ssh", *(["-F", str(config)] if config else []), "-T", "-o",
                         "BatchMode=yes", "-o", f"ConnectTimeout={_CONNECT_S}", destination]

    def run(self, script: str, stdin: Iterable[bytes] = (),
            sent: Callable[[int], None] = lambda octets: None) -> str:
        """What a sh script prints there. Raises Refusal with what it says when it fails.

        sent(octets): told of each piece of `stdin` that is on its way.
        """
        with subprocess.Popen([*self._command, script], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            try:
                for piece in stdin:
                    process.stdin.write(piece)
                    sent(len(piece))
                process.stdin.close()
            except BrokenPipeError:
                process.stdin = None  # why, it says itself
            answer, errors = (stream.read() for stream in (process.stdout, process.stderr))
        if process.returncode == 0:
            return answer.decode(errors="replace")
        said = errors.decode(errors="replace").strip() or "it says nothing"
        if process.returncode == _UNREACHABLE:
            raise Refusal(f"{self.destination} cannot be reached: {said}",
                          f"see that `ssh {self.destination}` works without a password")
        raise Refusal(f"{self.destination}: {said.removeprefix('error: ')}",
                      "the slot that runs there was left as it is")
