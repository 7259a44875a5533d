"""Stock babeld on a host of the lab, asked through its local configuration interface."""

import socket

from host_tests.lab.babel import INFINITY, Daemon, Neighbour, Route
from host_tests.lab.pki import Pki

_TIMEOUT = 5.0
_UPDATE_HELLOS = 4  # a full update with every fourth Hello, as is babeld's default


class Babeld(Daemon):
    """babeld announcing the host's routes of protocol `static` and the prefixes of `announce`.

        babeld = Babeld(hub, {"server": "tunnel", "dublin": "wired"}, number=1).start()
        babeld.routes()

    It uses at most one key.
    """

    program = "babeld"
    protocol = "babel"
    lines: tuple[str, ...] = ()  # further directives
    # Seconds. By babeld's default of 4, a route that was first heard before its link was usable
    # becomes the best only half a minute later.
    half_life = 1
    _lives = 0  # how often it has been reborn

    def start(self) -> "Babeld":
        """Start babeld with what the attributes say now; it remembers its seqno."""
        path = Pki(self._directory).write("babeld.conf", "\n".join(self._config()) + "\n")
        self._control.unlink(missing_ok=True)
        self.process = self.host.spawn(
            "babeld", "-c", str(path), "-I", "", "-S", str(self._directory / "state"),
            "-G", str(self._control), "-d", "1", name="babeld",
        )
        self.process.wait_for("My id")
        return self

    def reborn(self) -> "Babeld":
        """As Daemon.reborn, with another router-id: the seqno is lost, and under the old one it
        would not be believed for 3 minutes."""
        self._lives += 1
        return super().reborn()

    def neighbours(self) -> list[Neighbour]:
        """The neighbours it knows now, usable or not."""
        return [
            Neighbour(item["address"], item["if"], _cost(item),
                      float(item["rtt"]) if "rtt" in item else None)
            for item in self._dump("neighbour")
        ]

    def routes(self) -> list[Route]:
        """The routes it has learned; not its own announcements, nor what was retracted."""
        return [
            Route(item["prefix"], item["via"], item["if"], int(item["metric"]),
                  item["installed"] == "yes")
            for item in self._dump("route") if int(item["metric"]) < INFINITY
        ]

    def version(self) -> str:
        """Such as "babeld 1.12.1"."""
        return next(line.removeprefix("version ").replace("-", " ", 1)
                    for line in self._ask("dump") if line.startswith("version "))

    def _config(self) -> list[str]:
        key = f" key {self.keys[0].name}" if self.keys else ""
        hello = self.hello_ms / 1000
        own = ":".join(f"{octet:02x}" for octet in (
            2, 0, 0, 0, 0, 0, 1 + self._lives % 255, self.number))
        lines = [f"router-id {own}", f"smoothing-half-life {self.half_life}"]
        lines += [f"key id {k.name} type hmac-sha256 value {k.hex}" for k in self.keys]
        for device, kind in self.links.items():
            # All clients of a server are on its one device, and do not hear each other there.
            horizon = " split-horizon false" if kind == "tunnel" else ""
            lines.append(
                f"interface {device} type {kind}{horizon} hello-interval {hello:g} "
                f"update-interval {_UPDATE_HELLOS * hello:g}{key}"
            )
        for prefix in self.announce:
            lines.append(f"redistribute ip {prefix} eq {prefix.partition('/')[2]} allow")
        return lines + [*self.lines, "redistribute proto 4 allow", "redistribute local deny",
                        "redistribute deny"]

    def _dump(self, what: str) -> list[dict[str, str]]:
        items = []
        for line in self._ask("dump"):
            words = line.split()
            if words[:2] == ["add", what]:
                items.append(dict(zip(words[3::2], words[4::2])))
        return items

    def _ask(self, command: str) -> list[str]:
        """All lines up to the end of the answer, the greeting with the version first."""
        lines = []
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_TIMEOUT)
            connection.connect(str(self._control))
            stream = connection.makefile("rw")
            for request in (None, command):
                if request:
                    stream.write(request + "\n")
                    stream.flush()
                for line in stream:
                    line = line.strip()
                    if line in ("ok", "no", "bad"):
                        break
                    lines.append(line)
        return lines


def _cost(item: dict[str, str]) -> int:
    return int(item["cost"]) if item["rxcost"] != str(INFINITY) else INFINITY
