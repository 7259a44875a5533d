"""Files that are whole or absent, whatever interrupts, and that only their owner can read."""

import contextlib
import os
import stat
from pathlib import Path

PRIVATE, PRIVATE_FOLDER = 0o600, 0o700
_TEMPORARY = ".branchctl-new"


def write(path: Path, data: bytes, mode: int = PRIVATE) -> bool:
    """Put `data` there in one step; False if it is there already, with that mode."""
    if same(path, data, mode):
        return False
    temporary = path.with_name(f".{path.name}{_TEMPORARY}")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE)
    with open(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(data)
        file.flush()
        os.fsync(descriptor)
    os.replace(temporary, path)
    _sync_folder(path.parent)
    return True


def same(path: Path, data: bytes, mode: int) -> bool:
    """Whether a file has this content and mode."""
    try:
        return stat.S_IMODE(path.stat().st_mode) == mode and path.read_bytes() == data
    except (FileNotFoundError, NotADirectoryError):
        return False


def remove(path: Path) -> bool:
    """Remove a file; False if it is not there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    _sync_folder(path.parent)
    return True


def make_folder(path: Path) -> None:
    """A folder that only its owner can enter, with what leads to it."""
    if not path.is_dir():
        if not path.parent.is_dir():
            make_folder(path.parent)
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, PRIVATE_FOLDER)
        _sync_folder(path.parent)


def is_leftover(path: Path) -> bool:
    """Whether an interrupted write() has left this file."""
    return path.name.startswith(".") and path.name.endswith(_TEMPORARY)


def remove_leftovers(folder: Path) -> None:
    """Remove what interrupted writes have left in a folder and below."""
    for path in sorted(folder.rglob(f".*{_TEMPORARY}")):
        remove(path)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
