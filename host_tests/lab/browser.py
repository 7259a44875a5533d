"""A real browser on a host of the lab: headless Chromium, driven over its debugging pipe."""

import base64
import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

from host_tests.lab.errors import LabError
from host_tests.lab.netns import Host

_TIMEOUT = 20.0
_POLL = 0.05


class Browser:
    """One page of a headless Chromium.

        with Browser(host, "http://127.0.0.1:8086/") as browser:
            browser.wait("document.title == 'x'")
    """

    def __init__(self, host: Host, url: str, *, width: int = 1100, height: int = 900,
                 scale: float = 1.0, dark: bool = False):
        self._answers: dict[int, dict] = {}
        self._arrived = threading.Condition()
        self._number = 0
        self._session: str | None = None
        self._start(host)
        try:
            target = self._call("Target.createTarget", url="about:blank")["targetId"]
            self._session = self._call("Target.attachToTarget", targetId=target,
                                       flatten=True)["sessionId"]
            self._call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                       deviceScaleFactor=scale, mobile=width < 600)
            scheme = "dark" if dark else "light"
            self._call("Emulation.setEmulatedMedia",
                       features=[{"name": "prefers-color-scheme", "value": scheme}])
            self._call("Page.navigate", url=url)
        except BaseException:
            self.close()
            raise

    def _start(self, host: Host) -> None:
        """The pipe's ends are descriptors 3 (commands) and 4 (answers) of the browser."""
        commands, self._commands = os.pipe()
        self._replies, replies = os.pipe()
        profile = host.directory / "chromium"
        program = ("exec chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage"
                   f" --user-data-dir={profile} --no-first-run --remote-debugging-pipe"
                   f" 3<&{commands} 4>&{replies}")
        log = host.directory / "chromium.log"
        with open(log, "wb") as output:
            self._popen = host.call(
                # dash knows no descriptors above 9.
                subprocess.Popen, ["bash", "-c", program], stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, pass_fds=(commands, replies),
                start_new_session=True,
            )
        os.close(commands)
        os.close(replies)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        data = b""
        while chunk := self._read():
            *messages, data = (data + chunk).split(b"\0")
            with self._arrived:
                for message in map(json.loads, messages):
                    if "id" in message:
                        self._answers[message["id"]] = message
                self._arrived.notify_all()

    def _read(self) -> bytes:
        try:
            return os.read(self._replies, 1 << 16)
        except OSError:  # closed meanwhile
            return b""

    def _call(self, method: str, **parameters) -> dict:
        """A command of the Chrome DevTools Protocol, and its result."""
        self._number += 1
        number = self._number
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        with self._arrived:
            if not self._arrived.wait_for(lambda: number in self._answers, _TIMEOUT):
                raise LabError(f"chromium does not answer {method}")
            answer = self._answers.pop(number)
        if "error" in answer:
            raise LabError(f"chromium: {method}: {answer['error']['message']}")
        return answer["result"]

    def evaluate(self, script: str):
        """The value of a JavaScript expression; a promise is waited for."""
        result = self._call("Runtime.evaluate", expression=script, returnByValue=True,
                            awaitPromise=True, userGesture=True)
        if "exceptionDetails" in result:
            raise LabError(f"{script}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def wait(self, script: str, timeout: float = _TIMEOUT) -> None:
        """Wait until an expression is true."""
        deadline = time.monotonic() + timeout
        while not self.evaluate(script):
            if time.monotonic() > deadline:
                text = self.evaluate("document.body ? document.body.innerText : ''")
                raise LabError(f"not within {timeout:g} s: {script}; the page says: {text}")
            time.sleep(_POLL)

    def screenshot(self, path: Path) -> None:
        """Write the whole page as PNG."""
        data = self._call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(data))

    def close(self) -> None:
        """End the browser."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()
        for fd in (self._commands, self._replies):
            with contextlib.suppress(OSError):
                os.close(fd)

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *exc) -> None:
        self.close()
