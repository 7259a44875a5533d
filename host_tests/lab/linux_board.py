"""A Linux machine to install on: a real sshd, and folders of its own instead of the system's.

What a machine's init does is done by a loop: whatever ends the gateway, it is started again.
"""

import os
import signal
from pathlib import Path

from branchctl.linux_board import CODE, ROOT
from host_tests.lab.errors import LabError
from host_tests.lab.gateway import MICROPYTHON
from host_tests.lab.netns import Host
from host_tests.lab.process import Process

_SSHD = """\
Port 22
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
SetEnv PATH={folder}/bin:/usr/sbin:/usr/bin:/sbin:/bin
"""
_SSH = """\
Host *
  IdentityFile {folder}/key
  UserKnownHostsFile {folder}/known_hosts
  StrictHostKeyChecking accept-new
  IdentitiesOnly yes
"""
# Only this process and its children see these folders.
_APART = "mount -t tmpfs none /var/lib && mount -t tmpfs none /usr/local/lib && " \
         "mkdir -p /run/sshd && exec /usr/sbin/sshd -D -e -f {folder}/sshd_config"
_INIT = "while :; do [ ! -e {code}/slot_main.py ] || MICROPYPATH={code}:.frozen " \
        "micropython {code}/slot_main.py {root}; sleep 0.2; done"


class LinuxMachine:
    """A host as a board: `ssh_config` is for ssh and branchctl from `operator`."""

    def __init__(self, host: Host, operator: Host):
        self.host = host
        self.operator = operator
        self.folder = host.directory / "machine"
        (self.folder / "bin").mkdir(parents=True)
        for name in ("host_key", "key"):
            operator.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f",
                         str(self.folder / name))
        self._write("authorized_keys", (self.folder / "key.pub").read_text())
        self._write("sshd_config", _SSHD.format(folder=self.folder))
        self.ssh_config = self._write("ssh_config", _SSH.format(folder=self.folder))
        self.sshd: Process | None = None
        self.init: Process | None = None

    def start(self, interpreter: bool = True) -> "LinuxMachine":
        """Let it be reached; without an interpreter it is a machine that lacks one."""
        if interpreter:
            (self.folder / "bin" / "micropython").symlink_to(MICROPYTHON)
        self.sshd = self.host.spawn("unshare", "--mount", "--propagation", "private", "sh", "-c",
                                    _APART.format(folder=self.folder), name="sshd")
        self.sshd.wait_for("Server listening on 0.0.0.0")
        return self

    def start_init(self) -> None:
        """Have the gateway started, and started again, from now on."""
        self.init = self.enter("sh", "-c", _INIT.format(code=CODE, root=ROOT))

    def enter(self, *command: str) -> Process:
        """A program that sees the machine's own folders."""
        path = f"{self.folder}/bin:{os.environ['PATH']}"
        return self.host.spawn("nsenter", f"--mount=/proc/{self.sshd.pid}/ns/mnt", *command,
                               name="init", env={"PATH": path})

    def read(self, name: str) -> str:
        """A file of the machine."""
        return Path(f"/proc/{self.sshd.pid}/root{name}").read_text()

    def restart_gateway(self) -> None:
        """SIGTERM to the gateway; the loop starts it again."""
        self.signal_gateway(signal.SIGTERM)

    def signal_gateway(self, number: signal.Signals) -> None:
        """A signal to the gateway, which runs. Raises LabError where it does not."""
        children = Path(f"/proc/{self.init.pid}/task/{self.init.pid}/children").read_text()
        for child in children.split():
            if "slot_main.py" in Path(f"/proc/{child}/cmdline").read_text():
                os.kill(int(child), number)
                return
        raise LabError("the gateway does not run")

    def _write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o600)
        return path
