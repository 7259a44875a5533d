"""The API of a real gateway on MicroPython: programs, a browser, branchctl, hostile clients."""

import contextlib
import json
import re
import socket
import sys
import threading
import time
import urllib.error
import urllib.request

import pytest

from host_tests.interop.babel_support import make_network, start, wait_routes
from host_tests.interop.openvpn_support import TUNNEL, connect, eventually, gateway
from host_tests.lab import Gateway

_PORT = 8086
_URL = f"http://127.0.0.1:{_PORT}"
_STATUS = f"{_URL}/api/v1/status"
_JSON = {"Content-Type": "application/json"}


def _request(host, url: str, method: str = "GET", headers=None) -> tuple[int, str]:
    """(status code, body) of a request from a host."""
    def ask() -> tuple[int, str]:
        request = urllib.request.Request(url, method=method, headers=headers or {})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    return host.call(ask)


def _status(host) -> dict:
    code, body = _request(host, _STATUS)
    assert code == 200, body
    return json.loads(body)


def _restart(host, name: str) -> tuple[int, dict]:
    code, body = _request(host, f"{_URL}/api/v1/tunnels/{name}/restart", "POST", _JSON)
    return code, json.loads(body)


def _branchctl(host, *arguments: str):
    return host.run(sys.executable, "-m", "branchctl", "status", *arguments, check=False)


def test_the_status_and_a_restart(pair):
    server = pair.server()
    running = connect(pair, server)
    status = _status(pair.branch)
    assert status["name"] == running.name and status["version"]
    (tunnel,) = status["tunnels"]
    assert (tunnel["name"], tunnel["state"], tunnel["engine"]) == (TUNNEL, "up", "native")
    assert pair.remote() in tunnel["remote"] and tunnel["cipher"]
    assert _restart(pair.branch, TUNNEL) == (202, {"tunnel": TUNNEL, "action": "restart"})
    running.wait_event(TUNNEL, "up", count=2)
    assert pair.branch.ping(server.address, 3).lost == 0
    code, answer = _restart(pair.branch, "rome")
    assert code == 404 and TUNNEL in answer["error"]
    metrics = _request(pair.branch, f"{_URL}/metrics")[1]
    assert f'branchline_tunnel_up{{tunnel="{TUNNEL}"}} 1' in metrics
    running.stop()


def test_a_gateway_stops_at_once_while_it_is_asked(pair):
    running = connect(pair, pair.server())
    _status(pair.branch)
    with pair.branch.call(socket.create_connection, ("127.0.0.1", _PORT)):
        time.sleep(0.2)
        running.stop()


def test_a_port_that_is_taken_is_a_warning(pair):
    with pair.branch.call(socket.create_server, ("127.0.0.1", _PORT)):
        running = connect(pair, pair.server())
        running.wait_for(rf"warning .* api cannot listen on 127\.0\.0\.1 port {_PORT}: .*in use")
        running.stop()


def test_it_can_be_switched_off_and_listen_elsewhere(pair):
    server = pair.server()
    off = connect(pair, server, api={"listen": None})
    with pytest.raises(ConnectionRefusedError):
        pair.branch.call(socket.create_connection, ("127.0.0.1", _PORT))
    off.stop()
    address = pair.link.address(pair.branch, 6)
    elsewhere = connect(pair, server, api={"listen": f"[{address}]:80"})
    elsewhere.wait_for("warning .* api whoever reaches")
    code, body = _request(pair.hub, f"http://[{address}]/api/v1/status")
    assert code == 200 and json.loads(body)["tunnels"]
    elsewhere.stop()


def test_without_microdot_the_gateway_warns_and_goes_on(pair):
    server = pair.server()
    running = Gateway(pair.branch, {TUNNEL: pair.profile(server)},
                      env={"MICROPYPATH": f"{Gateway.SOURCES}:.frozen"}).start()
    running.wait_up()
    running.wait_for("warning .* api microdot is not installed")
    assert pair.branch.ping(server.address, 3).lost == 0
    running.stop()


@pytest.mark.parametrize(("heap", "answers"), [("128wk", {503}), ("192wk", {200})])
def test_a_small_heap_answers_or_says_why_and_carries_pings(pair, heap, answers):
    server = pair.server(wrap="tls-crypt")
    running = gateway(pair, pair.profile(server), heap=heap, compiled=True)
    running.wait_up()
    with pair.branch.pinger(server.address, interval=0.01) as pinger:
        codes = {_request(pair.branch, _URL + path)[0]
                 for path in ("/api/v1/status", "/", "/metrics") * 5}
    assert codes == answers
    assert pinger.result.lost == 0
    assert running.log().count("the heap has no room") == (503 in answers)
    assert "all tunnels start again" not in running.log()
    running.stop()


# ---- clients that mean harm ----


def _silent(connection) -> None:
    connection.recv(1)


def _endless_headers(connection) -> None:
    connection.sendall(b"GET / HTTP/1.1\r\n")
    while True:
        connection.sendall(b"A: b\r\n" * 100)


def _megabyte(connection) -> None:
    connection.sendall(b"POST /api/v1/tunnels/paris/restart HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                       b"Content-Type: application/json\r\nContent-Length: 1000000\r\n\r\n")
    connection.sendall(bytes(1_000_000))
    connection.recv(1)


def _never_reading(connection) -> None:
    connection.sendall(b"GET /api/v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    time.sleep(6)


def _drop_by_drop(connection) -> None:
    for octet in b"GET /api/v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n":
        connection.sendall(bytes((octet,)))
        time.sleep(0.3)


def _garbage(connection) -> None:
    connection.sendall(bytes(range(256)) * 8)
    connection.recv(1)


def _harm(host, way, count: int) -> None:
    """So many connections at once, each of which behaves in that way until it is ended."""
    def one() -> None:
        with contextlib.suppress(OSError), \
                host.call(socket.create_connection, ("127.0.0.1", _PORT), 10) as connection:
            way(connection)

    threads = [threading.Thread(target=one, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


@pytest.mark.parametrize(("way", "count", "counter"), [
    (_silent, 8, "timeout"),
    (_silent, 200, "too-many"),
    (_endless_headers, 8, "long-head"),
    (_megabyte, 8, None),
    (_never_reading, 8, None),
    (_drop_by_drop, 8, "timeout"),
    (_garbage, 8, "bad-request"),
])
def test_hostile_clients_cost_no_packet(pair, way, count, counter):
    server = pair.server()
    running = connect(pair, server)
    with pair.branch.pinger(server.address, interval=0.01) as pinger:
        _harm(pair.branch, way, count)
        time.sleep(0.5)
        # Whoever asks properly is answered as soon as a place is free.
        answer = eventually(lambda: _answered(pair.branch), "the API answers")
    assert pinger.result.lost == 0 and pinger.result.received > 10
    assert counter is None or answer["api"][counter] > 0, answer["api"]
    assert "Traceback" not in running.log()
    running.stop()


def _answered(host) -> dict | None:
    try:
        code, body = _request(host, _STATUS)
    except OSError:
        return None
    return json.loads(body) if code == 200 else None


def test_a_client_too_many_is_told_so(pair):
    running = connect(pair, pair.server())
    _status(pair.branch)  # what is loaded once is loaded
    connections = [pair.branch.call(socket.create_connection, ("127.0.0.1", _PORT), 10)
                   for _ in range(8)]
    for _ in range(20):
        code, body = _request(pair.branch, _STATUS)
        assert code == 503 and "too many" in json.loads(body)["error"]
    for connection in connections:
        connection.close()
    eventually(lambda: _answered(pair.branch), "the API answers")
    running.stop()


# ---- people ----


def test_branchctl_shows_what_the_gateway_says(lab):
    network = make_network(lab, "babeld")
    running = start(network)
    branch = network.branches["lyon"]
    wait_routes(branch.gateway, {c.prefix: f"tun-{c.name}" for c in network.centres.values()})
    shown = _branchctl(branch.gateway)
    assert shown.returncode == 0, shown.stdout
    for centre in network.centres.values():
        assert re.search(rf"{centre.name} +up +native", shown.stdout), shown.stdout
        assert centre.prefix in shown.stdout
    assert json.loads(_branchctl(branch.gateway, "--json").stdout)["name"] == running.name
    running.stop()
    ended = _branchctl(branch.gateway)
    assert ended.returncode == 1 and "nothing listens at" in ended.stdout
    assert "Traceback" not in ended.stdout
    assert "is not the URL" in _branchctl(branch.gateway, "--api", "ftp://x").stdout
