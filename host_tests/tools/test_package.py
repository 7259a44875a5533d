"""branchctl as pip installs it: without the checkout, with all that its kits need."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from branchctl import sources
from host_tests.tools.fleets import write

_ROOT = Path(__file__).resolve().parents[2]


def test_the_wheel_holds_the_firmware_for_its_kits(tmp_path):
    """All of it, and nothing of what an earlier build has left."""
    source, wheels, package = (tmp_path / name for name in ("source", "wheels", "package"))
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(_ROOT / name, source)
    for name in ("tools", "firmware", "boards"):
        shutil.copytree(_ROOT / name, source / name, symlinks=True,
                        ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    former = source / "build/lib/branchctl/firmware/branchline/former.py"
    former.parent.mkdir(parents=True)
    former.touch()
    done = subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps",
                           "--no-build-isolation", "--wheel-dir", wheels, source],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    zipfile.ZipFile(next(wheels.iterdir())).extractall(package)
    folder = write(tmp_path / "fleet")
    subprocess.run([sys.executable, "-m", "branchctl", "provision"], cwd=folder, check=True,
                   env={"PYTHONPATH": str(package)})
    kit = folder / "kits/paris"
    archive = kit / "files/usr/local/lib/branchline/firmware.tar"
    assert archive.read_bytes() == sources.archive()
    assert (kit / "install.sh").exists()
