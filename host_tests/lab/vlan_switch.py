"""A switch with VLANs between a board and hosts: not every kernel has VLANs of its own.

The board's port is a pair of UNIX datagram sockets (QEMU's `-netdev dgram`); a host's port is a
tap in its namespace. The untagged port gets what bears no tag.
"""

import contextlib
import fcntl
import os
import select
import socket
import struct
import threading
from pathlib import Path

from host_tests.lab.netns import Host

UNTAGGED = 0
_TUNSETIFF = 0x400454CA
_IFF_TAP_NO_PI = 0x1002
_TYPE = slice(12, 14)  # in a frame
_VLAN_TYPE = b"\x81\x00"
_MAX_FRAME = 2048
_POLL = 0.2


class Switch:
    """Passes frames on in a thread until the lab is closed.

        switch = Switch(lab, directory)
        switch.add(host, "eth0", vlan=11)
        qemu = ["-netdev", switch.netdev("wire")]
    """

    def __init__(self, lab, directory: Path):
        self._own, self._board = directory / "switch", directory / "board-port"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self._own))
        self._socket.setblocking(False)
        self._taps: dict[int, int] = {}  # VLAN: descriptor
        self._open = True
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        lab.on_close(self.close)

    def netdev(self, name: str) -> str:
        """QEMU's option -netdev."""
        return (f"dgram,id={name},local.type=unix,local.path={self._board},"
                f"remote.type=unix,remote.path={self._own}")

    def add(self, host: Host, device: str, vlan: int = UNTAGGED) -> None:
        """Give a host a port, which is its new interface `device`."""
        self._taps[vlan] = host.call(_open_tap, device)
        host.ip("link", "set", "dev", device, "up")

    def close(self) -> None:
        """Stop; the hosts' interfaces go away."""
        self._open = False
        self._thread.join()
        for tap in self._taps.values():
            os.close(tap)
        self._socket.close()

    def _run(self) -> None:
        while self._open:
            taps = {tap: vlan for vlan, tap in self._taps.items()}
            for ready in select.select([self._socket, *taps], [], [], _POLL)[0]:
                # A port whose other end is away, or full, loses the frame.
                with contextlib.suppress(OSError):
                    if ready is self._socket:
                        self._from_board(self._socket.recv(_MAX_FRAME))
                    else:
                        frame = os.read(ready, _MAX_FRAME)
                        self._socket.sendto(_tagged(frame, taps[ready]), str(self._board))

    def _from_board(self, frame: bytes) -> None:
        vlan = UNTAGGED
        if frame[_TYPE] == _VLAN_TYPE:
            vlan = struct.unpack_from(">H", frame, 14)[0] & 0xFFF
            frame = frame[:12] + frame[16:]
        if vlan in self._taps:
            os.write(self._taps[vlan], frame)


def _tagged(frame: bytes, vlan: int) -> bytes:
    if vlan == UNTAGGED:
        return frame
    return frame[:12] + _VLAN_TYPE + struct.pack(">H", vlan) + frame[12:]


def _open_tap(device: str) -> int:
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(tap, _TUNSETIFF, struct.pack("16sH22x", device.encode(), _IFF_TAP_NO_PI))
    return tap
