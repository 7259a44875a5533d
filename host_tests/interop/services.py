"""What members of a fleet open towards each other, tried out: all pairs and services at once."""

import concurrent.futures
import contextlib
import errno
import selectors
import socket
import threading
import time

from host_tests.lab import Host
from host_tests.lab.fleet_lab import FleetLab
from host_tests.lab.reach import answering

_TCP, _UDP = (22, 80, 443, 5900), (5000, 5011)
EVERY = frozenset({"icmp", *(f"tcp/{port}" for port in _TCP), *(f"udp/{port}" for port in _UDP)})
_ROUND = 1.3  # seconds: a SYN that was lost is sent again after one
_AGAIN = 0.4  # seconds until a datagram is

Reached = dict[str, dict[str, set[str]]]  # from -> to -> services


class Services:
    """Every member offers every service, at the host that its `outlook` is.

        with Services(fleet) as services:
            assert services.reached(expected) == expected
    """

    def __init__(self, fleet: FleetLab, absent: tuple[str, ...] = ()):
        self._sites = {name: site for name, site in fleet.sites.items() if name not in absent}
        self._offers: list[_Offer] = []

    def __enter__(self) -> "Services":
        self._offers = [_Offer(site.outlook) for site in self._sites.values()]
        return self

    def __exit__(self, *_) -> None:
        for offer in self._offers:
            offer.close()

    def reached(self, expected: Reached, absent: tuple[str, ...] = (),
                timeout: float = 40.0) -> Reached:
        """Who reaches what, of all who are not absent: tried again and again until all that is
        expected was reached at once, and told with whatever else was."""
        sites = {name: site for name, site in self._sites.items() if name not in absent}
        more: Reached = {}
        deadline = time.monotonic() + timeout
        while True:
            with concurrent.futures.ThreadPoolExecutor(len(sites)) as pool:
                jobs = {source: pool.submit(_try, site.outlook, {
                    target: other.address for target, other in sites.items() if target != source})
                    for source, site in sites.items()}
                seen = {source: job.result() for source, job in jobs.items()}
            _merge(more, seen, expected)
            found = {source: {target: services | more.get(source, {}).get(target, set())
                              for target, services in others.items()}
                     for source, others in seen.items()}
            if _compact(found) == _compact(expected) or time.monotonic() > deadline:
                return _compact(found)


def _merge(more: Reached, seen: Reached, expected: Reached) -> None:
    """Remember what was seen and not expected: once is once too often."""
    for source, others in seen.items():
        for target, services in others.items():
            wrong = services - expected.get(source, {}).get(target, set())
            more.setdefault(source, {}).setdefault(target, set()).update(wrong)


def _compact(reached: Reached) -> Reached:
    """Without those who reach nothing."""
    pairs = {source: {target: set(services) for target, services in others.items() if services}
             for source, others in reached.items()}
    return {source: others for source, others in pairs.items() if others}


def _try(host: Host, targets: dict[str, str]) -> dict[str, set[str]]:
    """The services of each target that answer."""
    found: dict[str, set[str]] = {target: set() for target in targets}
    with contextlib.ExitStack() as stack:
        waiting = selectors.DefaultSelector()
        datagrams = []
        for target, address in targets.items():
            for proto, kind, ports in (("tcp", socket.SOCK_STREAM, _TCP),
                                       ("udp", socket.SOCK_DGRAM, _UDP)):
                for port in ports:
                    link = stack.enter_context(host.call(socket.socket, socket.AF_INET, kind))
                    link.setblocking(False)
                    if link.connect_ex((address, port)) not in (0, errno.EINPROGRESS):
                        continue  # there is no route
                    way = selectors.EVENT_WRITE if proto == "tcp" else selectors.EVENT_READ
                    waiting.register(link, way, (target, f"{proto}/{port}"))
                    if proto == "udp":
                        datagrams.append(link)
        deadline = time.monotonic() + _ROUND
        while (left := deadline - time.monotonic()) > 0:
            for link in datagrams:
                with contextlib.suppress(OSError):
                    link.send(b"?")
            _collect(waiting, found, min(_AGAIN, left))
    answers = answering(host, list(targets.values()), _ROUND)
    for target, address in targets.items():
        if address in answers:
            found[target].add("icmp")
    return found


def _collect(waiting: selectors.BaseSelector, found: dict[str, set[str]], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while waiting.get_map() and (left := deadline - time.monotonic()) > 0:
        for key, _ in waiting.select(left):
            link, (target, service) = key.fileobj, key.data
            try:
                good = link.type != socket.SOCK_STREAM or not link.getsockopt(
                    socket.SOL_SOCKET, socket.SO_ERROR)
                if link.type == socket.SOCK_DGRAM:
                    link.recv(16)
            except OSError:
                good = False
            waiting.unregister(link)
            if good:
                found[target].add(service)


class _Offer:
    """All services on a host: connections are accepted and closed, datagrams come back."""

    def __init__(self, host: Host):
        self._selector = selectors.DefaultSelector()
        self._over, wake = socket.socketpair()
        self._selector.register(wake, selectors.EVENT_READ)
        for port in _TCP:
            with contextlib.suppress(OSError):  # a page is served there already
                listener = host.call(socket.create_server, ("", port), backlog=64)
                self._selector.register(listener, selectors.EVENT_READ)
        for port in _UDP:
            service = host.call(socket.socket, socket.AF_INET, socket.SOCK_DGRAM)
            service.bind(("", port))
            self._selector.register(service, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._over.close()
        self._thread.join()

    def _serve(self) -> None:
        sockets = [key.fileobj for key in self._selector.get_map().values()]
        while True:
            for key, _ in self._selector.select():
                link = key.fileobj
                if link.family == socket.AF_UNIX:  # it is over
                    for each in sockets:
                        each.close()
                    return
                with contextlib.suppress(OSError):
                    if link.type == socket.SOCK_STREAM:
                        link.accept()[0].close()
                    else:
                        data, peer = link.recvfrom(16)
                        link.sendto(data, peer)
