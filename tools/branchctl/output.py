"""Folders that are made from the fleet: whole or known to be incomplete, and of one fleet only."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from branchctl import files
from branchctl.problems import Refusal

_MANIFEST = "MANIFEST"
_ENTRY = re.compile(r"([0-9a-f]{64})  (.+)")
_FLEET = re.compile(r"^# Branchline: .*, fleet ([0-9a-f]+)$", re.MULTILINE)


class Folder:
    """A kit or a bundle: files with a MANIFEST of their SHA-256, as sha256sum reads it.

    The manifest is written last, so that it tells a folder that is complete.
    """

    def __init__(self, path: Path, fleet: str):
        self.path = path
        self._fleet = fleet

    def check(self) -> None:
        """Raises Refusal if another fleet's files are there, or files of nobody known."""
        if not self.path.exists():
            return
        manifest = self.path / _MANIFEST
        if manifest.exists():
            _check_fleet(self.path, manifest.read_text(errors="replace"), self._fleet)
        elif any(not files.is_leftover(each) for each in self.path.rglob("*")):
            raise Refusal(f"{self.path} holds files, but no {_MANIFEST}: branchctl has not made "
                          "it", "move it away")

    def write(self, title: str, content: Mapping[str, str | bytes]) -> bool:
        """Make the folder hold these files by their names; False if it does already."""
        manifest = self.path / _MANIFEST
        data = {name: each.encode() if isinstance(each, str) else each
                for name, each in content.items()}
        sums = [f"{hashlib.sha256(data[name]).hexdigest()}  {name}" for name in sorted(data)]
        whole = "\n".join([title, *sums, ""]).encode()
        before = self._entries()
        if not manifest.exists():
            files.make_folder(self.path)
            files.write(manifest, f"{title}\n".encode())
        changed = False
        for name, octets in data.items():
            path = self.path / name
            files.make_folder(path.parent)
            changed |= files.write(path, octets, _mode(name))
        for name in sorted(before - set(data)):
            changed |= files.remove(self.path / name)
        files.remove_leftovers(self.path)
        return files.write(manifest, whole) or changed

    def clear(self) -> bool:
        """Remove what branchctl has put there; False if nothing was."""
        names = self._entries()
        for name in sorted(names):
            files.remove(self.path / name)
        return files.remove(self.path / _MANIFEST) or bool(names)

    def _entries(self) -> set[str]:
        try:
            text = (self.path / _MANIFEST).read_text()
        except FileNotFoundError:
            return set()
        return {found[2] for line in text.splitlines() if (found := _ENTRY.fullmatch(line))}


def check_file(path: Path, fleet: str) -> None:
    """Raises Refusal if a single file is there that is not this fleet's."""
    if path.exists():
        _check_fleet(path, path.read_text(errors="replace"), fleet)


def _check_fleet(path: Path, text: str, fleet: str) -> None:
    found = _FLEET.search(text)
    if found is None or found[1] != fleet:
        whose = "another fleet's" if found else "not branchctl's"
        raise Refusal(f"{path} is {whose}", "keep each fleet in a folder of its own, or move that "
                      "away; if state/ was made anew, its kits and bundles have to be, too")


def _mode(name: str) -> int:
    return 0o700 if name.endswith((".sh", "/hub-network")) else files.PRIVATE
