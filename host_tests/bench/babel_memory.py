"""What Babel takes of the heap; runs on MicroPython and prints JSON.

    babel_memory.py PREFIXES NEIGHBOURS COPIES

Each prefix comes from COPIES of the neighbours, and four prefixes share a router-id.
"""

import gc
import sys

GROUP = b"\xff\x02" + bytes(11) + b"\x01\x00\x06"
OWN = b"\xfe\x80" + bytes(13) + b"\x01"
SECONDS = 4
_LIMIT = 1232


def used():
    """Octets of the heap that live objects take."""
    gc.collect()
    return gc.mem_alloc()


class Crowd:
    """Neighbours that speak to an agent, which has nothing else to do."""

    def __init__(self, agent, prefixes, neighbours, copies):
        self._agent = agent
        self._plan = prefixes, neighbours, copies
        self._buf = bytearray(_LIMIT)
        self._out = bytearray(_LIMIT)

    def speak(self, now):
        """A Hello, an IHU and the table of each neighbour."""
        prefixes, neighbours, copies = self._plan
        for number in range(neighbours):
            source = OWN[:-1] + bytes((16 + number,))
            hop = bytes((10, 0, 0, 16 + number))
            packet = Packet(self._buf, _LIMIT)
            packet.hello(now // 1000, 100, False, None)
            packet.ihu(OWN, 96, 300, None, None)
            for item in range(prefixes):
                if (item + number) % neighbours >= copies:
                    continue
                key = prefix_key(bytes((10, 1 + (item >> 8), item & 255, 0)), 24)
                router_id = bytes(6) + bytes((1 + (item >> 10), item >> 2 & 255))
                update = key, 400, 1, 96 * number, router_id, hop
                if not packet.update(*update):
                    self._send(packet, source, now)
                    packet = Packet(self._buf, _LIMIT)
                    packet.update(*update)
            self._send(packet, source, now)

    def _send(self, packet, source, now):
        agent = self._agent
        agent.receive_datagram("tunnel", source, GROUP, self._buf, packet.finish(b""), now)
        while agent.next_datagram(self._out):
            pass
        while agent.next_event():
            pass


def main(prefixes, neighbours, copies):
    """Fills an agent and prints what it took."""
    agent = Agent(
        bytes(7) + b"\x01",
        lambda n: bytes([7] * n),
        lambda text: None,
        max_neighbours=neighbours,
        max_prefixes=prefixes,
        max_routes=prefixes * copies,
        max_sources=prefixes,
    )
    agent.add_interface(Interface("tunnel", OWN, b"\x0a\0\0\1", hello_ms=1000))
    agent.interface_up("tunnel", 0)
    crowd = Crowd(agent, prefixes, neighbours, copies)
    empty = used()
    for second in range(SECONDS):
        crowd.speak(second * 1000)
        for part in range(10):
            agent.handle_timer(second * 1000 + part * 100)
    selected = 0
    for route in agent.routes():
        selected += route[-1]
    full = used()
    print(
        '{"code": %d, "agent": %d, "tables": %d, "selected": %d}'
        % (code - base, empty - code, full - empty, selected)
    )


base = used()
from branchline.babel.agent import Agent  # noqa: E402
from branchline.babel.interface import Interface  # noqa: E402
from branchline.babel.packet import Packet  # noqa: E402
from branchline.babel.prefix import prefix_key  # noqa: E402

code = used()
main(*[int(argument) for argument in sys.argv[1:]])
