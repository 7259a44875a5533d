"""The kernel's side of a namespace: entering one from a thread, and who lives in it."""

import ctypes
import os
import subprocess
import threading
from pathlib import Path

from host_tests.lab.errors import LabError

RUN = Path("/run/netns")
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def call_in(namespace: str, function, *args, **kwargs):
    """Run function(*args) in a fresh thread that has entered `namespace`; return its result.

    Sockets and child processes made there stay in the namespace; the caller's threads never
    leave theirs.
    """
    outcome = {}

    def enter_and_call():
        try:
            _enter(namespace)
            outcome["result"] = function(*args, **kwargs)
        except BaseException as error:
            outcome["error"] = error

    thread = threading.Thread(target=enter_and_call, name=f"in {namespace}", daemon=True)
    thread.start()
    thread.join()
    if "error" in outcome:
        raise outcome["error"]
    return outcome["result"]


def _enter(namespace: str) -> None:
    fd = os.open(RUN / namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.setns(fd, _CLONE_NEWNET):
            code = ctypes.get_errno()
            raise LabError(f"cannot enter the namespace {namespace}: {os.strerror(code)}")
    finally:
        os.close(fd)


def existing(prefix: str) -> list[str]:
    """Names of the namespaces that start with `prefix`."""
    if not RUN.is_dir():
        return []
    return sorted(path.name for path in RUN.iterdir() if path.name.startswith(prefix))


def inhabitants(namespaces: list[str]) -> list[int]:
    """Process ids of all that live in one of the namespaces."""
    inodes = set()
    for name in namespaces:
        try:
            inodes.add(os.stat(RUN / name).st_ino)
        except FileNotFoundError:
            pass
    pids = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if os.stat(entry / "ns" / "net").st_ino in inodes:
                pids.append(int(entry.name))
        except OSError:  # ended meanwhile
            pass
    return pids


def ip(*args: str, batch: list[str] | None = None, tool: str = "ip") -> str:
    """Run iproute2's `ip` (or `tc`); `batch` lines go to its standard input. Return its output."""
    command = [tool, *args, *(["-batch", "-"] if batch else [])]
    try:
        done = subprocess.run(
            command, input="\n".join(batch or []), text=True, capture_output=True, timeout=30,
        )
    except FileNotFoundError:
        raise LabError(f"the lab needs `{tool}`: install the package iproute2") from None
    if done.returncode:
        what = "; ".join(batch) if batch else " ".join(args)
        raise LabError(f"`{tool}` failed: {done.stderr.strip()} (asked for: {what})")
    return done.stdout
