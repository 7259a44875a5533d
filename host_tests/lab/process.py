"""A process inside a host: its log, its end, and waiting for what it says."""

import re
import signal
import subprocess
import time
from pathlib import Path

from host_tests.lab.errors import LabError

_POLL = 0.005  # seconds between two looks at a log
_TAIL_LINES = 15


class Process:
    """A running program whose standard output and error go to the file `log_path`."""

    def __init__(self, name: str, popen: subprocess.Popen, log_path: Path):
        self.name = name
        self.popen = popen
        self.log_path = log_path
        self.started = time.monotonic()

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def running(self) -> bool:
        return self.popen.poll() is None

    def log(self) -> str:
        """Everything the process has written so far."""
        return self.log_path.read_text(errors="replace")

    def ending(self) -> str:
        """How it has ended, with its last words; "" while it runs."""
        if self.running:
            return ""
        return f"{self.name} ended with code {self.popen.returncode}; its log ends with:\n" \
               f"{self.tail()}"

    def tail(self) -> str:
        """The last lines of the log, for error messages."""
        return "\n".join(self.log().splitlines()[-_TAIL_LINES:])

    def wait_for(self, pattern: str, timeout: float = 15.0, count: int = 1,
                 what: str | None = None) -> re.Match:
        """Wait until the log holds `pattern` at least `count` times; return that match.

        `what` stands for the pattern in messages. Raises LabError with the end of the log when
        the process ends first or time is up.
        """
        deadline = time.monotonic() + timeout
        regex = re.compile(pattern, re.MULTILINE)
        while True:
            ended = not self.running  # asked before the log is read: its last words count
            matches = list(regex.finditer(self.log()))
            if len(matches) >= count:
                return matches[count - 1]
            if ended:
                raise self._error(f"ended with code {self.popen.returncode}", what or pattern)
            if time.monotonic() > deadline:
                raise self._error(f"has let {timeout:g} s pass", what or pattern)
            time.sleep(_POLL)

    def wait(self, timeout: float = 10.0) -> int:
        """Wait for the end of the process; return its exit code."""
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise LabError(
                f"{self.name} still runs after {timeout:g} s; its log ends with:\n{self.tail()}"
            ) from None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens when the process has ended."""
        self.popen.send_signal(number)

    def stop(self, timeout: float = 5.0) -> int:
        """SIGTERM, and SIGKILL for who does not listen; return the exit code."""
        self.popen.terminate()
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """SIGKILL: as if the machine lost power. Return the exit code."""
        self.popen.kill()
        return self.popen.wait()

    def _error(self, outcome: str, what: str) -> LabError:
        return LabError(
            f"{self.name} {outcome} while the lab waited for {what!r}; "
            f"its log ends with:\n{self.tail()}"
        )
