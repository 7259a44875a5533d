"""A microcontroller board at the other end of a console: looked at and updated by mpremote's
transport, through the code that is frozen into our images (firmware/branchboot/segments.py)."""

import ast
import dataclasses
import hashlib
import time
import zlib
from collections.abc import Callable, Iterable

import serial
from mpremote.romfs import VfsRomWriter
from mpremote.transport import TransportError, TransportExecError
from mpremote.transport_serial import SerialTransport

from branchctl.image import ARCHITECTURES
from branchctl.payload import Payload
from branchctl.problems import Refusal

_SUM = 16  # hexadecimal digits of a block's hash
_WINDOW = 12  # bits: a block
_ACKNOWLEDGE = b"\x06"
_PATIENCE_S = 20.0
_MANIFEST = "MANIFEST"
_LOOK = """
import sys, os
try:
    import branchboot.segments as _s
    _slots = _s.mount()
    _status = _slots.status()
except ImportError:
    _status = None
import board_facts
print((board_facts.NAME, sys.implementation[1][:3], sys.implementation._mpy >> 10, _status,
       [name for name in os.listdir("/") if name not in
        ("a", "b", "code", "rom", "keys", "state", "RECORD")]))
"""


@dataclasses.dataclass
class Found:
    """What answers: the board's name in boards/, its interpreter, and what its slots tell."""

    board: str
    version: str
    architecture: str
    status: dict
    strangers: list[str]  # files that are none of ours


class ConsoleBoard:
    """port: what mpremote takes: a device, or socket://HOST:PORT. Raises Refusal."""

    BLOCK = 4096  # octets, as branchboot.segments has it

    def __init__(self, port: str):
        self.port = port
        try:
            self._transport = SerialTransport(port, timeout=_PATIENCE_S)
            self._transport.enter_raw_repl(soft_reset=False)
        except (TransportError, OSError, serial.SerialException) as error:
            raise Refusal(f"{port}: no MicroPython answers there: {error}",
                          "see that the board has power and that nobody else uses the port; "
                          "branchctl flash --port auto looks for boards") from None
        self.found = self._look()

    def _look(self) -> Found:
        try:
            board, version, architecture, status, strangers = ast.literal_eval(
                self._run(_LOOK))
        except (Refusal, ValueError, SyntaxError):
            raise Refusal(f"{self.port}: the board does not run an image of ours",
                          "build one with make firmware BOARD=NAME and put it on the board first "
                          "(branchctl boards tells how)") from None
        return Found(board, ".".join(map(str, version)), ARCHITECTURES[architecture], status,
                     strangers)

    def _run(self, code: str) -> str:
        """What the board prints. Raises Refusal with the last line of what it raises."""
        try:
            return self._transport.exec(code).decode()
        except TransportExecError as error:
            raise Refusal(f"{self.port}: {_last_line(error.error_output)}", _UNTOUCHED) from None
        except (TransportError, OSError, serial.SerialException) as error:
            raise self._lost(error) from None

    def _lost(self, error: Exception) -> Refusal:
        return Refusal(f"{self.port}: the board has fallen silent: {error}", _UNTOUCHED)

    # ---- an update ----

    def open_update(self, payload: Payload, image: bytes) -> None:
        """Tell the board what is to come. Raises Refusal if it is not for this board."""
        self._run(f"_u = _s.SegmentUpdate(_slots, {payload.manifest!r}, {self.found.board!r}, "
                  f"{len(image)})")

    def is_present(self) -> bool:
        """Whether the board has just this."""
        return ast.literal_eval(self._run("print(_u.is_present())"))

    def missing(self, payload: Payload, image: bytes) -> tuple[list[str], list[int]]:
        """The keys and the blocks that must be sent."""
        keys = ast.literal_eval(self._run("print(_u.missing_keys())"))
        there = ast.literal_eval(self._run("print(_u.sums())"))
        here = [hashlib.sha256(image[at:at + self.BLOCK]).hexdigest()[:_SUM]
                for at in range(0, len(image), self.BLOCK)]
        return keys, [number for number, (old, new) in enumerate(zip(there, here)) if old != new]

    def send(self, payload: Payload, image: bytes, keys: list[str], blocks: list[int],
             sent: Callable[[int], None]) -> str:
        """Send what is missing, and have the board check and stage it; returns the slot."""
        self._run("_u.begin()")
        for name in keys:
            self._stream(f"_u.receive_key({name!r})", [payload.keys[name]], sent)
        every = range((len(image) + self.BLOCK - 1) // self.BLOCK)
        self._run(f"_u.copy({[number for number in every if number not in set(blocks)]})")
        wanted = (image[number * self.BLOCK:(number + 1) * self.BLOCK] for number in blocks)
        self._stream(f"_u.receive_blocks({blocks})", wanted, sent)
        return self._run("print(_u.finish())").strip()

    def _stream(self, code: str, pieces: Iterable[bytes], sent: Callable[[int], None]) -> None:
        """Run code that takes blocks from the console, and acknowledges each."""
        console = self._transport.serial
        try:
            self._transport.exec_raw_no_follow(code)
            for piece in pieces:
                packed = zlib.compress(piece, 9, _WINDOW)
                escaped = packed.replace(b"\x10", b"\x10P").replace(b"\x03", b"\x10C")
                console.write(b"%04x" % len(escaped) + escaped)
                answer = console.read(1)
                if answer != _ACKNOWLEDGE:
                    break  # it has ended, and says why
                sent(len(piece))
            output, errors = self._transport.follow(_PATIENCE_S)
        except (TransportError, OSError, serial.SerialException) as error:
            raise self._lost(error) from None
        if errors:
            raise Refusal(f"{self.port}: {_last_line(errors.decode(errors='replace'))}",
                          _UNTOUCHED)

    def reset(self) -> None:
        """Have the board start again."""
        try:
            self._transport.exec_raw_no_follow("import machine; machine.reset()")
            time.sleep(0.1)
            self._transport.close()
        except (TransportError, OSError, serial.SerialException):
            pass  # it is about to go


_UNTOUCHED = "the slot that runs was left as it is; run the command again"


def slot_image(payload: Payload) -> bytes:
    """The read-only file system of a slot: code first, so that its blocks stay where they are."""
    writer = VfsRomWriter()
    for name in sorted(payload.files, key=lambda name: (not name.endswith(".romfs"), name)):
        writer.mkfile(name, payload.files[name])
    writer.mkfile(_MANIFEST, payload.manifest)
    image = bytes(writer.finalise())
    return image + bytes(-len(image) % 16)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it says nothing"
