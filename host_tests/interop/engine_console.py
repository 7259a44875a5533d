"""Runs one `openvpn` engine under the gateway's poller: engine_console.py SETTINGS.

SETTINGS is JSON: name, profile (a path), socket, device, rank, program. Commands come as JSON
lists, one a line, from standard input: ["connect", 0, "192.0.2.1"]; a line of JSON is printed for
every event, and for every answer to "status" and "traffic". It ends with standard input.
"""

import json
import sys

from branchline.app.system import System
from branchline.hal.linux.descriptor import Descriptor
from branchline.hal.linux.signals import Signals
from branchline.tunnel.process import ProcessEngine
from branchline.wire.ip import format_address, parse_address
from branchline.wire.ticks import earliest, ticks_diff

_KINDS = (None, "READY", "UP", "DOWN", "FATAL", "NOTE")


def say(**line):
    print(json.dumps(line))


def shown(kind, detail):
    """An event's detail as JSON."""
    if kind == "READY":
        return [[remote.host, remote.port, remote.proto] for remote in detail]
    if kind == "UP":
        return {
            "device": detail.device,
            "addresses": [format_address(own) + "/" + str(n) for own, n, _ in detail.addresses],
            "mtu": detail.mtu,
            "gateway": detail.gateway and format_address(detail.gateway),
            "gateway_ipv6": detail.gateway_ipv6 and format_address(detail.gateway_ipv6),
            "server": format_address(detail.server),
        }
    return list(detail)


class Console:
    def __init__(self, settings):
        self.system = System(lambda *line: say(log=line))
        profile = settings["profile"]
        with open(profile, "rb") as file:
            text = file.read()
        self.engine = ProcessEngine(
            settings["name"],
            (profile.rsplit("/", 1)[1], text),
            profile.rsplit("/", 1)[0],
            settings["socket"],
            self.system,
            settings.get("device"),
            settings.get("rank", 0),
            settings.get("program", "openvpn"),
        )
        self.signals = Signals()  # as in the gateway: blocked here, and not in children
        self.input = Descriptor(0)
        self.buffer = memoryview(bytearray(4096))
        self.rest = b""
        self.open = True
        self.system.poller.register(self.input, self.on_input)

    def on_input(self, readable, writable):
        n = self.input.readinto(self.buffer)
        self.open = bool(n)
        lines = (self.rest + bytes(self.buffer[: n or 0])).split(b"\n")
        self.rest = lines.pop()
        for line in lines:
            self.obey(*json.loads(line.decode()))

    def obey(self, command, *arguments):
        engine = self.engine
        now = self.system.ticks()
        if command == "connect":
            engine.connect(arguments[0], parse_address(arguments[1]), now)
        elif command in ("status", "traffic"):
            say(answer=getattr(engine, command)())
        else:
            getattr(engine, command)(now)

    def run(self):
        parts = (self.system, self.engine)
        while self.open:
            now = self.system.ticks()
            for part in parts:
                part.handle_timer(now)
            while event := self.engine.next_event():
                kind = _KINDS[event[0]]
                say(event=kind, detail=shown(kind, event[1]))
            due = earliest(*[part.next_timer() for part in parts])
            self.system.poller.wait(None if due is None else max(0, ticks_diff(due, now)))
        self.engine.close(self.system.ticks())
        self.system.settle(5000)


Console(json.loads(sys.argv[1])).run()
