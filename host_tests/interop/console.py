"""An interpreter inside a lab's host that executes the firmware's HAL line by line."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_FIRMWARE = _ROOT / "firmware"
COMMANDS = {
    "micropython": (
        [str(_ROOT / ".toolchain/bin/micropython")],
        {"MICROPYPATH": f"{_FIRMWARE}:.frozen"},
    ),
    "cpython": (
        [sys.executable],
        {"PYTHONPATH": f"{_FIRMWARE}:{_ROOT / 'tools/cpython'}"},
    ),
}


class Raised(Exception):
    """What the firmware raised: its class's name and its arguments."""


class Console:
    """An interpreter in the namespace that executes what it is told, after `imports`."""

    def __init__(self, host, interpreter, imports):
        command, env = COMMANDS[interpreter]
        self.host = host
        self._process = host.call(
            subprocess.Popen,
            [*command, str(Path(__file__).with_name("hal_console.py"))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, **env}, start_new_session=True,
        )
        self.pid = self._process.pid
        self(imports)

    def __call__(self, code):
        """Execute a statement or evaluate an expression there; return its value."""
        print(json.dumps(code), file=self._process.stdin, flush=True)
        answer = ast.literal_eval(self._process.stdout.readline().strip())
        if isinstance(answer, tuple) and answer and answer[0] == "error":
            raise Raised(*answer[1:])
        return answer

    def refused(self, code):
        """The OSError's number and text that `code` must raise."""
        with pytest.raises(Raised) as caught:
            self(code)
        assert caught.value.args[0] == "OSError"
        return caught.value.args[1]

    def ip(self, *args):
        """What `ip -json` says about the namespace."""
        return json.loads(self.host.ip("-json", *args) or "[]")

    def close(self):
        """End it, as a crash would."""
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()
