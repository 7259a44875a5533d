"""What `branchctl lab status` shows."""

from collections.abc import Iterator

from rich import box
from rich.table import Table
from rich.text import Text

_MATRIX = 12  # members at most, for a table of all pairs
_SHOWN = 20  # differences
_GOOD, _BAD, _DIM = "green", "red", "dim"


def status(answer: dict) -> Iterator[Table | Text]:
    """Everything that is to be seen."""
    yield _hubs(answer["hubs"])
    if answer["branches"]:
        yield _branches(answer["branches"])
    if answer["clients"]:
        yield _clients(answer["clients"])
    reaching = {each["from"] for each in answer["reach"]}
    names = [each["name"] for kind in ("hubs", "branches", "clients") for each in answer[kind]
             if each["name"] in reaching]
    if len(names) <= _MATRIX:
        yield _matrix(names, answer["reach"])
    for pair in answer["cuts"]:
        yield Text(f"cut: {' - '.join(pair)}", style=_BAD)
    for each in answer["missing"]:
        yield Text(f"not up: {each}", style=_BAD)
    yield from _differences(answer["reach"])


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD,
                  pad_edge=False)
    for column in columns:
        table.add_column(column)
    return table


def _hubs(hubs: list[dict]) -> Table:
    table = _table("Hubs", "name", "public", "address", "behind it", "runs")
    for hub in hubs:
        dead = [name for name, runs in hub["processes"].items() if not runs]
        table.add_row(hub["name"], hub["public"], hub["address"], _behind(hub),
                      Text("not: " + ", ".join(dead), style=_BAD) if dead
                      else Text("all", style=_GOOD))
    return table


def _branches(branches: list[dict]) -> Table:
    table = _table("Branches", "name", "public", "address", "behind it", "tunnels")
    for branch in branches:
        tunnels = Text()
        for tunnel in branch["tunnels"]:
            rtt = f" {tunnel['rtt_ms']:.1f} ms" if tunnel.get("rtt_ms") is not None else ""
            tunnels.append(("" if not tunnels else ", ") + f"{tunnel['name']} ")
            tunnels.append(f"{tunnel['state']}{rtt}",
                           style=_GOOD if tunnel["state"] == "up" else _BAD)
        kind = "" if branch["kind"] == "gateway" else f" ({branch['kind']})"
        table.add_row(branch["name"] + kind, branch["public"], branch["address"],
                      _behind(branch), tunnels or Text("none", style=_BAD))
    return table


def _clients(clients: list[dict]) -> Table:
    table = _table("Clients", "name", "public", "address", "at hub")
    for client in clients:
        hub = Text(client["hub"], style=_GOOD) if client["hub"] else Text("none", style=_BAD)
        table.add_row(client["name"], client["public"], client["address"], hub)
    return table


def _behind(member: dict) -> str:
    return ", ".join(f"{name} {address}" for name, address in member["behind"].items())


def _matrix(names: list[str], reach: list[dict]) -> Table:
    """Who reaches whom, and the next member on the way."""
    table = _table("Who reaches whom by ping, and the next one on the way", "from", *names)
    cells = {(each["from"], each["to"]): _cell(each) for each in reach}
    for source in names:
        table.add_row(source, *(cells.get((source, target), Text("")) for target in names))
    return table


def _cell(each: dict) -> Text:
    if each["answers"] and each["allowed"]:
        way = f" {each['way']}" if each["way"] and each["way"] != each["to"] else ""
        return Text(f"✓{way}", style=_GOOD)
    if each["answers"]:
        return Text("! not allowed", style=_BAD)
    return Text("✗", style=_BAD) if each["allowed"] else Text("–", style=_DIM)


def _differences(reach: list[dict]) -> Iterator[Text]:
    """Where it is not as the policy says."""
    wrong = [each for each in reach if each["answers"] != each["allowed"]]
    for each in wrong[:_SHOWN]:
        what = "answers, though no rule allows it" if each["answers"] else "does not answer"
        yield Text(f"{each['from']} -> {each['to']} ({each['address']}): {what}", style=_BAD)
    if len(wrong) > _SHOWN:
        yield Text(f"and {len(wrong) - _SHOWN} more, which --json tells", style=_BAD)
    if not wrong:
        allowed = sum(each["allowed"] for each in reach)
        yield Text(f"Of {len(reach)} pairs, {allowed} may ping each other and do; the others "
                   "cannot, as the policy says (✓ reached, – denied).", style=_DIM)
