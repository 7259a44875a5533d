"""A board in the lab: our image in QEMU, its Ethernet a tap of a host, its console a socket.

    board = Board(host, gateway).start()
    board.wait_up("paris")
"""

import ipaddress
import json
import secrets
import shlex
import socket
import sys
from pathlib import Path

from branchctl import boards
from branchctl.console_board import slot_image
from branchctl.payload import payload
from host_tests.lab.errors import LabError
from host_tests.lab.gateway import MICROPYTHON, Gateway
from host_tests.lab.netns import Host
from host_tests.lab.process import Process
from host_tests.lab.vlan_switch import Switch

NAME = "qemu_mps2"
IMAGE = Path(__file__).resolve().parents[2] / "build" / NAME / "firmware.elf"
_FLASH = Path(__file__).with_name("flash_image.py")
_TAP = "board"
_WAN = ipaddress.ip_interface("10.99.0.1/24")
_TIMEOUT = 30.0
_FLASH_SIZE = 12 << 20  # as boards/qemu_mps2/flash.c has it
# MicroPython's raw REPL.
_INTERRUPT, _RAW, _FRIENDLY, _END = b"\x03", b"\x01", b"\x02", b"\x04"
_RAW_PROMPT = b"raw REPL; CTRL-B to exit\r\n>"


class Wire:
    """The cable between a host and a board: the host is the board's modem, with DHCP, DNS and the
    time. With VLANs a switch lies between them; without, the cable is the modem's tap."""

    network = str(_WAN.network)
    address = str(_WAN.ip)

    def __init__(self, modem: Host, vlans: bool = False):
        self.modem = modem
        self._switch = Switch(modem.lab, modem.directory) if vlans else None
        if self._switch:
            self._switch.add(modem, _TAP)
        else:
            modem.ip("tuntap", "add", "dev", _TAP, "mode", "tap")
        modem.ip("addr", "add", str(_WAN), "dev", _TAP)
        modem.ip("link", "set", "dev", _TAP, "up")

    def serve(self) -> None:
        """Start DHCP, DNS and the time."""
        first, last = _WAN.network[10], _WAN.network[19]
        self.modem.spawn(
            "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv",
            "--no-hosts", f"--interface={_TAP}", "--bind-interfaces", "--no-ping",
            "--dhcp-authoritative", f"--dhcp-range={first},{last}",
            f"--address=/time.lab/pool.ntp.org/{self.address}", "--user=root", "--pid-file",
            f"--dhcp-leasefile={self.modem.directory}/leases", "--log-facility=-",
        )
        self.modem.spawn(sys.executable, "-m", "host_tests.lab.time_server", self.address,
                         name="time-server", env={"PYTHONPATH": str(IMAGE.parents[2])})

    def give_lan(self, host: Host, vlan: int, address: str, gateway: str) -> None:
        """Put a host into a VLAN of the wire."""
        self._switch.add(host, _TAP, vlan)
        host.ip("addr", "add", address, "dev", _TAP)
        host.route("default", gateway)

    def options(self, mac: str) -> list[str]:
        """QEMU's for the board's end."""
        if self._switch:
            return ["-netdev", self._switch.netdev("wire"),
                    "-net", f"nic,netdev=wire,model=lan9118,macaddr={mac}"]
        return ["-nic", f"tap,ifname={_TAP},script=no,downscript=no,model=lan9118,mac={mac}"]


class Board:
    """The image with a gateway's folder on its flash."""

    def __init__(self, wire: Wire, gateway: Gateway, *, heap: int | None = None,
                 settings: dict | None = None):
        """heap: octets of MicroPython's heap; settings: board.json."""
        self.wire, self.gateway, self.heap = wire, gateway, heap
        self.settings = {"time": ["time.lab"]} if settings is None else settings
        self.directory = wire.modem.directory
        self.process: Process | None = None

    def start(self) -> "Board":
        """Power on; no tunnel is up yet."""
        if not IMAGE.exists():
            raise LabError(f"{IMAGE} is missing: run `make firmware BOARD={NAME}`")
        folder = self.gateway.write()
        (folder / "board.json").write_text(json.dumps(self.settings))
        flash = self._make_flash(folder)
        console = self.directory / "console.log"
        console.touch()
        arguments = f",arg=flash={flash}" + (f",arg=heap={self.heap}" if self.heap else "")
        mac = ":".join(f"{octet:02x}" for octet in b"\x02" + secrets.token_bytes(5))
        self.process = self.wire.modem.spawn(
            "qemu-system-arm", "-machine", "mps2-an385", "-display", "none", "-monitor", "none",
            "-semihosting-config", f"enable=on,target=native,arg=branchline{arguments}",
            "-chardev", f"socket,id=console,path={self.console},server=on,wait=off,"
            f"logfile={console}",
            "-serial", "chardev:console", "-kernel", str(IMAGE),
            *self.wire.options(mac),
        )
        self.process.log_path = console
        self.gateway.process = self.process
        return self

    @property
    def console(self) -> Path:
        """The socket that the console is."""
        return self.directory / "console"

    def wait_up(self, *tunnels: str, timeout: float = _TIMEOUT, count: int = 1) -> float:
        """As Gateway.wait_up."""
        return self.gateway.wait_up(*tunnels, timeout=timeout, count=count)

    def wait_for(self, pattern: str, timeout: float = _TIMEOUT, count: int = 1):
        """Wait for a pattern on the console."""
        return self.process.wait_for(pattern, timeout, count)

    def log(self) -> str:
        """What the console has said."""
        return self.process.log().replace("\r\n", "\n")

    def execute(self, code: str) -> str:
        """Run Python at the prompt, which ends a gateway that runs; return what it prints."""
        with self._connect() as console:
            console.sendall(_INTERRUPT + _RAW)
            _read_until(console, _RAW_PROMPT)
            console.sendall(code.encode() + _END)
            _read_until(console, b"OK")
            printed, error = _read_until(console, _END), _read_until(console, _END)
            console.sendall(_FRIENDLY)
        if error:
            raise LabError(f"{code!r} failed on the board: {error.decode(errors='replace')}")
        return printed.decode().replace("\r\n", "\n")

    def _connect(self) -> socket.socket:
        console = socket.socket(socket.AF_UNIX)
        console.settimeout(_TIMEOUT)
        console.connect(str(self.console))
        return console

    def stop(self) -> None:
        """Ctrl-C, and power off once the gateway has ended."""
        with self._connect() as console:
            console.sendall(_INTERRUPT)
            self.wait_for("the gateway was interrupted")
        self.process.kill()

    def _make_flash(self, folder: Path) -> Path:
        """The flash's file, as `branchctl flash` leaves it, but with the code that is frozen."""
        flash = boards.load()[NAME].flash
        (folder / "MANIFEST").write_text(
            f"# Branchline: bundle of {self.gateway.name}, network lab, fleet 00\n")
        wanted = payload(folder, {}, NAME, "0", 300, "/keys")
        tree = self.directory / "flash"
        (tree / "keys").mkdir(parents=True)
        for name, data in wanted.keys.items():
            (tree / "keys" / name).write_bytes(data)
        (tree / "RECORD").write_text('{"good": "a", "trial": null}')
        image = self.directory / "flash.img"
        self.wire.modem.run(str(MICROPYTHON), "-X", "heapsize=64M", str(_FLASH), str(image),
                            str(flash.filesystem_kb << 10), str(flash.block), str(tree))
        with open(image, "ab") as file:
            file.write(slot_image(wanted))
        return image


class BareBoard:
    """The image with an empty flash, and its console at the TCP port `port`. What ends it, as a
    reset does in QEMU, starts it again."""

    port = "socket://127.0.0.1:7000"

    def __init__(self, wire: Wire):
        self.wire = wire
        self.log_path = wire.modem.directory / "console.log"
        self.process: Process | None = None

    def start(self) -> "BareBoard":
        """Power on."""
        if not IMAGE.exists():
            raise LabError(f"{IMAGE} is missing: run `make firmware BOARD={NAME}`")
        flash = self.wire.modem.directory / "flash.img"
        with open(flash, "wb") as file:
            file.truncate(_FLASH_SIZE)
        mac = ":".join(f"{octet:02x}" for octet in b"\x02" + secrets.token_bytes(5))
        command = shlex.join([
            "qemu-system-arm", "-machine", "mps2-an385", "-display", "none", "-monitor", "none",
            "-semihosting-config", f"enable=on,target=native,arg=branchline,arg=flash={flash}",
            "-chardev", "socket,id=console,host=127.0.0.1,port=7000,server=on,wait=off,"
            f"logfile={self.log_path},logappend=on",
            "-serial", "chardev:console", "-kernel", str(IMAGE), *self.wire.options(mac)])
        self.process = self.wire.modem.spawn("sh", "-c", f"while :; do {command}; sleep 0.2; done",
                                             name="board")
        self.process.log_path = self.log_path
        self.log_path.touch()
        return self

    def wait_for(self, pattern: str, timeout: float = _TIMEOUT, count: int = 1):
        """Wait for a pattern on the console."""
        return self.process.wait_for(pattern, timeout, count)


def _read_until(console: socket.socket, mark: bytes) -> bytes:
    """What comes before a mark."""
    read = b""
    while not read.endswith(mark):
        octet = console.recv(1)
        if not octet:
            raise LabError(f"the board's console has ended after {read!r}")
        read += octet
    return read[:-len(mark)]
