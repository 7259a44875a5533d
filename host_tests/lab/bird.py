"""Stock BIRD on a host of the lab, as a Babel daemon, asked through its client `birdc`."""

from host_tests.lab.babel import INFINITY, Daemon, Neighbour, Route
from host_tests.lab.errors import LabError
from host_tests.lab.pki import Pki

_UPDATE_HELLOS = 4
# 4 is the kernel's number of protocol `static`. What is announced goes before what is learned.
_CONFIG = """
log stderr all;
router id 10.255.0.{number};
protocol device {{ scan time 1; }}
protocol direct {{ ipv4; ipv6; }}
protocol kernel {{
  learn; scan time 1;
  ipv4 {{
    preference 200; import where krt_source = 4; export where source = RTS_BABEL;
  }};
}}
protocol kernel {{
  learn; scan time 1;
  ipv6 {{
    preference 200; import where krt_source = 4; export where source = RTS_BABEL;
  }};
}}
function announced() {{
  if source ~ [RTS_BABEL, RTS_INHERIT] then return true;
  return {announced};
}}
protocol babel babel1 {{
  ipv4 {{ import all; export where announced(); }};
  ipv6 {{ import all; export where announced(); }};
{interfaces}}}
"""


class Bird(Daemon):
    """BIRD announcing the host's routes of protocol `static` and the prefixes of `announce`.

    Made and used as lab.babeld.Babeld is. BIRD 2.0 has no delay-based metric, tunnels are to it
    as any wired link, and all keys sign.
    """

    program = "bird"
    protocol = "bird"

    def start(self) -> "Bird":
        """Start BIRD with what the attributes say now."""
        path = Pki(self._directory).write("bird.conf", self._config())
        self.process = self.host.spawn(
            "bird", "-f", "-c", str(path), "-s", str(self._control),
            "-P", str(self._directory / "pid"), name="bird",
        )
        self.process.wait_for("Started")
        return self

    def neighbours(self) -> list[Neighbour]:
        """The neighbours it knows now, usable or not."""
        return [Neighbour(row[0], row[1], int(row[2])) for row in self._table("neighbors")]

    def routes(self) -> list[Route]:
        """The routes it has learned; not its own announcements, nor what was retracted."""
        routes = []
        for row in self._table("routes"):
            if int(row[3]) < INFINITY:
                routes.append(Route(row[0], row[1], row[2], int(row[3]), "*" in row[4:5]))
        return routes

    def version(self) -> str:
        """Such as "BIRD 2.0.12"."""
        return self._ask("show status").splitlines()[0].removesuffix(" ready.")

    def _config(self) -> str:
        hello = self.hello_ms
        authentication = ""
        if self.keys:
            passwords = "".join(
                f'password "{key.secret}" {{ id {number}; algorithm hmac sha256; }}; '
                for number, key in enumerate(self.keys, start=1)
            )
            authentication = f" authentication mac; {passwords}"
        interfaces = "".join(
            f'  interface "{device}" {{ type wired; hello interval {hello} ms; '
            f"update interval {_UPDATE_HELLOS * hello} ms;{authentication} }};\n"
            for device in self.links
        )
        announced = " || ".join(f"net = {prefix}" for prefix in self.announce) or "false"
        return _CONFIG.format(number=self.number, interfaces=interfaces, announced=announced)

    def _table(self, what: str) -> list[list[str]]:
        """The rows of a table of `show babel`, without its headings."""
        rows = [line.split() for line in self._ask(f"show babel {what}").splitlines()]
        return [row for row in rows if row and (":" in row[0] or "/" in row[0])
                and len(row) > 2]

    def _ask(self, command: str) -> str:
        done = self.host.run("birdc", "-s", str(self._control), *command.split(), check=False)
        if done.returncode:
            raise LabError(f"bird on {self.host.name} does not answer: {done.stdout}")
        return done.stdout
