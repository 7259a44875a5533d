"""The firmware's sources, and all of them in one archive: what a hub's kit carries, as MicroPython
of any architecture runs them, and CPython, too."""

import functools
import importlib.util
import io
import tarfile
from pathlib import Path

# Within the package: links to the checkout's, or what the wheel carries.
FIRMWARE = Path(__file__).resolve().parent / "firmware"
# Stand-ins for MicroPython's own modules; CPython finds them by PYTHONPATH.
_CPYTHON = FIRMWARE.with_name("cpython")


def microdot() -> Path:
    """The one module of that package that the firmware needs."""
    found = importlib.util.find_spec("microdot")
    assert found is not None and found.origin is not None
    return Path(found.origin).with_name("microdot.py")


@functools.cache
def archive() -> bytes:
    """A tar file, the same octets for the same firmware."""
    members = {str(path.relative_to(FIRMWARE)): path for path in FIRMWARE.rglob("*.py")}
    members |= {f"cpython/{path.name}": path for path in _CPYTHON.glob("*.py")}
    members["microdot.py"] = microdot()
    return tar({name: path.read_bytes() for name, path in members.items()})


def tar(content: dict[str, bytes]) -> bytes:
    """Files by their names as a tar file. Nothing but names, lengths and contents goes into it."""
    result = io.BytesIO()
    with tarfile.open(fileobj=result, mode="w", format=tarfile.USTAR_FORMAT) as archived:
        for name in sorted(content):
            entry = tarfile.TarInfo(name)
            entry.size = len(content[name])
            archived.addfile(entry, io.BytesIO(content[name]))
    return result.getvalue()
