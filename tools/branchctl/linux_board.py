"""A Linux machine as a board: what it is, and how it is given firmware and bundle over SSH."""

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from importlib import resources

from branchctl.image import ARCHITECTURES
from branchctl.payload import Payload
from branchctl.problems import Refusal
from branchctl.sources import FIRMWARE, tar
from branchctl.ssh import Ssh

ROOT = "/var/lib/branchline"
CODE = "/usr/local/lib/branchline"
UNIT = "branchline.service"
_OLDEST = (1, 24)
_ENTRIES = ("slot_main.py", "image_main.py")
_PIECE = 65536
_POLL_S = 1.0
_GRACE_S = 15  # for the restart, on top of what the trial may take


@dataclasses.dataclass
class Machine:
    """What probe.sh has found."""

    micropython: str
    version: str
    architecture: str
    systemd: bool
    boot: dict[str, str]  # the boot code's files there, and their SHA-256


class LinuxBoard:
    """The machine at the other end of an Ssh."""

    def __init__(self, ssh: Ssh):
        self._ssh = ssh
        self.machine = self._probe()

    def _probe(self) -> Machine:
        script = (resources.files("branchctl") / "board_files" / "probe.sh").read_text()
        found, boot = {}, {}
        for line in self._ssh.run(script).splitlines():
            word, _, value = line.partition(" ")
            if word == "boot":
                name, _, digest = value.partition("=")
                boot[name] = digest
            else:
                found[word] = value
        where = self._ssh.destination
        if found.get("system") != "Linux":
            raise Refusal(f"{where} runs {found.get('system', 'no system that tells its name')}",
                          "this way of installing is for boards that run Linux")
        if found.get("user") != "0":
            raise Refusal(f"at {where} we are not root", f"use root@{where.rpartition('@')[2]}")
        if "foreign" in found:
            raise Refusal(f"{found['foreign']} at {where} holds files of something else",
                          "move them away there")
        self._check_interpreter(found)
        if not found.get("nft"):
            raise Refusal(f"{where} has no nft, which the gateway enforces its filter with",
                          "install the package nftables there")
        return Machine(found["micropython"], found["version"],
                       ARCHITECTURES[int(found["architecture"])], found["systemd"] == "1", boot)

    def _check_interpreter(self, found: dict[str, str]) -> None:
        where = self._ssh.destination
        fix = "install the package micropython (Debian 13 and newer have it), or put one built " \
              "with ffi into /usr/local/bin"
        if not found.get("micropython"):
            raise Refusal(f"{where} has no MicroPython", fix)
        version = tuple(map(int, found.get("version", "0").split(".")))
        if version < _OLDEST:
            raise Refusal(f"{where} has MicroPython {found.get('version', 'of unknown version')}, "
                          f"which is too old", fix)
        if found.get("capable") != "1":
            raise Refusal(f"the MicroPython of {where} has no ffi or no VfsRom", fix)

    # ---- what it is given ----

    def install_boot(self) -> bool:
        """Put the boot code, the unit and the folders there; False if they were."""
        wanted = {name: (FIRMWARE / name).read_bytes() for name in _ENTRIES}
        wanted |= {f"branchboot/{path.name}": path.read_bytes()
                   for path in sorted((FIRMWARE / "branchboot").glob("*.py"))}
        sums = {name: hashlib.sha256(data).hexdigest() for name, data in wanted.items()}
        if sums == self.machine.boot:
            return False
        unit = (resources.files("branchctl") / "board_files" / UNIT).read_text()
        unit = unit.replace("@MICROPYTHON@", self.machine.micropython)
        script = f"""set -eu
umask 077; mkdir -p {ROOT}
umask 022; rm -rf {CODE}.new; mkdir -p {CODE}.new; tar -x -C {CODE}.new -f -
cd {CODE}.new; sync
mkdir -p {CODE}
find . -type d -exec mkdir -p {CODE}/{{}} \\;
find . -name '*.py' -exec mv {{}} {CODE}/{{}} \\;
if [ -d /run/systemd/system ]; then
    mv {UNIT} /etc/systemd/system/{UNIT}; systemctl daemon-reload; systemctl -q enable {UNIT}
fi
cd /; rm -rf {CODE}.new; sync
"""
        self._ssh.run(script, _tar({**wanted, UNIT: unit.encode()}))
        return True

    def missing(self, payload: Payload) -> list[str] | None:
        """Which files must be sent; None if just this is installed already."""
        answer = json.loads(self._slots("missing", [payload.manifest]))
        return None if answer["present"] else answer["missing"]

    def send(self, payload: Payload, names: list[str], sent: Callable[[int], None]) -> str:
        """Send these files and have the payload staged; returns what the machine says."""
        script = f"set -eu; umask 077; rm -rf {ROOT}/incoming; mkdir -p {ROOT}/incoming/keys; " \
                 f"tar -x -C {ROOT}/incoming -f -"
        self._ssh.run(script, _tar({name: payload.content(name) for name in names}), sent)
        said = self._slots("stage", [payload.manifest])
        self._ssh.run(f"rm -rf {ROOT}/incoming")
        return said.strip()

    def _slots(self, command: str, stdin=()) -> str:
        return self._ssh.run(f"umask 077; export MICROPYPATH={CODE}:.frozen; exec "
                             f"{self.machine.micropython} {CODE}/slot_main.py {ROOT} {command}",
                             stdin)

    # ---- what becomes of it ----

    def restart(self) -> None:
        """Start the gateway again, in the slot whose turn it is."""
        self._ssh.run(f"systemctl restart {UNIT}")

    def status(self) -> dict:
        """What the slots tell."""
        return json.loads(self._slots("status"))

    def outcome(self, confirm_s: int, tell: Callable[[str], None]) -> dict:
        """The slots' status once the trial is over; the board's own verdict."""
        deadline = time.monotonic() + confirm_s + _GRACE_S
        status = self.status()
        while (status["trial"] or status["starts"]) and time.monotonic() < deadline:
            tell("waiting until the gateway has confirmed itself")
            time.sleep(_POLL_S)
            status = self.status()
        return status

    def journal(self) -> list[str]:
        """The gateway's latest decisions, for people."""
        answer = self._ssh.run(f"tail -n 6 {ROOT}/state/journal 2>/dev/null || true")
        lines = []
        for line in answer.splitlines():
            try:
                _, subject, event, reason, *_ = json.loads(line)
                lines.append(f"{subject} {event}: {reason}")
            except ValueError:
                continue
        return lines


def _tar(content: dict[str, bytes]) -> Iterator[bytes]:
    """A tar archive of files, in pieces."""
    octets = tar(content)
    for start in range(0, len(octets), _PIECE):
        yield octets[start:start + _PIECE]
