"""What a board is sent: the bundle and the firmware, with private keys taken out of profiles.

Keys are files of their own, named after their content, beside the slots: an update never writes
over a key that is in use.
"""

import dataclasses
import hashlib
import json
import re
from pathlib import Path

from branchctl import image
from branchctl.problems import Refusal

_SECRETS = ("key", "tls-crypt-v2", "tls-crypt", "tls-auth", "auth-user-pass")
_BLOCK = re.compile(r"^<({names})>\n(.*?)^</\1>\n?".format(names="|".join(_SECRETS)),
                    re.MULTILINE | re.DOTALL)
_NETWORK = re.compile(r"^# Branchline: bundle of \S+, network (\S+), fleet")
_UNUSED = ("MANIFEST",)


@dataclasses.dataclass(frozen=True)
class Payload:
    """Files of a slot and of the folder of keys, by name, and the MANIFEST that lists them."""

    files: dict[str, bytes] = dataclasses.field(repr=False)
    keys: dict[str, bytes] = dataclasses.field(repr=False)
    manifest: bytes

    def content(self, name: str) -> bytes:
        """What a name that a board asks for stands for: "gateway.json", "keys/paris-1f.key"."""
        folder, _, key = name.rpartition("/")
        return self.keys[key] if folder else self.files[name]


def payload(bundle: Path, firmware: bytes, board: str, version: str, confirm_s: int) -> Payload:
    """The payload of a bundle that `branchctl provision` has made. Raises Refusal."""
    try:
        listed = (bundle / "MANIFEST").read_text()
        name = json.loads((bundle / "gateway.json").read_text())["name"]
    except (OSError, ValueError, KeyError) as error:
        raise Refusal(f"{bundle} is no whole bundle: {error}", "run branchctl provision") from None
    network = _NETWORK.match(listed)
    if network is None:
        raise Refusal(f"{bundle}/MANIFEST does not say which network it is of",
                      "run branchctl provision")
    files, keys = {image.NAME: firmware}, {}
    for path in sorted(bundle.iterdir()):
        if path.name in _UNUSED or path.name.startswith("."):
            continue
        data = path.read_bytes()
        if path.suffix == ".ovpn":
            text, found = split(path.stem, data.decode())
            keys |= found
            data = text.encode()
        files[path.name] = data
    manifest = {"network": network[1], "name": name, "board": board, "version": version,
                "confirm_s": confirm_s, "files": _entries(files), "keys": _entries(keys)}
    return Payload(files, keys, json.dumps(manifest, sort_keys=True).encode())


def split(stem: str, profile: str) -> tuple[str, dict[str, bytes]]:
    """A profile whose secrets are files in ../keys, and these files by name."""
    keys = {}

    def outside(found: re.Match) -> str:
        data = found[2].encode()
        name = f"{stem}-{hashlib.sha256(data).hexdigest()[:12]}.key"
        keys[name] = data
        return f"{found[1]} ../keys/{name}\n"

    return _BLOCK.sub(outside, profile), keys


def _entries(content: dict[str, bytes]) -> dict[str, list]:
    return {name: [hashlib.sha256(data).hexdigest(), len(data)]
            for name, data in content.items()}
