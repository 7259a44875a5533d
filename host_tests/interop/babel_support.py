"""What the Babel tests share: which peers, what is in the kernels, and who hears whom."""

import json
import os
from pathlib import Path

from host_tests.interop.openvpn_support import eventually
from host_tests.lab import Gateway, Host, LabError
from host_tests.lab.topology import Network

# Every test runs against each daemon, and against both at once where two hubs serve.
ONE_HUB = ["babeld", "bird"]
ANY_HUBS = ["babeld", "bird", "babeld+bird"]
TWO_HUBS = ["babeld+babeld", "bird+bird", "babeld+bird"]
_NAMES = ("paris", "dublin")
PROTOCOL = "201"  # of our routes


def make_network(lab, peers: str, branches=("lyon",), **options) -> Network:
    """A started network with a hub for each daemon named in `peers`."""
    network = Network(lab, dict(zip(_NAMES, peers.split("+"))), branches, **options)
    network.start()
    return network


def start(network: Network, name: str = "lyon", **config) -> Gateway:
    """A branch's gateway with all its tunnels up."""
    gateway = network.gateway(name, **config).start()
    gateway.wait_up()
    return gateway


class Console:
    """A branch's gateway (not started) whose routing does what it is told, as the watchdog
    tells it; see gateway_console.py."""

    def __init__(self, network: Network, name: str, **config):
        path = network.branches[name].gateway.directory / "console"
        os.mkfifo(path)
        self.gateway = network.gateway(
            name, program=Path(__file__).with_name("gateway_console.py"),
            env={"CONSOLE": str(path)}, **config,
        )
        self._path = path

    def __call__(self, *calls: str) -> None:
        """Make calls such as "set_penalty tun-paris 50", once the gateway is up."""
        with open(self._path, "w") as fifo:
            fifo.write("".join(f"{call}\n" for call in calls))


def kernel_routes(host: Host, protocol: str = PROTOCOL) -> dict[str, str]:
    """Prefix -> device (or "unreachable") of a protocol's routes in the main tables."""
    routes = {}
    for family in ("-4", "-6"):
        shown = host.ip(family, "-json", "route", "show", "proto", protocol)
        for route in json.loads(shown or "[]"):
            prefix = route["dst"]
            if "/" not in prefix and prefix != "default":
                prefix += "/128" if ":" in prefix else "/32"
            blocked = route.get("type") == "unreachable" or route["dev"] == "lo"
            routes[prefix] = "unreachable" if blocked else route["dev"]
    return routes


def wait_routes(host: Host, wanted: dict[str, str | None], timeout: float = 20.0) -> None:
    """Wait until our routes on a gateway lead by these devices; None: there is no route."""
    def hold() -> bool:
        routes = kernel_routes(host)
        return all(routes.get(prefix) == device for prefix, device in wanted.items())

    try:
        eventually(hold, f"routes {wanted} on {host.name}", timeout)
    except LabError as error:
        raise LabError(f"{error}; there are {kernel_routes(host)}") from None


def wait_hub(centre, *prefixes: str, device: str | None = "server",
             timeout: float = 20.0) -> None:
    """Wait until the hub's daemon has selected a route to each prefix by that device; None: no
    route at all."""
    def hold() -> bool:
        selected = {route.prefix: route.device for route in centre.babel.routes()
                    if route.selected}
        return all(selected.get(prefix) == device for prefix in prefixes)

    try:
        eventually(hold, f"{centre.name} routes {prefixes} by {device}", timeout)
    except LabError as error:
        raise LabError(f"{error}; there are {centre.babel.routes()}") from None


def hears(centre, link_local: str) -> bool:
    """Whether the hub's daemon has a usable neighbour of that address."""
    return any(neighbour.address == link_local and neighbour.usable
               for neighbour in centre.babel.neighbours())


def own_prefixes(branch) -> list[str]:
    """What the branch's gateway announces."""
    return [f"{branch.static}/32", branch.lan, branch.lan6]


def routing(gateway: Gateway) -> dict:
    """The part `routing` of a fresh status."""
    return gateway.fresh_status()["routing"]


def wait_counters(gateway: Gateway, *names: str) -> None:
    """Wait until the status counts at least one of each."""
    try:
        eventually(lambda: all(routing(gateway)["counters"].get(name) for name in names),
                   f"counters {names}")
    except LabError as error:
        raise LabError(f"{error}; there are {routing(gateway)['counters']}") from None


def wait_reachable(host, address: str, count: int = 3, **options) -> None:
    """Wait until pings get through: a daemon's choice takes a moment to reach its kernel."""
    eventually(lambda: host.ping(address, count, **options).lost == 0, f"{address} answers")
