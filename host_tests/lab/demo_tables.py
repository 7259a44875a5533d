"""The demo's tables: what a gateway and a hub know."""

from rich import box
from rich.table import Table

from host_tests.lab.gateway import Gateway
from host_tests.lab.sites import HubSite

_RIGHT = ("RTT", "metric", "cost")


def tunnels(gateway: Gateway) -> Table:
    """A gateway's tunnels."""
    status = gateway.fresh_status()
    neighbours = {item["device"]: item for item in status["routing"]["neighbours"]}
    table = _table(f"{gateway.name}'s tunnels", "tunnel", "state", "remote", "address", "cipher",
                   "RTT", "cost")
    for row in status["tunnels"]:
        neighbour = neighbours[row["device"]]
        address = row["address"].partition(",")[0]
        table.add_row(row["name"], row["state"], str(row["remote"]), address,
                      str(row["cipher"]), _rtt(neighbour["rtt_ms"]), str(neighbour["cost"]))
    return table


def gateway_routes(gateway: Gateway) -> Table:
    """What a gateway has learned."""
    table = _table(f"what {gateway.name}'s gateway has learned", "prefix", "via", "device",
                   "metric")
    for route in sorted(gateway.status()["routing"]["routes"], key=lambda r: r["prefix"]):
        table.add_row(route["prefix"], route["via"], route["device"], str(route["metric"]))
    return table


def hub_routes(hub: HubSite) -> Table:
    """What a hub's Babel daemon has learned and chosen."""
    daemon = hub.hub.routing
    table = _table(f"what the hub {hub.name} has learned ({daemon.version()})", "prefix", "via",
                   "device", "metric")
    for route in sorted(daemon.routes(), key=lambda r: r.prefix):
        if route.selected:
            table.add_row(route.prefix, route.via, route.device, str(route.metric))
    return table


def _rtt(ms: float | None) -> str:
    return "-" if ms is None else f"{ms:.1f} ms"  # BIRD 2.0 measures none


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(column, justify="right" if column in _RIGHT else "left", no_wrap=True)
    return table
