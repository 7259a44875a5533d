"""The gateway's routing on one interface, without tunnels; runs on MicroPython.

    babel_device.py DEVICE IPV4 HELLO_MS ROUTES NEIGHBOURS

The interface is treated as a tunnel, so without split horizon.
"""

import sys

from branchline.app.log import Log
from branchline.app.routing import Routing
from branchline.app.settings import Config
from branchline.app.settings import Routing as RoutingSettings
from branchline.app.system import System
from branchline.hal.linux.signals import Signals
from branchline.wire.ip import parse_address
from branchline.wire.ticks import earliest, ticks_diff

_MTU = 1500


def main(device, ipv4, hello_ms, routes, neighbours):
    """Runs until SIGINT or SIGTERM, by the same loop as app.gateway's."""
    config = Config()
    config.name = "bench"
    config.routing = settings = RoutingSettings()
    settings.hello_ms = int(hello_ms)
    settings.max_routes = int(routes)
    settings.max_neighbours = int(neighbours)
    settings.rtt = False
    system = System(Log("warning"))
    routing = Routing(config, system, lambda: [])
    signals = Signals()
    stopping = []
    system.poller.register(signals, lambda readable, writable: stopping.append(signals.read()))
    address = parse_address(ipv4)
    link_local, _ = system.link_addresses(device, address)
    routing.start(system.ticks())
    addresses = [(link_local, 64, None), (address, 32, None)]
    routing.tunnel_up(device, addresses, _MTU, system.ticks())
    while not any(stopping):
        due = earliest(system.next_timer(), routing.next_timer())
        system.poller.wait(max(0, ticks_diff(due, system.ticks())))
        routing.handle_timer(system.ticks())
    print("counters", routing.agent.counters.nonzero())
    routing.stop(system.ticks())


main(*sys.argv[1:])
