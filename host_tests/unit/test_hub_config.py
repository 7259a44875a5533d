"""gateway.json with the role "hub": what it may hold, and how each mistake is told."""

import json

from branchline.app.config import load_config
from branchline.app.hub_files import read_files
from branchline.wire.errors import ConfigError
from support import raises, unhex

_SERVER = {"name": "udp", "device": "tun0", "management": "/run/udp.sock"}
_FULL = """{
  "name": "paris", "role": "hub", "address": "10.100.0.1",
  "servers": [
    {"name": "udp1194", "device": "bl-udp1194", "management": "/run/branchline/udp1194.sock"},
    {"name": "tcp443", "device": "bl-tcp443", "management": "127.0.0.1:7505", "password": "pw"}
  ],
  "clients": {"accept": ["10.100.0.0/24"], "skip": ["lyon"], "revoked": ["stolen laptop"]},
  "hubs": [{"name": "dublin", "address": "10.100.0.2"}],
  "routes": {"protocol": 191},
  "routing": {"protocol": "babel",
              "interfaces": ["bl-udp1194", {"device": "bl-mesh-2", "signed": false}],
              "announce": ["10.1.0.0/24"]},
  "state": "/var/lib/paris", "api": {"listen": null}, "log": {"level": "warning"}
}"""


def _load(text):
    return load_config(lambda name: text.encode())


def _hub(**changes):
    """The text of a small file with changes; None takes a key away."""
    config = {
        "name": "paris",
        "role": "hub",
        "address": "10.100.0.1",
        "servers": [_SERVER],
        "clients": {"accept": ["10.100.0.0/24"]},
    }
    config.update(changes)
    return json.dumps({key: value for key, value in config.items() if value is not None})


def _server(**changes):
    return dict(_SERVER, **changes)


def test_a_full_file():
    c = _load(_FULL)
    assert (c.role, c.name, c.address) == ("hub", "paris", unhex("0a640001"))
    udp, tcp = c.servers
    assert (udp.name, udp.device, udp.path) == (
        "udp1194", "bl-udp1194", "/run/branchline/udp1194.sock",
    )  # fmt: skip
    assert (udp.endpoint, udp.password, tcp.path) == (None, None, None)
    assert (tcp.endpoint, tcp.password) == ((unhex("7f000001"), 7505), "pw")
    assert c.accept == [(unhex("0a640000"), 24)]
    assert (c.skip, c.revoked) == (["lyon"], ["stolen laptop"])
    assert c.hubs == [("dublin", unhex("0a640002"))]
    assert c.protocol == 191
    assert c.routing.interfaces == [("bl-udp1194", True), ("bl-mesh-2", False)]
    assert c.routing.announce == [(unhex("0a010000"), 24)]
    assert (c.state, c.api, c.log_level) == ("/var/lib/paris", None, "warning")


def test_what_is_not_said():
    c = _load(_hub(address=None))
    assert (c.address, c.skip, c.revoked, c.hubs, c.routing) == (None, [], [], [], None)
    assert (c.protocol, c.state, c.log_level) == (190, "state", "info")
    assert c.api == (unhex("7f000001"), 8086)


def test_where_a_management_interface_is():
    for text, expected in (
        ("/a", ("/a", None)),
        ("run/udp.sock", ("run/udp.sock", None)),
        ("192.0.2.1:1", (None, (unhex("c0000201"), 1))),
        ("[::1]:65535", (None, (bytes(15) + b"\1", 65535))),
    ):
        server = _load(_hub(servers=[_server(management=text)])).servers[0]
        assert (server.path, server.endpoint) == expected


_OTHER = {"name": "dublin", "address": "10.100.0.2"}
_MISTAKES = (
    (_hub(role="hbu"), "role: unknown value (use one of: gateway, hub)"),
    (_hub(role=None), 'servers: are a hub\'s (for a hub, add "role": "hub")'),
    (_hub(tunnels=[]), "tunnels: is not for a hub"),
    (_hub(lans=[]), "lans: is not for a hub"),
    (_hub(watchdog={}), "watchdog: is not for a hub"),
    (_hub(server=[]), "server: unknown key (did you mean 'servers'?)"),
    (_hub(servers=None), "servers: is missing"),
    (_hub(servers=[]), "servers: holds no server"),
    (_hub(servers=[{}]), "servers[0].name: is missing"),
    (_hub(servers=[{"name": "udp"}]), "servers[0].device: is missing"),
    (_hub(servers=[_server(device="d" * 16)]), "servers[0].device: must have 1 to 15"),
    (_hub(servers=[_server(devcie="x")]), "servers[0].devcie: unknown key (did you mean 'device'"),
    (_hub(servers=[_SERVER, _server(device="tun1", management="/b")]),
     "servers[1].name: another server has this name"),
    (_hub(servers=[_SERVER, _server(name="tcp", management="/b")]),
     "servers[1].device: another server has this device"),
    (_hub(servers=[_SERVER, _server(name="tcp", device="tun1")]),
     "servers[1].management: another server has this one"),
    (_hub(servers=[_server(management="udp")]), "servers[0].management: is neither a path"),
    (_hub(servers=[_server(management="host:7505")]), "servers[0].management: not an IPv4"),
    (_hub(servers=[_server(management="127.0.0.1:0")]), "servers[0].management: the port must"),
    (_hub(servers=[_server(management="127.0.0.1:x")]), "servers[0].management: the port must"),
    (_hub(servers=[_server(management="/" + "x" * 107)]), "servers[0].management: a socket"),
    (_hub(clients=None), "clients: is missing"),
    (_hub(clients={}), "clients.accept: is missing"),
    (_hub(clients={"accept": "x"}), "clients.accept: must be an array"),
    (_hub(clients={"accept": ["10.100.0.1/24"]}), "clients.accept[0]: bits behind"),
    (_hub(clients={"accept": [], "skip": [1]}), "clients.skip[0]: must be a certificate's name"),
    (_hub(clients={"accept": [], "revoked": [""]}), "clients.revoked[0]: must be a certificate's"),
    (_hub(clients={"accept": [], "skip": ["a"], "revoked": ["a"]}),
     "clients.revoked: a is in skip, too"),
    (_hub(clients={"accept": [], "skipp": []}), "clients.skipp: unknown key (did you mean 'skip'"),
    (_hub(hubs=[_OTHER], address=None), "address: is missing"),
    (_hub(hubs=[{"name": "dublin"}]), "hubs[0].address: is missing"),
    (_hub(hubs=[{"name": "dublin", "address": "10.100.0.1"}]), "hubs[0]: is this hub itself"),
    (_hub(hubs=[{"name": "paris", "address": "10.100.0.9"}]), "hubs[0]: is this hub itself"),
    (_hub(hubs=[{"name": "dublin", "address": "fd00::2"}]), "hubs[0].address: is of another fam"),
    (_hub(hubs=[_OTHER, dict(_OTHER, address="10.100.0.3")]), "hubs[1].name: another hub has"),
    (_hub(hubs=[_OTHER, dict(_OTHER, name="ghent")]), "hubs[1].address: another hub has"),
    (_hub(routes={"protocol": 4}), "routes.protocol: must be from 5 to 255"),
    (_hub(routes={"protocol": 201}), "routes.protocol: 201 is that of the routes that Babel"),
    (_hub(routing={"protocol": "babel"}), "routing.interfaces: is missing"),
    (_hub(routing={"protocol": "babel", "interfaces": ["a", "a"]}), "routing.interfaces[1]: is"),
    (_hub(routing={"protocol": "babel", "interfaces": ["a/"]}), "routing.interfaces[0].device: "),
)


def test_mistakes_name_place_reason_and_hint():
    for text, words in _MISTAKES:
        error = str(raises(ConfigError, _load, text))
        assert error.startswith("gateway.json: " + words), (text, error)


def test_a_gateway_has_no_interfaces():
    text = json.dumps({
        "name": "lyon", "tunnels": [{"name": "paris", "profile": "p.ovpn"}],
        "routing": {"protocol": "babel", "interfaces": ["tun0"]},
    })  # fmt: skip
    assert "routing.interfaces: unknown key" in str(raises(ConfigError, _load, text))


def test_passwords_are_read_and_never_told():
    servers = [_server(management="run/udp.sock"),
               _server(name="tcp", device="tun1", management="127.0.0.1:1", password="/dev/null")]
    for data, expected in (
        (b"s3cret\n", b"s3cret"), (b"s3 cret\r\nmore\n", b"s3 cret"), (b"s", b"s"),
        (b"", None), (b"\nx", None), (b"x" * 129, None),
    ):  # fmt: skip
        config = _load(_hub(servers=servers))

        def read_file(name, data=data):
            assert name == "/dev/null"
            return data

        if expected is None:
            error = str(raises(ConfigError, read_files, config, "/folder", read_file))
            assert "servers.tcp.password" in error and "x" * 20 not in error
        else:
            read_files(config, "/folder", read_file)
            assert config.servers[0].path == "/folder/run/udp.sock"
            assert config.servers[1].password == expected

    def no_file(name):
        raise OSError(2)

    error = str(raises(ConfigError, read_files, _load(_hub(servers=servers)), "/f", no_file))
    assert "cannot read /dev/null" in error
