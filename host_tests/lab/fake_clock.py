"""A time of day of a host's own, which can be set while its programs run (libfaketime).

The monotonic clock stays as it is. The machine's own clock is never touched.
"""

from pathlib import Path

from host_tests.lab.errors import LabError
from host_tests.lab.netns import Host

_LIBRARY = "libfaketime.so.1"
_PLACES = ("/usr/lib/*/faketime", "/usr/lib/faketime", "/usr/lib64/faketime")
_SHARED = "/dev/shm"


class FakeClock:
    """What programs of a host see as the time of day: give them `environment`.

        clock = FakeClock(host)
        process = host.spawn("date", env=clock.environment)
        clock.step(86400)
    """

    def __init__(self, host: Host):
        self._file = host.directory / "clock"
        self._host = host
        self.step(0)
        host.lab.on_close(self._clean)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that a program must be started with."""
        return {"LD_PRELOAD": str(_library()), "FAKETIME_TIMESTAMP_FILE": str(self._file),
                "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}

    def step(self, seconds: int) -> None:
        """Be so many seconds ahead of the machine's clock, or behind it, from now on."""
        fresh = self._file.with_suffix(".next")
        fresh.write_text(f"{seconds:+d}\n")
        fresh.replace(self._file)

    def _clean(self) -> None:
        """Remove the shared memory that a process leaves when it ends by a signal."""
        for process in self._host.lab.processes:
            for name in (f"faketime_shm_{process.pid}", f"sem.faketime_sem_{process.pid}"):
                Path(_SHARED, name).unlink(missing_ok=True)


def _library() -> Path:
    for place in _PLACES:
        for path in Path("/").glob(place[1:] + "/" + _LIBRARY):
            return path
    raise LabError(f"{_LIBRARY} is missing: install the package libfaketime")
