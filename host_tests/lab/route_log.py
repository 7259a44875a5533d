"""The ways that a host's kernel has had to a prefix: how often its route has moved."""

import itertools
import re

from host_tests.lab.netns import Host

NONE = "unreachable"
_ROUTE = re.compile(r"(?:(unicast|unreachable|blackhole|prohibit) )?(\S+)(?:.* dev (\S+))?")


class RouteLog:
    """Notes every change of a host's IPv4 routes from now on (`ip monitor`)."""

    def __init__(self, host: Host):
        self._before = dict(map(_way, host.ip("-4", "route", "show").splitlines()))
        self._process = host.spawn("ip", "-4", "-o", "monitor", "route", name="ip-monitor")

    def ways(self, prefix: str) -> list[str]:
        """The devices by which the prefix was reached, one after the other, NONE among them.
        Where a route is only taken away for a moment it does not count."""
        ways = [(prefix, self._before.get(prefix, NONE))]
        ways += [_way(line) for line in self._process.log().splitlines()
                 if not line.startswith("Deleted ")]
        devices = (device for changed, device in ways if changed == prefix)
        return [device for device, _ in itertools.groupby(devices)]

    def moves(self, *prefixes: str) -> int:
        """How often the routes to these prefixes have moved, all together."""
        return sum(len(self.ways(prefix)) - 1 for prefix in prefixes)

    def close(self) -> None:
        """Note no further changes."""
        self._process.kill()


def _way(line: str) -> tuple[str, str]:
    """The prefix and the device of a route as `ip` shows it."""
    kind, prefix, device = _ROUTE.match(line.strip()).groups()
    return prefix, device if kind in (None, "unicast") and device else NONE
