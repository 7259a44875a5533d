"""web: the API, the page and the metrics, asked through a stream that only looks like one."""

import asyncio
import json

from branchline.web.api import make_app
from branchline.web.bounded import Bounded
from branchline.web.metrics import metrics_lines
from branchline.web.origin import refusal
from branchline.web.pieces import json_pieces

_STATUS = {
    "name": "lyon",
    "version": "0.1.0",
    "tunnels": [
        {"name": "paris", "state": "up", "attempts": 1, "tx_octets": 123456789012,
         "health": {"state": "degraded", "rtt_ms": 12.5, "loss": 0.25},
         "damping": {"penalty": 1000, "suppressed": False, "reuse_in_s": None}},
        {"name": "du+bl\"in", "state": "down", "attempts": 7, "tx_octets": None},
    ],
    "routing": {"routes": [{"prefix": "10.0.0.0/8"}], "neighbours": []},
    "journal": [],
}  # fmt: skip
_HOST = "Host: 127.0.0.1:8086\r\n"
_JSON = "Content-Type: application/json\r\n"


class Client:
    """Sends octets, a few at a time, and keeps what it is sent."""

    def __init__(self, octets, step):
        self._octets = octets
        self._step = step
        self.answer = b""

    async def read(self, n):
        n = min(n, self._step)
        data, self._octets = self._octets[:n], self._octets[n:]
        return data

    def write(self, data):
        self.answer += data

    async def drain(self):
        pass

    @property
    def left(self):
        return len(self._octets)


class Api:
    """The application with a made-up gateway; `refused` and `failures` are what went wrong."""

    def __init__(self, status=lambda: _STATUS):
        self.restarted = []
        self.refused = []
        self.failures = []
        self._app = make_app(status, self._restart, self.failures.append)

    def _restart(self, name):
        self.restarted.append(name)
        return any(tunnel["name"] == name for tunnel in _STATUS["tunnels"])

    def send(self, request, step=100):
        """(status code, head, body) that a request is answered with; the code is None for none."""
        if isinstance(request, str):
            request = request.encode()
        client = self.client = Client(request, step)
        stream = Bounded(client, client, self.refused.append)
        asyncio.run(self._app.handle_request(stream, stream))
        head, _, body = client.answer.partition(b"\r\n\r\n")
        words = head.split()
        return (int(words[1]) if words else None), head.decode(), body

    def get(self, path, headers=_HOST):
        return self.send("GET %s HTTP/1.1\r\n%s\r\n" % (path, headers))


def test_the_status_is_json():
    code, head, body = Api().get("/api/v1/status")
    assert code == 200 and "Content-Type: application/json" in head
    assert json.loads(body) == _STATUS


def test_octets_may_come_one_by_one():
    assert Api().send("GET /api/v1/status HTTP/1.1\r\n" + _HOST + "\r\n", step=1)[0] == 200


def test_a_restart_needs_the_method_the_type_and_a_known_name():
    path = "/api/v1/tunnels/%s/restart"
    for name, method, target, headers, code, text in (
        ("plain", "POST", "paris", _JSON, 202, '"action": "restart"'),
        ("with a character set", "POST", "paris",
         "content-type: Application/JSON; charset=utf-8\r\n", 202, "restart"),
        ("percent-encoded", "POST", "du+bl%22in", _JSON, 202, "restart"),
        ("with a body", "POST", "paris", _JSON + "Content-Length: 2\r\n", 202, "restart"),
        ("no such tunnel", "POST", "rome", _JSON, 404, "known are: paris, du+bl"),
        ("no encoding at all", "POST", "par%zz", _JSON, 404, "known are"),
        ("octets that are no text", "POST", "%ff", _JSON, 404, "known are"),
        ("a form", "POST", "paris", "Content-Type: text/plain\r\n", 415, "application/json"),
        ("no type", "POST", "paris", "", 415, "application/json"),
        ("another method", "GET", "paris", _JSON, 405, "method"),
        ("foreign origin", "POST", "paris", _JSON + "Origin: http://evil.example\r\n", 403,
         "origin"),
    ):  # fmt: skip
        api = Api()
        request = "%s %s HTTP/1.1\r\n%s\r\n{}" % (method, path % target, _HOST + headers)
        found, head, body = api.send(request)
        assert found == code and text in body.decode().replace("\\", ""), (name, found, body)
        assert bool(api.restarted) == (code in (202, 404)), name
        answer = json.loads(body)
        assert ("error" in answer) == (code != 202), name


def test_who_may_ask():
    for host, origin, allowed in (
        ("127.0.0.1", None, True),
        ("127.0.0.1:8086", None, True),
        ("10.100.0.11:8086", None, True),
        ("localhost", None, True),
        ("LocalHost:8086", None, True),
        ("[::1]:8086", None, True),
        ("[fe80::1]", None, True),
        ("127.0.0.1:8086", "http://127.0.0.1:8086", True),
        ("localhost:8086", "http://LOCALHOST:8086", True),
        (None, None, False),
        ("", None, False),
        ("rebound.example:8086", None, False),
        ("localhost.evil.example", None, False),
        ("127.0.0.1.evil.example", None, False),
        ("::1", None, False),
        ("[127.0.0.1]", None, False),
        ("[::1", None, False),
        ("127.0.0.1:", None, False),
        ("127.0.0.1:80:80", None, False),
        ("127.0.0.1:8086", "http://127.0.0.1:8087", False),
        ("127.0.0.1:8086", "https://127.0.0.1:8086", False),
        ("127.0.0.1:8086", "http://localhost:8086", False),
        ("127.0.0.1:8086", "null", False),
        ("127.0.0.1:8086", "", False),
    ):
        headers = {}
        if host is not None:
            headers["Host"] = host
        if origin is not None:
            headers["Origin"] = origin
        assert (refusal(headers) is None) == allowed, (host, origin, refusal(headers))


def test_a_refusal_says_why_and_tells_nothing():
    for path in ("/", "/metrics", "/api/v1/status"):
        code, head, body = Api().get(path, "Host: evil.example\r\n")
        assert code == 403 and "address or localhost" in json.loads(body)["error"], path


def test_what_there_is_not_is_said_in_json():
    for request, code in (
        ("GET /other HTTP/1.1\r\n" + _HOST, 404),
        ("PUT /api/v1/status HTTP/1.1\r\n" + _HOST, 405),
        ("OPTIONS /api/v1/status HTTP/1.1\r\n" + _HOST, 405),
        ("POST /api/v1/tunnels/paris/restart HTTP/1.1\r\n" + _HOST + _JSON
         + "Content-Length: 999999\r\n", 413),
    ):  # fmt: skip
        found, head, body = Api().send(request + "\r\n")
        assert found == code and json.loads(body)["error"], (request, found)
        assert "nosniff" in head and "no-store" in head, request


def test_what_is_no_http_is_counted_and_never_an_exception():
    for name, request, refused in (
        ("nothing", b"", ["gone"]),
        ("half a line", b"GET / HT", ["gone"]),
        ("half a head", b"GET / HTTP/1.1\r\nHost: a\r\n", ["gone"]),
        ("octets", bytes(range(256)) + b"\n", []),
        ("not UTF-8", b"GET /\xff\xfe HTTP/1.1\r\n\r\n", []),
        ("two words", b"GET /\r\n\r\n", []),
        ("no slash in the version", b"GET / 1\r\n\r\n", []),
        ("a header without colon", b"GET / HTTP/1.1\r\nHost\r\n\r\n", []),
        ("a bad length", b"GET / HTTP/1.1\r\nContent-Length: many\r\n\r\n", []),
        ("a negative length", b"GET / HTTP/1.1\r\nContent-Length: -5\r\n\r\n", ["bad-length"]),
        ("half a body", b"GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab", ["gone"]),
        ("a bad query", b"GET /?%zz HTTP/1.1\r\n\r\n", []),
        ("an endless line", b"GET /" + bytes(100_000), ["long-line"]),
        ("an endless header", b"GET / HTTP/1.1\r\nA: " + b"b" * 100_000, ["long-head"]),
        ("a long Host", b"GET / HTTP/1.1\r\nHost: " + b"1" * 2000 + b"\r\n\r\n", ["long-line"]),
        ("endless headers", b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 10_000, ["long-head"]),
        ("long headers", b"GET / HTTP/1.1\r\n" + (b"A: " + b"b" * 999 + b"\r\n") * 50,
         ["long-head"]),
    ):  # fmt: skip
        api = Api()
        code, _, body = api.send(request)
        assert code == (None if refused else 400), (name, code)
        assert api.refused == refused, (name, api.refused)
        assert bool(api.failures) == (not refused), (name, api.failures)
        if len(request) > 10_000:
            # It is not read to its end.
            assert api.client.left > len(request) - 10_000, name


def test_long_headers_that_nobody_asks_for_are_passed_over():
    cookie = "Cookie: " + "c" * 3000 + "\r\n"
    for step in (1, 100, 5000):
        request = "GET /api/v1/status HTTP/1.1\r\n" + cookie + _HOST + cookie + "\r\n"
        assert Api().send(request, step)[0] == 200, step


def test_a_gateway_that_cannot_answer_says_so():
    def broken():
        raise MemoryError("no room")

    api = Api(broken)
    code, _, body = api.get("/api/v1/status")
    assert code == 500 and json.loads(body)["error"]
    assert len(api.failures) == 1


def test_the_page_is_whole_and_asks_nobody_else():
    code, head, body = Api().get("/")
    assert code == 200 and "text/html" in head
    assert body.startswith(b"<!doctype html>") and body.rstrip().endswith(b"</html>")
    assert b"http://" not in body and b"https://" not in body
    assert "default-src 'none'" in head and "frame-ancestors 'none'" in head


def test_head_has_no_body():
    code, head, body = Api().send("HEAD / HTTP/1.1\r\n" + _HOST + "\r\n")
    assert code == 200 and not body and "Content-Length: " in head


def test_json_in_pieces_is_the_same_json():
    for value in (
        None,
        0,
        "text",
        [],
        {},
        {"a": []},
        [{}, {}],
        {"a": {"b": {"c": {"d": [1, 2, {"e": None}]}}}},
        {"\"quoted\"": "é\n", "list": [True, False, 1.5, ["x"]]},
        _STATUS,
    ):
        assert json.loads("".join(json_pieces(value))) == value, value


def test_no_piece_of_a_large_status_is_large():
    routes = [{"prefix": "10.%d.0.0/16" % n, "via": "fe80::1", "metric": n} for n in range(200)]
    pieces = list(json_pieces({"tunnels": [], "routing": {"routes": routes}}))
    assert max(len(piece) for piece in pieces) < 100
    assert len(pieces) > 200


def test_metrics():
    text = "".join(metrics_lines(_STATUS))
    lines = text.split("\n")
    for line in (
        'branchline_info{name="lyon",version="0.1.0"} 1',
        "# TYPE branchline_tunnel_up gauge",
        'branchline_tunnel_up{tunnel="paris"} 1',
        'branchline_tunnel_up{tunnel="du+bl\\"in"} 0',
        'branchline_tunnel_usable{tunnel="paris"} 1',
        'branchline_tunnel_rtt_seconds{tunnel="paris"} 0.0125',
        'branchline_tunnel_loss_ratio{tunnel="paris"} 0.25',
        'branchline_tunnel_transmitted_bytes_total{tunnel="paris"} 123456789012',
        'branchline_tunnel_flap_penalty{tunnel="paris"} 1000',
        'branchline_tunnel_suppressed{tunnel="paris"} 0',
        'branchline_tunnel_attempts_total{tunnel="du+bl\\"in"} 7',
        "branchline_babel_routes 1",
        "branchline_babel_neighbours 0",
    ):
        assert line in lines, line
    assert 'branchline_tunnel_transmitted_bytes_total{tunnel="du' not in text
    assert "filter" not in text
    # Each metric is told of once, before its values.
    heads = [line for line in lines if line.startswith("# TYPE")]
    assert len(set(heads)) == len(heads)
    assert Api().get("/metrics")[2].decode() == text


def test_metrics_of_the_filter():
    for found, expected in (
        ({"state": "loaded", "spoofed": 0, "denied": 7},
         ("filter_loaded 1", "filter_spoofed_total 0", "filter_denied_total 7")),
        ({"state": "missing"}, ("filter_loaded 0",)),
    ):
        lines = "".join(metrics_lines({"filter": found})).split("\n")
        values = [line for line in lines if line.startswith("branchline_filter_")]
        assert values == ["branchline_" + each for each in expected]


def test_metrics_of_a_hub():
    status = {
        "name": "paris", "tunnels": [], "announced": [{}, {}],
        "servers": [{"name": "udp", "state": "up", "clients": 3},
                    {"name": "tcp", "state": "down", "clients": 0}],
        "hubs": [{"name": "dublin", "heard_s": 4}, {"name": "ghent", "heard_s": None}],
    }  # fmt: skip
    lines = "".join(metrics_lines(status)).split("\n")
    values = [line for line in lines if line[:1] != "#"]
    assert values[1:-1] == [
        'branchline_server_up{server="udp"} 1', 'branchline_server_up{server="tcp"} 0',
        'branchline_server_clients{server="udp"} 3', 'branchline_server_clients{server="tcp"} 0',
        "branchline_announced_prefixes 2", 'branchline_hub_heard_seconds{hub="dublin"} 4',
    ]  # fmt: skip
