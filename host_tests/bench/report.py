"""The bench's results as tables."""

from rich import box
from rich.console import Console
from rich.table import Table

_THROUGHPUT = ("client", "", "Mbit/s", "ratio", "CPU µs/packet", "ratio", "resent")
_HEAP = ("tunnels", "least heap", "pointers")
_STARTS = ("client", "median ms", "ratio", "least", "most")


def show(console: Console, result: dict) -> None:
    """Print what has been measured."""
    for cipher, rows in result.get("throughput", {}).items():
        table = _table(f"TCP through the tunnel, {cipher}", _THROUGHPUT)
        for row in rows:
            table.add_row(
                row["subject"], row["direction"], f"{row['mbit_s']:.0f}", f"{row['ratio']:.2f}",
                f"{row['cpu_us_per_packet']:.2f}", f"{row['cpu_ratio']:.2f}",
                f"{row['retransmits']:.0f}",
            )
        console.print(table)
    for round_trip, rows in result.get("start", {}).items():
        table = _table(f"From the start of the process until the tunnel is up, round trip "
                       f"{round_trip} ms", _STARTS)
        for row in rows:
            table.add_row(
                row["subject"], f"{row['median_ms']:.0f}", f"{row['ratio']:.2f}",
                f"{row['least_ms']:.0f}", f"{row['most_ms']:.0f}",
            )
        console.print(table)
    if "heap" in result:
        table = _table("Least heap of the compiled gateway, connected and carrying pings", _HEAP)
        for row in result["heap"]:
            table.add_row(str(row["tunnels"]), f"{row['least_kb']} KB",
                          f"{row['bits']} bits")
        console.print(table)
    environment = result["environment"]
    before, after = environment["load_average_before"][0], environment["load_average_after"][0]
    console.print(
        f"{environment['cores']} cores, {environment['processor']}; Linux "
        f"{environment['kernel']}; load average {before:.2f} before, {after:.2f} after",
        highlight=False, soft_wrap=True,
    )


def _table(title: str, columns: tuple[str, ...]) -> Table:
    table = Table(title=title, title_justify="left", pad_edge=False, box=box.SIMPLE_HEAD)
    for column in columns:
        left = column in ("client", "")
        table.add_column(column, justify="left" if left else "right", no_wrap=left)
    return table
