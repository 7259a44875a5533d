"""`branchctl status`: what a gateway's API tells, as tables."""

import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Annotated

import typer
from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

DEFAULT_API = "http://127.0.0.1:8086"
_PATH = "/api/v1/status"
_TIMEOUT_S = 5
_PERIOD_S = 2
_MAX_ANSWER = 16 << 20
_JOURNAL = 10  # its latest entries
_GOOD, _DOUBTFUL, _BAD = "green", "yellow", "red"
_STYLES = {"up": _GOOD, "setup": _DOUBTFUL, "teardown": _DOUBTFUL, "degraded": _DOUBTFUL,
           "down": _BAD}
_UNKNOWN = "–"


class ApiError(Exception):
    """What is wrong, and what to do about it."""


def command(
    api: Annotated[str, typer.Option(
        "--api", metavar="URL", envvar="BRANCHCTL_API",
        help="The gateway's API: what api.listen says in its gateway.json.")] = DEFAULT_API,
    as_json: Annotated[bool, typer.Option("--json", help="Print the API's own answer.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Go on, every two seconds.")] = False,
) -> None:
    """Show a gateway's tunnels, routes, neighbours and latest decisions."""
    try:
        if watch and not as_json:
            _watch(api)
        elif watch:
            while True:
                print(json.dumps(fetch(api)), flush=True)
                time.sleep(_PERIOD_S)
        elif as_json:
            print(json.dumps(fetch(api), indent=2))
        else:
            Console().print(tables(fetch(api)))
    except ApiError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def _watch(api: str) -> None:
    """Shows the tables until it is interrupted; a gateway that is away may come back."""
    shown = tables(fetch(api))  # a mistake in the URL ends it
    with Live(shown, screen=True, auto_refresh=False) as live:
        while True:
            time.sleep(_PERIOD_S)
            try:
                shown = tables(fetch(api))
                live.update(shown, refresh=True)
            except ApiError as error:
                live.update(Group(Text(str(error), style=_BAD), shown), refresh=True)


def fetch(api: str) -> dict:
    """The status from the API at the URL `api`. Raises ApiError."""
    url = _url(api)
    # A proxy has no way to a gateway's loopback or tunnel address.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=_TIMEOUT_S) as answer:
            data = answer.read(_MAX_ANSWER)
    except urllib.error.HTTPError as error:
        raise ApiError(f"{url} answers {error.code}: {_reason(error)}") from None
    except urllib.error.URLError as error:
        raise ApiError(_unreachable(url, error.reason)) from None
    except OSError as error:
        raise ApiError(_unreachable(url, error)) from None
    except http.client.HTTPException:  # another service
        data = b""
    try:
        status = json.loads(data)
    except ValueError:
        status = None
    if not isinstance(status, dict) or not isinstance(status.get("tunnels"), list):
        raise ApiError(f"what answers at {url} is no Branchline gateway; compare the port with "
                       "api.listen in its gateway.json")
    return status


def _url(api: str) -> str:
    if "://" not in api:
        api = "http://" + api
    try:
        parts = urllib.parse.urlsplit(api)
        good = parts.scheme == "http" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or parts.path not in ("", "/"):
        raise ApiError(f"--api {api} is not the URL of an API; write it as in {DEFAULT_API}")
    return f"http://{parts.netloc}{_PATH}"


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read(4096))["error"])
    except (ValueError, KeyError, TypeError, OSError):
        return str(error.reason)


def _unreachable(url: str, reason) -> str:
    if isinstance(reason, ConnectionRefusedError):
        return (f"nothing listens at {url}; does the gateway run there, and is that its "
                "api.listen? On another host than the gateway, forward the port: "
                "ssh -L 8086:127.0.0.1:8086 GATEWAY")
    if isinstance(reason, TimeoutError):
        return f"{url} does not answer within {_TIMEOUT_S} s; is the address right, and the way?"
    return f"{url} cannot be reached: {reason}; is the address right?"


# ---- the tables ----


def tables(status: dict) -> Group:
    """Everything that is to be seen, for a rich Console."""
    status = _printable(status)
    parts = [_heading(status), _tunnels(status["tunnels"])]
    problems = [(tunnel["name"], tunnel["problem"])
                for tunnel in status["tunnels"] if tunnel.get("problem")]
    parts += [Text(f"{name}: {problem}", style=_BAD) for name, problem in problems]
    routing = status.get("routing")
    if routing:
        parts += [_routes(routing.get("routes") or []),
                  _neighbours(routing.get("neighbours") or [])]
    if status.get("journal"):
        parts.append(_journal(status["journal"][-_JOURNAL:]))
    return Group(*parts)


def _printable(value):
    """A JSON value without what drives a terminal: some texts come from servers."""
    if isinstance(value, dict):
        return {key: _printable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_printable(item) for item in value]
    if isinstance(value, str):
        return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in value)
    return value


def _heading(status: dict) -> Text:
    text = Text()
    text.append(str(status.get("name", "gateway")), style="bold")
    text.append(f"  branchline {status.get('version', '?')}")
    if status.get("uptime_s") is not None:
        text.append(f"  up for {duration(status['uptime_s'])}")
    if status.get("safe_mode"):
        text.append("  SAFE MODE", style="bold red")
    return text


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD,
                  pad_edge=False)
    for column in columns:
        right = column in ("RTT", "loss", "metric", "cost")
        table.add_column(column, justify="right" if right else "left", no_wrap=right)
    return table


def _row(table: Table, *cells) -> None:
    table.add_row(*(cell if isinstance(cell, Text) else escape(_text(cell)) for cell in cells))


def _text(value) -> str:
    return _UNKNOWN if value is None or value == "" else str(value)


def _tunnels(tunnels: list[dict]) -> Table:
    table = _table("Tunnels", "name", "state", "engine", "remote", "cipher", "RTT", "loss",
                   "health", "damping")
    for tunnel in tunnels:
        health = tunnel.get("health") or {}
        rtt = health.get("rtt_ms")
        loss = health.get("loss")
        _row(table, tunnel.get("name"), _state(tunnel.get("state")), tunnel.get("engine"),
             tunnel.get("remote"), tunnel.get("cipher"),
             milliseconds(tunnel.get("rtt_ms") if rtt is None else rtt),
             None if loss is None else f"{100 * loss:.0f} %",
             _health(health), _damping(tunnel.get("damping") or {}))
    return table


def _state(state) -> Text:
    return Text(_text(state), style=_STYLES.get(state, ""))


def _health(health: dict) -> Text:
    text = _state(health.get("state"))
    if health.get("state") in ("degraded", "down") and health.get("reason"):
        text.append(f": {health['reason']}")
    if health.get("for_s") is not None:
        text.append(f" ({duration(health['for_s'])})", style="dim")
    return text


def _damping(damping: dict) -> Text:
    if damping.get("suppressed"):
        left = damping.get("reuse_in_s")
        wait = "" if left is None else f", back in {duration(left)}"
        return Text(f"suppressed at {damping.get('penalty')}{wait}", style=_BAD)
    penalty = damping.get("penalty")
    return Text(_text(penalty), style=_DOUBTFUL if penalty else "")


def _routes(routes: list[dict]) -> Table:
    table = _table("Routes", "prefix", "via", "device", "metric")
    for route in routes:
        _row(table, route.get("prefix"), route.get("via"), route.get("device"),
             route.get("metric"))
    return table


def _neighbours(neighbours: list[dict]) -> Table:
    table = _table("Neighbours", "address", "device", "cost", "RTT")
    for neighbour in neighbours:
        cost = neighbour.get("cost")
        _row(table, neighbour.get("address"), neighbour.get("device"),
             "unreachable" if cost == 0xFFFF else cost, milliseconds(neighbour.get("rtt_ms")))
    return table


def _journal(entries: list[dict]) -> Table:
    table = _table("Journal", "time", "subject", "event", "reason")
    for entry in entries:
        count = entry.get("count") or 1
        event = _text(entry.get("event")) + (f" ×{count}" if count > 1 else "")
        _row(table, clock(entry.get("last")), entry.get("subject"), event, entry.get("reason"))
    return table


def milliseconds(value) -> str | None:
    """Such as "0.4 ms" or "38 ms"."""
    if value is None:
        return None
    return f"{value:.1f} ms" if value < 10 else f"{value:.0f} ms"


def duration(seconds) -> str:
    """The two largest units of a time, such as "3 h 12 min"."""
    seconds = int(seconds)
    for unit, size, smaller, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60),
                                      ("min", 60, "s", 1)):
        if seconds >= size:
            rest = seconds % size // part
            return f"{seconds // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{seconds} s"


def clock(unix_time) -> str | None:
    """A time in Unix seconds, in this host's time zone."""
    if unix_time is None:
        return None
    return time.strftime("%m-%d %H:%M:%S", time.localtime(unix_time))
