"""A run's own directory, locked while its owner lives: how leftovers of crashed runs are told."""

import fcntl
import os
import re
import secrets
import shutil
import signal
import tempfile
from pathlib import Path

from host_tests.lab import namespaces

PREFIX = "bl-"
_DIRECTORY = "branchline-lab-"
_TAG = re.compile(re.escape(_DIRECTORY) + r"([0-9a-f]{6})")


class RunDirectory:
    """`path`, mode 0700, with logs, keys and configurations; `tag` names the run's namespaces."""

    def __init__(self):
        self.tag = secrets.token_hex(3)
        self.path = Path(tempfile.gettempdir()) / (_DIRECTORY + self.tag)
        self.path.mkdir(mode=0o700)
        # The kernel drops the lock with its owner, however it dies; a pid could be used again.
        self._lock = os.open(self.path / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def remove(self) -> None:
        """Delete the directory: the last act of a run."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def remove_run(tag: str) -> list[str]:
    """Kill what lives in a run's namespaces and delete them; return their names."""
    names = namespaces.existing(f"{PREFIX}{tag}-")
    for pid in namespaces.inhabitants(names):
        if pid != os.getpid():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
    if names:
        namespaces.ip(batch=[f"netns del {name}" for name in names])
    return names


def run_directories() -> list[Path]:
    """The directories of the user's runs, of those that are gone, too."""
    return [path for path in sorted(Path(tempfile.gettempdir()).glob(_DIRECTORY + "*"))
            if _TAG.fullmatch(path.name) and path.stat().st_uid == os.geteuid()]


def remove_leftovers() -> list[str]:
    """Remove runs whose owner is gone; return the names of what was removed."""
    return [name for path in run_directories() if not is_owned(path)
            for name in remove_leftover(path)]


def remove_leftover(path: Path) -> list[str]:
    """Remove what is left of a run; return the names of what was removed."""
    removed = remove_run(_TAG.fullmatch(path.name)[1])
    shutil.rmtree(path, ignore_errors=True)
    return [*removed, str(path)]


def is_owned(path: Path) -> bool:
    """Whether a run's owner lives."""
    try:
        lock = os.open(path / "lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:  # its owner is just starting or just leaving
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False
