"""The firmware as a hub's kit carries it: one archive of sources, which MicroPython of any
architecture runs, and CPython, too."""

import functools
import importlib.util
import io
import tarfile
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

# Stand-ins for MicroPython's own modules; CPython finds them by PYTHONPATH.
_CPYTHON = "cpython"


@functools.cache
def firmware_archive() -> bytes:
    """A tar file, the same octets for the same firmware."""
    package = resources.files("branchctl")
    members = dict(_sources(package / "firmware"))
    members |= {f"{_CPYTHON}/{name}": data for name, data in _sources(package / _CPYTHON)}
    members["microdot.py"] = _microdot()
    archive = io.BytesIO()
    # Nothing but names, lengths and contents goes into the headers.
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(members):
            entry = tarfile.TarInfo(name)
            entry.size = len(members[name])
            tar.addfile(entry, io.BytesIO(members[name]))
    return archive.getvalue()


def _sources(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, bytes]]:
    """Names and contents of the Python files below a folder."""
    for each in folder.iterdir():
        if each.is_dir():
            yield from _sources(each, f"{prefix}{each.name}/")
        elif each.name.endswith(".py"):
            yield prefix + each.name, each.read_bytes()


def _microdot() -> bytes:
    """The one module of that package that the firmware needs."""
    found = importlib.util.find_spec("microdot")
    assert found is not None and found.origin is not None
    return Path(found.origin).with_name("microdot.py").read_bytes()
