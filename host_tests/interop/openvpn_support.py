"""What the tests of the OpenVPN client share: connecting, traffic, and what was negotiated."""

import contextlib
import random
import socket
import threading
import time

from host_tests.lab import Gateway, Host, LabError, Server

TUNNEL = "paris"
_ECHO_PORT = 7
_BURST = 8  # datagrams under way at once
_TIMEOUT = 5.0


def gateway(pair, profile: str, **options) -> Gateway:
    """A started gateway on the branch with one tunnel, TUNNEL; it need not be up yet."""
    return Gateway(pair.branch, {TUNNEL: profile}, **options).start()


def connect(pair, server: Server, *lines: str, **options) -> Gateway:
    """A gateway whose tunnel to the server is up; `lines` are added to the profile."""
    started = gateway(pair, pair.profile(server, lines=lines), **options)
    started.wait_up()
    return started


def client_address(server: Server, column: str = "Virtual Address") -> str:
    """The address inside the tunnel that the server has given its only client."""
    return eventually(lambda: server.clients()[0][column], "the server has a client's address")


def assert_carries(pair, server: Server, count: int = 3) -> None:
    """Pings go both ways and none is lost."""
    assert pair.branch.ping(server.address, count).lost == 0
    assert pair.hub.ping(client_address(server), count).lost == 0


def eventually(probe, what: str, timeout: float = 20.0):
    """What `probe` answers, once that is true; LabError if it never is."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        with contextlib.suppress(LookupError):
            if answer := probe():
                return answer
        time.sleep(0.02)
    raise LabError(f"not within {timeout:g} s: {what}")


@contextlib.contextmanager
def echo_service(host: Host, address: str):
    """A UDP service on a host that sends every datagram back."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    service = host.call(socket.socket, family, socket.SOCK_DGRAM)
    service.bind((address, _ECHO_PORT))

    def serve() -> None:
        while True:
            data, peer = service.recvfrom(65535)
            if data == b"end" and peer[0] == address:
                return
            service.sendto(data, peer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        with host.call(socket.socket, family, socket.SOCK_DGRAM) as ender:
            ender.sendto(b"end", (address, _ECHO_PORT))
        thread.join(_TIMEOUT)
        service.close()


def echoed(host: Host, address: str, sizes) -> list[int]:
    """Sends a datagram of each size to the echo service; the sizes that came back unchanged."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    source, sizes, good = random.Random(1), list(sizes), []
    with host.call(socket.socket, family, socket.SOCK_DGRAM) as client:
        client.settimeout(_TIMEOUT)
        client.connect((address, _ECHO_PORT))
        for start in range(0, len(sizes), _BURST):
            waiting = {size: source.randbytes(size) for size in sizes[start:start + _BURST]}
            for data in waiting.values():
                client.send(data)
            try:
                while waiting:
                    data = client.recv(65535)
                    if waiting.pop(len(data), None) == data:
                        good.append(len(data))
            except TimeoutError:
                continue
    return sorted(good)


def assert_echoes(pair, server: Server, sizes=range(1, 1473)) -> None:
    """Datagrams of all sizes, up to a full packet, cross the tunnel and come back unchanged."""
    with echo_service(pair.hub, server.address):
        assert echoed(pair.branch, server.address, sizes) == list(sizes)


def negotiated(server: Server) -> dict[str, str]:
    """What the server says it has agreed on with the latest client."""
    tls = server.wait_for(
        r"Control Channel: (TLSv1\.\d), cipher \S+ (\S+), peer certificate: "
        r"(\d+) bits ([^,]+),")
    data = server.wait_for(r"Data Channel: cipher '([^']+)'(?:, auth '([^']+)')?")
    return {"tls": tls[1], "suite": tls[2], "key": f"{tls[3]} bits {tls[4]}",
            "cipher": data[1], "auth": data[2]}
