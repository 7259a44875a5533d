"""gateway.json: what it may hold, and how each mistake is told."""

from branchline.app.config import load_config
from branchline.app.json_text import JsonError, parse_json
from branchline.wire.errors import ConfigError
from support import raises, unhex

_SECRET = "00112233445566778899aabbccddeeff"
_FULL = """{
  "name": "lyon",
  "address": "10.100.0.11",
  "lans": [{"interface": "eth1", "prefix": "192.168.11.0/24"}],
  "tunnels": [
    {"name": "paris",  "profile": "paris.ovpn"},
    {"name": "dublin", "profile": "dublin.ovpn", "engine": "native", "device": "tun-dublin"}
  ],
  "routing":  {"protocol": "babel", "hello_ms": 400, "rtt": false,
               "keys": [{"id": "k1", "algorithm": "hmac-sha256", "secret": "%s"}],
               "announce": ["192.168.11.0/24"], "accept": ["10.0.0.0/8", "fd00::/8"]},
  "log":      {"level": "debug"}
}""" % _SECRET


def _load(text):
    return load_config(lambda name: text.encode())


def _tunnels(text):
    return '{"name": "lyon", "tunnels": [' + text + "]}"


_PARIS = '{"name": "paris", "profile": "p.ovpn"}'


def _with(text):
    return '{"name": "lyon", "tunnels": [' + _PARIS + "], " + text + "}"


def test_a_full_file():
    c = _load(_FULL)
    assert (c.name, c.address, c.log_level) == ("lyon", unhex("0a64000b"), "debug")
    lan = c.lans[0]
    assert (lan.interface, lan.prefix, lan.plen) == ("eth1", unhex("c0a80b00"), 24)
    assert not lan.babel
    assert [(t.name, t.profile, t.engine, t.device) for t in c.tunnels] == [
        ("paris", "paris.ovpn", "native", None),
        ("dublin", "dublin.ovpn", "native", "tun-dublin"),
    ]
    r = c.routing
    assert (r.hello_ms, r.rtt) == (400, False)
    none = (None, None)
    assert r.keys == [("k1", "hmac-sha256", unhex(_SECRET), none, none)]
    assert r.announce == [(unhex("c0a80b00"), 24)]
    assert r.accept == [
        (unhex("0a000000"), 8, None, None, None),
        (b"\xfd" + bytes(15), 8, None, None, None),
    ]


def test_where_the_api_listens():
    for text in (_tunnels(_PARIS), _with('"api": {}')):
        assert _load(text).api == (unhex("7f000001"), 8086)
    for listen, expected in (
        ("0.0.0.0:80", (bytes(4), 80)),
        ("10.100.0.11:65535", (unhex("0a64000b"), 65535)),
        ("[::1]:8086", (bytes(15) + b"\x01", 8086)),
        ("off", None),
    ):
        assert _load(_with('"api": {"listen": "%s"}' % listen)).api == expected, listen
    for listen, reason in (
        ('"127.0.0.1"', "must be an address and a port"),
        ('"127.0.0.1:0"', "the port must be from 1 to 65535"),
        ('"127.0.0.1:65536"', "the port must be from 1 to 65535"),
        ('"127.0.0.1:"', "the port must be from 1 to 65535"),
        ('"127.0.0.1:http"', "the port must be from 1 to 65535"),
        ('"127.0.0.1:-1"', "the port must be from 1 to 65535"),
        ('"::1:8086"', "must be in brackets"),
        ('"[127.0.0.1]:80"', "brackets are for IPv6 addresses"),
        ('"localhost:8086"', "gateway.json: api.listen"),
        ('":8086"', "gateway.json: api.listen"),
        ("8086", "must be a string"),
        ("null", "must be a string"),
    ):
        text = str(raises(ConfigError, _load, _with('"api": {"listen": %s}' % listen)))
        assert "gateway.json: api.listen" in text and reason in text, (listen, text)


def test_a_byte_order_mark_is_passed_over():
    assert _load("\ufeff" + _tunnels(_PARIS)).name == "lyon"


def test_accept_within_a_length_range_and_key_times():
    r = _load(
        _with(
            '"routing": {"protocol": "babel", "stub": true, "max_routes": 100, "accept": [{'
            '"prefix": "10.0.0.0/8", "shortest": 16, "longest": 24, "device": "tun0"}],'
            ' "keys": [{"id": "k",'
            ' "algorithm": "hmac-sha256", "secret": "' + _SECRET + '",'
            ' "send": ["2026-11-23T00:00:00Z", null], "accept": [null, "2027-01-01T00:00:00Z"]}]}'
        )
    ).routing
    assert (r.stub, r.max_routes) == (True, 100)
    assert r.accept == [(unhex("0a000000"), 8, 16, 24, "tun0")]
    assert r.keys[0][3:] == ((1795392000, None), (None, 1798761600))


def test_the_least_file():
    c = _load(_tunnels(_PARIS))
    assert (c.address, c.lans, c.routing, c.log_level) == (None, [], None, "info")
    r = _load(_with('"routing": {"protocol": "babel"}')).routing
    assert (r.hello_ms, r.rtt, r.keys, r.announce, r.accept) == (500, True, [], None, [])
    assert _load(_with('"address": "fd00::1"')).address == b"\xfd" + bytes(14) + b"\1"


# (text, what the message must begin with)
_MISTAKES = (
    ("", "gateway.json:1: not JSON: a value is missing"),
    ("{\n\n'name': 1}", "gateway.json:3: not JSON: a key in double quotes is missing"),
    ('{"name": "a"\n "tunnels": []}', "gateway.json:2: not JSON: '}' is missing"),
    ('{"name": "a",\n"name": "b"}', "gateway.json:2: not JSON: the key 'name' is there twice"),
    ("[]", "gateway.json: must be an object"),
    ("{}", "gateway.json: name: is missing"),
    ('{"name": ""}', "gateway.json: name: must have 1 to 64"),
    ('{"name": 5}', "gateway.json: name: must be a string"),
    ('{"name": "a b"}', "gateway.json: name: may hold neither spaces"),
    ('{"nmae": "lyon"}', "gateway.json: nmae: unknown key (did you mean 'name'?)"),
    ('{"name": "lyon", "zzz": 1}', "gateway.json: zzz: unknown key (known are: name, address"),
    ('{"name": "lyon"}', "gateway.json: tunnels: is missing"),
    (_tunnels(""), "gateway.json: tunnels: holds no tunnel"),
    (_tunnels("5"), "gateway.json: tunnels[0]: must be an object"),
    (_tunnels('{"name": "a"}'), "gateway.json: tunnels[0].profile: is missing"),
    (_tunnels('{"profil": "a"}'), "gateway.json: tunnels[0].profil: unknown key (did you mean"),
    (_tunnels(_PARIS + "," + _PARIS), "gateway.json: tunnels[1].name: another tunnel has this"),
    (_tunnels('{"name": "a", "profile": "p", "engine": "openvpn"}'),
     "gateway.json: tunnels[0].engine: this version does not support it yet"),
    (_tunnels('{"name": "a", "profile": "p", "engine": "x"}'),
     "gateway.json: tunnels[0].engine: unknown value (use one of: native"),
    (_tunnels('{"name": "a", "profile": "p", "device": "abcdefghijklmnop"}'),
     "gateway.json: tunnels[0].device: must have 1 to 15"),
    (_tunnels('{"name": "a", "profile": "p", "device": "a/b"}'),
     "gateway.json: tunnels[0].device: may hold neither"),
    (_tunnels('{"name": "a", "profile": "p", "device": "t"},'
              '{"name": "b", "profile": "p", "device": "t"}'),
     "gateway.json: tunnels[1].device: another tunnel has this device"),
    (_with('"watchdog": {}'), "gateway.json: watchdog: this version does not support it yet"),
    (_with('"api": []'), "gateway.json: api: must be an object"),
    (_with('"api": {"listen": "off", "port": 1}'), "gateway.json: api.port: unknown key"),
    (_with('"address": "10.0.0"'), "gateway.json: address: not an IPv4 address"),
    (_with('"lans": {}'), "gateway.json: lans: must be an array"),
    (_with('"lans": [{"interface": "eth1", "prefix": "10.0.0.1/8"}]'),
     "gateway.json: lans[0].prefix: bits behind the prefix length"),
    (_with('"log": {"level": "loud"}'), "gateway.json: log.level: unknown value"),
    (_with('"log": "info"'), "gateway.json: log: must be an object"),
    (_with('"routing": {"protocol": "ospf"}'), "gateway.json: routing.protocol: unknown value"),
    (_with('"routing": {"protocol": "babel", "hello_ms": 10}'),
     "gateway.json: routing.hello_ms: must be from 20"),
    (_with('"routing": {"protocol": "babel", "hello_ms": 163840}'),
     "gateway.json: routing.hello_ms: must be from 20 to 163830"),
    (_with('"routing": {"protocol": "babel", "hello_ms": true}'),
     "gateway.json: routing.hello_ms: must be a whole number"),
    (_with('"routing": {"protocol": "babel", "rtt": 1}'),
     "gateway.json: routing.rtt: must be true or false"),
    (_with('"routing": {"protocol": "babel", "accept": ["10/8"]}'),
     "gateway.json: routing.accept[0]: not an IPv4 address"),
    (_with('"routing": {"protocol": "babel", "accept": [8]}'),
     "gateway.json: routing.accept[0]: must be a string"),
    (_with('"routing": {"protocol": "babel", "keys": [{"id": "k"}]}'),
     "gateway.json: routing.keys[0].algorithm: is missing"),
)  # fmt: skip


def test_mistakes_name_place_reason_and_hint():
    for text, words in _MISTAKES:
        error = str(raises(ConfigError, _load, text))
        assert error.startswith(words), (text, error)


def test_a_keys_times_are_two_and_in_order():
    early, late = '"2026-01-31T00:00:00Z"', '"2027-01-31T00:00:00Z"'
    cases = ((late + "," + early, "ends before it begins"), (late, "must hold two times"))
    for times, words in cases:
        key = '{"id": "k", "algorithm": "hmac-sha256", "secret": "%s", "send": [%s]}'
        text = _with('"routing": {"protocol": "babel", "keys": [' + key % (_SECRET, times) + "]}")
        error = str(raises(ConfigError, _load, text))
        assert error.startswith("gateway.json: routing.keys[0].send: " + words), error


def test_bad_secrets_are_told_without_the_secret():
    for secret, words in (("5ec7", "less than 16"), ("xyz5ec7" * 5, "not hexadecimal")):
        key = '{"id": "k", "algorithm": "hmac-sha256", "secret": "%s"}' % secret
        text = _with('"routing": {"protocol": "babel", "keys": [' + key + "]}")
        error = str(raises(ConfigError, _load, text))
        assert words in error and secret not in error, error
    key = '{"id": "k", "algorithm": "hmac-sha256", "secret": "%s"}' % _SECRET
    text = _with('"routing": {"protocol": "babel", "keys": [' + key + "," + key + "]}")
    assert "same id" in str(raises(ConfigError, _load, text))


def test_a_file_that_cannot_be_read():
    def missing(name):
        raise OSError(2, "no such file")

    assert "gateway.json: cannot be read" in str(raises(ConfigError, load_config, missing))
    assert "not UTF-8" in str(raises(ConfigError, load_config, lambda name: b'{"name": "\xff"}'))
    assert "64 KB" in str(raises(ConfigError, load_config, lambda name: b" " * 65537))


def test_json_values():
    table = (
        (" [1, -2, 0, true, false, null] ", [1, -2, 0, True, False, None]),
        ("{}", {}),
        ("[]", []),
        ('"a\\"\\u00e9\\n"', 'a"é\n'),
        ('{"a": {"b": [{}]}}', {"a": {"b": [{}]}}),
    )
    for text, value in table:
        assert parse_json(text) == value, text


def test_json_mistakes_have_a_line():
    table = (
        ("[1,\n]", 2), ("[1 2]", 1), ("[1],", 1), ('"a\nb"', 1), ('"a', 1), ('"\\x"', 1),
        ("01", 1), ("1.5", 1), ("1e3", 1), ("+1", 1), ("nul", 1), ("-", 1), ("\n\n{1: 2}", 3),
        ("[" * 20, 1), ("1" * 16, 1), ('{"a" 1}', 1), ('{"a": 1,}', 1), ("\u00a01", 1),
        ('"\\ud83d\\ude00"', 1), ('"\\u12"', 1), ('"\\u12x4"', 1), ('"\\', 1),
    )  # fmt: skip
    for text, line in table:
        assert raises(JsonError, parse_json, text).line == line, text
