"""Follows the routes of many hosts at once: when do all of them have what they should."""

import ipaddress
import select
import time
from collections.abc import Callable, Iterable

from host_tests.bench.babel_routes import RouteWatch
from host_tests.lab import LabError
from host_tests.lab.sites import Site

# Of a prefix (its length, then its octets) to the octets of its next hop.
Hops = dict[bytes, bytes]


def key(prefix: str) -> bytes:
    """A prefix such as "10.1.0.0/24" as RouteWatch has it."""
    network = ipaddress.ip_network(prefix)
    return bytes((network.prefixlen,)) + network.network_address.packed


def keys(sites: Iterable[Site]) -> set[bytes]:
    """All prefixes of some sites."""
    return {key(str(network)) for site in sites for network in site.networks()}


class FleetRoutes:
    """The routes of some sites' hosts, from now on."""

    def __init__(self, sites: Iterable[Site]):
        self._watches = {site.name: RouteWatch(site.host) for site in sites}

    def close(self) -> None:
        """Follow them no longer."""
        for watch in self._watches.values():
            watch.close()

    def wait(self, sites: Iterable[Site], is_reached: Callable[[str, Hops], bool],
             timeout: float) -> float:
        """Wait until is_reached(name, hops) of all these sites at once; return the
        time.monotonic() of that moment.

        Raises LabError when time is up.
        """
        deadline = time.monotonic() + timeout
        names = {site.name for site in sites}
        while self._take(0):
            pass
        missing = {name for name in names if not is_reached(name, self._watches[name].hops)}
        while missing:
            left = deadline - time.monotonic()
            if left <= 0:
                raise LabError(f"after {timeout:g} s {', '.join(sorted(missing))} have not the "
                               "routes that they should have")
            for name in self._take(left) & names:
                if is_reached(name, self._watches[name].hops):
                    missing.discard(name)
                else:
                    missing.add(name)
        return time.monotonic()

    def _take(self, timeout: float) -> set[str]:
        """Take what the kernels have to tell; the names of the sites that it is of."""
        found = select.select([*self._watches.values()], [], [], timeout)[0]
        for watch in found:
            watch.read()
        return {watch.name for watch in found}
