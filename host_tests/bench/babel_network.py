"""The Babel bench's network: one device under test and many stock neighbours that see only it."""

import dataclasses
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from host_tests.bench.babel_routes import RouteWatch
from host_tests.lab import Host, Lab, Process

_ROOT = Path(__file__).resolve().parents[2]
_MICROPYTHON = _ROOT / ".toolchain" / "bin" / "micropython"
_DEVICE = "lan"
_ADDRESS = "172.16.0.1"
# The same for all: Hellos each second, the whole table every four.
_HELLO_S, _UPDATE_S = 1, 4
_INTERFACE = (f"type wired split-horizon false hello-interval {_HELLO_S} "
              f"update-interval {_UPDATE_S}")
_HEAP = "8m"
_BIRD = """
router id {id};
protocol device {{ }}
protocol static prefixes {{ ipv4; {prefixes} }}
protocol static extra {{ disabled; ipv4; route {extra} blackhole; }}
protocol babel {{
  ipv4 {{ import none; export where source = RTS_STATIC; }};
  interface "{device}" {{ type wired; hello interval {hello} s; update interval {update} s; }};
}}
"""


class Neighbour:
    """A stock babeld that announces prefixes; only one that `learns` takes the others' routes,
    so that the machine is busy with the device under test."""

    def __init__(self, lab: Lab, number: int, prefixes: int, learns: bool = False):
        self.host = lab.host(f"n{number}")
        self._start = f"10.{64 + number // 256}.{number % 256}."
        self._prefixes = [f"{self._start}{item}/32" for item in range(prefixes)]
        self._address = f"172.16.{1 + number // 250}.{1 + number % 250}"
        self._learns = learns

    def start(self) -> None:
        """Give it an address and start its daemon."""
        self.host.ip("addr", "add", f"{self._address}/16", "dev", _DEVICE)
        self._run()

    def _run(self) -> None:
        self.host.ip(batch=[f"route add {prefix} dev {_DEVICE} proto static"
                            for prefix in self._prefixes])
        rules = ["redistribute proto 4 allow", "redistribute local deny", "redistribute deny"]
        _start_babeld(self.host, "babeld", rules if self._learns else [*rules, "in deny"])


class Flapper(Neighbour):
    """A stock BIRD, for neighbours that withdraw their prefixes: babeld 1.12 retracts ::/0
    instead of a redistributed prefix that has gone, and leaves that to expire."""

    def _run(self) -> None:
        config = self.host.directory / "bird.conf"
        config.write_text(_BIRD.format(
            id=self._address, device=_DEVICE, hello=_HELLO_S, update=_UPDATE_S,
            prefixes=" ".join(f"route {prefix} blackhole;" for prefix in self._prefixes),
            extra=f"{self._start}255/32",
        ))
        self.host.spawn("bird", "-f", "-c", str(config), "-s", str(self._control))

    @property
    def _control(self) -> Path:
        return self.host.directory / "bird.ctl"

    def change(self, verb: str, routes: str = "prefixes") -> None:
        """"enable" or "disable" its prefixes, or the one more of `extra`."""
        self.host.run("birdc", "-s", str(self._control), verb, routes)


@dataclasses.dataclass(frozen=True)
class Subject:
    """A Babel router to measure. modules: where our firmware lies, None for stock babeld."""

    name: str
    modules: Path | None = None

    def start(self, network: "Network", number: int) -> Process:
        """Start it as the device under test, for the `number`th time."""
        if self.modules is None:
            return _start_babeld(network.device, f"babeld-{number}",
                                 ["redistribute local deny", "redistribute deny"])
        script = _ROOT / "host_tests" / "bench" / "babel_device.py"
        return network.device.spawn(
            str(_MICROPYTHON), "-X", f"heapsize={_HEAP}", str(script), _DEVICE, _ADDRESS,
            str(_HELLO_S * 1000), str(network.limits[0]), str(network.limits[1]),
            name=f"gateway-{number}", env={"MICROPYPATH": f"{self.modules}:.frozen"},
        )


BABELD = Subject("babeld")
GATEWAY = Subject("gateway, compiled", _ROOT / "build" / "mpy")


class Network:
    """`count` neighbours of `prefixes` prefixes each, on isolated ports of one bridge; `flapping`
    of them can withdraw theirs.

    limits: prefixes and neighbours that the gateway is set up for.
    """

    def __init__(self, lab: Lab, count: int, prefixes: int, flapping: int,
                 limits: tuple[int, int] = (2048, 256)):
        self.limits = limits
        self._starts = 0
        self._switch = lab.host("switch")
        self._switch.ip(batch=["link add bridge type bridge mcast_snooping 0",
                               "link set bridge up"])
        self.device = lab.host("device")
        self._plug(lab, self.device, "device", isolated=False)
        self.flappers = [Flapper(lab, number, prefixes) for number in range(flapping)]
        self.observer = Neighbour(lab, count - 1, prefixes, learns=True)
        others = [Neighbour(lab, number, prefixes) for number in range(flapping, count - 1)]
        for number, neighbour in enumerate([*self.flappers, *others, self.observer]):
            self._plug(lab, neighbour.host, f"port{number}", isolated=True)
            neighbour.start()
        self.learned = RouteWatch(self.observer.host)
        self.total = count * prefixes

    def _plug(self, lab: Lab, host: Host, port: str, isolated: bool) -> None:
        lab.link(self._switch, host, devices=(port, _DEVICE))
        self._switch.ip(batch=[
            f"link set {port} master bridge",
            f"link set {port} type bridge_slave isolated {'on' if isolated else 'off'}",
        ])

    def fresh_device(self) -> None:
        """Make the device a stranger to the neighbours: a new address on its interface."""
        self._starts += 1
        self.device.ip(batch=[
            f"link set {_DEVICE} down",
            f"link set {_DEVICE} address 02:00:00:00:{self._starts >> 8:02x}:"
            f"{self._starts & 255:02x}",
            f"link set {_DEVICE} up",
            f"addr replace {_ADDRESS}/16 dev {_DEVICE}",
        ])

    def start(self, subject: Subject) -> Process:
        """Start a subject on the device."""
        return subject.start(self, self._starts)

    def flap(self, verb: str) -> None:
        """Have all flappers "enable" or "disable" their prefixes at once."""
        with ThreadPoolExecutor(len(self.flappers)) as pool:
            list(pool.map(lambda flapper: flapper.change(verb), self.flappers))


def _start_babeld(host: Host, name: str, rules: list[str]) -> Process:
    config = host.directory / f"{name}.conf"
    config.write_text("\n".join([f"interface {_DEVICE} {_INTERFACE}", *rules]) + "\n")
    return host.spawn("babeld", "-I", "", "-S", str(host.directory / f"{name}.state"),
                      "-c", str(config), name=name)


def cpu_seconds(process: Process) -> float:
    """What a process has used of the processors so far."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_kb(process: Process) -> int:
    """The most memory that a process has had at once."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise ProcessLookupError(process.name)


def stop(process: Process) -> None:
    """End a subject, which then takes its routes away."""
    process.signal(signal.SIGTERM)
    process.wait(20)
