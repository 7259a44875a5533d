"""Whether the hubs' names resolve and their ports answer."""

import contextlib
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from branchctl.model import Endpoint, Fleet
from branchctl.problems import Problem
from branchctl.reader import Report

_TIMEOUT = 5.0
_REFUSAL_TIME = 1.0  # within which a host says that nobody listens at a UDP port
_THREADS = 16


def look(fleet: Fleet, report: Report, tell: Callable[[str], None]) -> list[Problem]:
    """What does not answer. A UDP server says nothing to strangers: it counts as there unless
    its host refuses."""
    todo = [(endpoint, (*hub.key, "endpoints", number)) for hub in fleet.hubs.values()
            for number, endpoint in enumerate(hub.endpoints)]
    found = []
    with ThreadPoolExecutor(_THREADS) as pool:
        for (endpoint, key), answer in zip(todo, pool.map(_knock, [each[0] for each in todo])):
            tell(str(endpoint))
            if answer:
                found.append(report.problem(key, f"{endpoint} {answer[0]}", answer[1]))
    return sorted(found)


def _knock(endpoint: Endpoint) -> tuple[str, str] | None:
    kind = socket.SOCK_DGRAM if endpoint.proto == "udp" else socket.SOCK_STREAM
    try:
        found = socket.getaddrinfo(endpoint.host, endpoint.port, type=kind)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return f"does not resolve: {reason}", "correct the name, or add it to the DNS"
    reason = ""
    for family, kind, proto, _, address in found:
        try:
            with socket.socket(family, kind, proto) as link:
                link.settimeout(_TIMEOUT)
                link.connect(address)
                if endpoint.proto == "udp":
                    _wait_for_refusal(link)
                return None
        except OSError as error:
            reason = error.strerror or str(error) or "time is up"
    return f"does not answer: {reason}", "is the hub installed, and its port open?"


def _wait_for_refusal(link: socket.socket) -> None:
    """Raises ConnectionRefusedError if the host says that nobody listens."""
    link.settimeout(_REFUSAL_TIME)
    link.send(b"\0")
    with contextlib.suppress(TimeoutError):
        link.recv(1)
