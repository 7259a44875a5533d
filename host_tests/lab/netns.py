"""Hosts as network namespaces, links between them, and the lab that owns and removes it all.

The machine's own interfaces, routes and settings are never touched: veth pairs are made
directly between two namespaces, and forwarding is switched on inside them only.
"""

import atexit
import contextlib
import ipaddress
import itertools
import os
import signal
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

from host_tests.lab import drops, namespaces, privileges
from host_tests.lab.errors import LabError
from host_tests.lab.ping import Pinger, PingResult
from host_tests.lab.process import Process
from host_tests.lab.run_directory import PREFIX, RunDirectory, remove_run

_MAX_DEVICE_NAME = 15  # IFNAMSIZ less the final zero
_PATIENCE = 3.0  # seconds that processes have to end by themselves
_SETTINGS = {
    "net/ipv4/ip_forward": "1",
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
    "net/ipv4/conf/all/promote_secondaries": "1",  # an interface's second address can stay alone
    "net/ipv6/conf/all/disable_ipv6": "0",
    "net/ipv6/conf/default/disable_ipv6": "0",
    "net/ipv6/conf/all/forwarding": "1",
    "net/ipv6/conf/default/accept_dad": "0",  # addresses are usable at once
}
# The path of the hosts file and the command follow.
WITH_HOSTS_FILE = [
    "unshare", "--mount", "--propagation", "private",
    "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"',
]


class Host:
    """One machine of the lab. Made by Lab.host()."""

    def __init__(self, lab: "Lab", name: str):
        self.lab = lab
        self.name = name
        self.namespace = f"{PREFIX}{lab.tag}-{name}"
        self.directory = lab.directory / name
        self.directory.mkdir(mode=0o700)
        self._names: dict[str, str] = {}
        namespaces.ip("netns", "add", self.namespace)
        self.call(_apply_settings)
        self.ip("link", "set", "dev", "lo", "up")

    def __repr__(self) -> str:
        return f"Host({self.name})"

    def ip(self, *args: str, batch: list[str] | None = None) -> str:
        """Run `ip` on this host's interfaces and routes; return its output."""
        return namespaces.ip("-n", self.namespace, *args, batch=batch)

    def call(self, function, *args, **kwargs):
        """Run a Python function inside: sockets and processes it makes belong to this host."""
        return namespaces.call_in(self.namespace, function, *args, **kwargs)

    def spawn(self, *argv: str, name: str | None = None, env: dict | None = None) -> Process:
        """Start a program here; it is stopped, at the latest, with the lab.

        `env` is added to the environment. The log is `directory`/`name`.log.
        """
        name = name or Path(argv[0]).name
        log_path = self._fresh_path(name, ".log")
        with open(log_path, "wb") as log:
            popen = self._execute(
                subprocess.Popen, argv, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, env={**os.environ, **(env or {})},
                start_new_session=True,  # Ctrl-C is for the lab, which then stops its processes
            )
        process = Process(f"{name} on {self.name}", popen, log_path)
        self.lab.processes.append(process)
        return process

    def run(self, *argv: str, timeout: float = 30.0, check: bool = True):
        """Run a program to its end; return the CompletedProcess, its output as text."""
        done = self._execute(
            subprocess.run, argv, stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout,
        )
        if check and done.returncode:
            raise LabError(
                f"`{' '.join(argv)}` on {self.name} ended with {done.returncode}: {done.stdout}"
            )
        return done

    def name_address(self, name: str, address: str) -> None:
        """Let `name` resolve to `address` here; it can change while programs run.

        The first name must be given before the programs that are to see it start.
        """
        self.name_addresses({name: address})

    def name_addresses(self, names: dict[str, str]) -> None:
        """The same for several names."""
        self._names.update(names)
        lines = ["127.0.0.1 localhost", *(f"{a} {n}" for n, a in self._names.items())]
        self._hosts_file.write_text("\n".join(lines) + "\n")

    def route(self, prefix: str, via: str) -> None:
        """Add a route to `prefix` (or "default", as the address family of `via` says)."""
        family = "-6" if ":" in via else "-4"
        self.ip(family, "route", "replace", prefix, "via", via)

    def ping(self, address: str, count: int = 1, timeout: float = 2.0, **options) -> PingResult:
        """Send `count` echo requests; see lab.ping.Pinger for the options."""
        return Pinger(self, address, timeout=timeout, **options).run(count)

    def pinger(self, address: str, **options) -> Pinger:
        """Pings in the background: `with host.pinger(address) as p: ...`, then `p.result`."""
        return Pinger(self, address, **options)

    def fetch(self, url: str, timeout: float = 5.0) -> bytes:
        """Get a page over HTTP from here."""
        def get() -> bytes:
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(url, timeout=timeout) as answer:
                return answer.read()

        try:
            return self.call(get)
        except OSError as error:
            raise LabError(f"{self.name} cannot fetch {url}: {error}") from None

    def devices(self) -> set[str]:
        """Names of the interfaces."""
        return {line.split(":")[1].strip().split("@")[0]
                for line in self.ip("-o", "link", "show").splitlines()}

    def has_address(self, address: str) -> bool:
        """Whether one of the interfaces has the address."""
        return f" {address}/" in self.ip("-o", "address", "show")

    def device_to(self, address: str) -> str:
        """The interface by which an address is reached; "" where there is no route."""
        done = self.run("ip", "route", "get", address, check=False)
        return done.stdout.partition(" dev ")[2].partition(" ")[0]

    def routes(self) -> set[str]:
        """The main routing tables, both families, one route a line."""
        text = self.ip("-4", "route", "show") + self.ip("-6", "route", "show")
        return {line.strip() for line in text.splitlines()}

    @property
    def _hosts_file(self) -> Path:
        return self.directory / "hosts"

    def _execute(self, function, argv: tuple[str, ...], **options):
        wrapper = [*WITH_HOSTS_FILE, str(self._hosts_file)] if self._names else []
        try:
            return self.call(function, [*wrapper, *map(str, argv)], **options)
        except FileNotFoundError:
            raise LabError(f"the program {argv[0]} is missing: install it") from None

    def _fresh_path(self, stem: str, suffix: str) -> Path:
        path, number = self.directory / (stem + suffix), 1
        while path.exists():
            number += 1
            path = self.directory / f"{stem}-{number}{suffix}"
        return path


class Link:
    """A cable between two hosts. Made by Lab.link()."""

    def __init__(self, ends: dict[Host, str], prefix: str | None, prefix6: str | None):
        self._devices = ends
        self._addresses: dict[Host, list[str]] = {host: [] for host in ends}
        for network in map(ipaddress.ip_network, filter(None, (prefix, prefix6))):
            for number, host in enumerate(ends, start=1):
                self._addresses[host].append(f"{network[number]}/{network.prefixlen}")
        (a, a_device), (b, b_device) = ends.items()
        a.ip(batch=[
            f"link add name {a_device} type veth peer name {b_device} netns {b.namespace}",
            *self._configure(a),
        ])
        b.ip(batch=self._configure(b))
        self._filtered: set[Host] = set()

    def device(self, host: Host) -> str:
        """Name of the interface at `host`'s end."""
        return self._devices[host]

    def address(self, host: Host, version: int = 4) -> str:
        """The IPv4 (or IPv6) address at `host`'s end."""
        return str(self.interface(host, version).ip)

    def interface(self, host: Host, version: int = 4):
        """The same with its network, as an ipaddress.IPv4Interface or IPv6Interface."""
        for text in self._addresses[host]:
            interface = ipaddress.ip_interface(text)
            if interface.version == version:
                return interface
        raise LabError(f"{host.name} has no IPv{version} address on {self.device(host)}")

    def cut(self) -> None:
        """Lose every packet both ways; interfaces, addresses and routes stay."""
        self.loss(100)

    def restore(self) -> None:
        """Undo cut() and loss()."""
        self.loss(0)

    def loss(self, percent: float, toward: Host | None = None, *, peer: str | None = None,
             udp: bool = False) -> None:
        """Lose that share of the packets at random, both ways or only those toward one host.

        peer: only IPv4 packets from or to that address or prefix; udp: only UDP of those. The
        next call takes the place of the one before.
        """
        for host in self._devices if toward is None else [toward]:
            self._filter(host, percent, peer, udp)

    def _filter(self, host: Host, percent: float, peer: str | None, udp: bool) -> None:
        place = f"dev {self.device(host)}"
        lines = []
        if host not in self._filtered:
            lines.append(f"qdisc add {place} clsact")
            self._filtered.add(host)
        rule = f"{place} ingress prio 1 handle 1 bpf"
        if percent == 0:
            lines.append(f"filter del {place} ingress")
        else:
            code = drops.bytecode(percent, peer, udp)
            lines.append(f"filter replace {rule} bytecode '{code}' direct-action")
        namespaces.ip("-n", host.namespace, batch=lines, tool="tc")

    def _configure(self, host: Host) -> list[str]:
        device = self._devices[host]
        return [
            *(f"addr add {address} dev {device}" for address in self._addresses[host]),
            f"link set dev {device} up",
        ]


class Internet:
    """A router that hosts are attached to, each by a link of its own."""

    def __init__(self, lab: "Lab", prefix: str = "203.0.113.0/24", name: str = "internet"):
        """prefix: what public IPv4 addresses are taken from, eight for each host."""
        self.router = lab.host(name)
        self._lab = lab
        self._network = ipaddress.ip_network(prefix)
        self._numbers = itertools.count()

    def attach(self, host: Host) -> Link:
        """Give `host` a public address of both families and its default routes."""
        number = next(self._numbers)
        try:
            prefix = f"{self._network[8 * number]}/29"
        except IndexError:
            raise LabError(f"the internet {self._network} has room for {number} hosts") from None
        own = host.name if len(host.name) <= _MAX_DEVICE_NAME else f"host{number}"
        link = self._lab.link(self.router, host, prefix, f"2001:db8:{number:x}::/64",
                              (own, self.router.name))
        host.ip(batch=[f"route replace default via {link.address(self.router, version)}"
                       for version in (4, 6)])
        return link


class Lab:
    """Owns hosts, processes and files; everything is removed on exit, whatever the reason.

        with Lab() as lab:
            a, b = lab.host("a"), lab.host("b")
            link = lab.link(a, b, "192.0.2.0/24")
            assert a.ping(link.address(b)).received == 1
    """

    def __init__(self):
        privileges.ensure()
        run = RunDirectory()
        self.tag, self.directory = run.tag, run.path
        self.hosts: dict[str, Host] = {}
        self.processes: list[Process] = []
        self._cleanup = contextlib.ExitStack()  # runs from the last to the first
        self._cleanup.callback(run.remove)
        self._cleanup.callback(remove_run, run.tag)
        self._cleanup.callback(self._stop_processes)
        atexit.register(self.close)

    def __enter__(self) -> "Lab":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGHUP):
                previous = signal.signal(number, _exit_on_signal)
                self._cleanup.callback(signal.signal, number, previous)
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def host(self, name: str) -> Host:
        """A new host."""
        host = self.hosts[name] = Host(self, name)
        return host

    def link(self, a: Host, b: Host, prefix: str | None = None, prefix6: str | None = None,
             devices: tuple[str, str] | None = None) -> Link:
        """Join two hosts: `a` gets the first address of each prefix, `b` the second.

        Each interface bears the name of the host at the other end unless `devices` names both.
        """
        devices = devices or (b.name[:_MAX_DEVICE_NAME], a.name[:_MAX_DEVICE_NAME])
        return Link(dict(zip((a, b), devices, strict=True)), prefix, prefix6)

    def internet(self) -> Internet:
        """A router between sites; attach hosts to it."""
        return Internet(self)

    def owner(self, address: str) -> str:
        """The name of the host that has an address, or the address."""
        return next((host.name for host in self.hosts.values() if host.has_address(address)),
                    address)

    def on_close(self, function, *args) -> None:
        """Have a function called before the processes are stopped."""
        self._cleanup.callback(function, *args)

    def close(self) -> None:
        """Stop the processes, then remove namespaces and files. A second call does nothing."""
        atexit.unregister(self.close)
        with _signals_held():
            self._cleanup.close()

    def _stop_processes(self) -> None:
        running = [process for process in self.processes if process.running]
        for process in running:
            process.popen.terminate()
        deadline = time.monotonic() + _PATIENCE
        for process in running:
            try:
                process.popen.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()


def _apply_settings() -> None:
    for name, value in _SETTINGS.items():
        Path("/proc/sys", name).write_text(value)


def _exit_on_signal(number, _frame):
    raise SystemExit(128 + number)


@contextlib.contextmanager
def _signals_held():
    """An impatient second Ctrl-C must not leave half of the lab behind."""
    held = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, held)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
