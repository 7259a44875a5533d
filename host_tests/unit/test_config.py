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
        (unhex("0a000000"), 8, None, None, None, None),
        (b"\xfd" + bytes(15), 8, None, None, None, None),
    ]


def test_the_watchdog():
    w = _load(_tunnels(_PARIS)).watchdog
    assert (w.probe_ms, w.idle_probe_ms) == (250, 250)
    assert (w.half_life_s, w.suppress, w.reuse, w.max_suppress_s) == (30, 3000, 1000, 300)
    assert (w.wan, w.always, w.reboots_per_hour) == (None, False, 0)
    w = _load(
        _with(
            '"watchdog": {"probe_ms": 100, "idle_probe_ms": 5000, "wan": "eth0", "always": true,'
            ' "damping": {"half_life_s": 30, "suppress": 2500, "reuse": 800, "max_s": 120},'
            ' "per_hour": {"restart": 20, "engine": 3, "wan": 1, "reboot": 2},'
            ' "device": "/dev/watchdog", "device_s": 60}'
        )
    ).watchdog
    assert (w.probe_ms, w.idle_probe_ms) == (100, 5000)
    assert (w.half_life_s, w.suppress, w.reuse, w.max_suppress_s) == (30, 2500, 800, 120)
    assert (w.restarts_per_hour, w.engines_per_hour) == (20, 3)
    assert (w.wan, w.wan_per_hour, w.reboots_per_hour, w.always) == ("eth0", 1, 2, True)
    assert (w.device, w.device_s) == ("/dev/watchdog", 60)
    # What is idle is probed as often as what is not, unless it says so.
    w = _load(_with('"watchdog": {"probe_ms": 1000}')).watchdog
    assert (w.probe_ms, w.idle_probe_ms) == (1000, 1000)
    assert _load(_with('"watchdog": {"probe_ms": 0}')).watchdog.probe_ms == 0
    assert _load(_with('"watchdog": {"damping": {"suppress": 0}}')).watchdog.suppress == 0
    most = '"damping": {"half_life_s": 1, "suppress": 100000, "reuse": 1, "max_s": 86400}'
    assert _load(_with('"watchdog": {' + most + "}")).watchdog.suppress == 100_000


def test_what_a_safe_start_leaves_out():
    c = _load(_FULL)
    c.watchdog.device, c.watchdog.probe_ms, c.watchdog.reboots_per_hour = "/dev/watchdog", 50, 4
    c.simplify()
    assert c.routing is None and len(c.tunnels) == 2
    assert c.watchdog.device == "/dev/watchdog"
    assert (c.watchdog.probe_ms, c.watchdog.reboots_per_hour) == (250, 0)


def test_state_is_a_folder_or_none():
    for text, expected in (
        (_tunnels(_PARIS), "state"),
        (_with('"state": "/var/lib/lyon"'), "/var/lib/lyon"),
        (_with('"state": null'), None),
    ):
        assert _load(text).state == expected


def test_what_is_probed():
    for text, expected in (
        ("", None), (', "probe": "10.99.0.1"', unhex("0a630001")),
        (', "probe": "fe80::1"', b"\xfe\x80" + bytes(13) + b"\1"),
    ):  # fmt: skip
        tunnel = '{"name": "paris", "profile": "p.ovpn"' + text + "}"
        assert _load(_tunnels(tunnel)).tunnels[0].probe == expected


def test_where_the_api_listens():
    for text in (_tunnels(_PARIS), _with('"api": {}')):
        assert _load(text).api == (unhex("7f000001"), 8086)
    for listen, expected in (
        ("0.0.0.0:80", (bytes(4), 80)),
        ("10.100.0.11:65535", (unhex("0a64000b"), 65535)),
        ("[::1]:8086", (bytes(15) + b"\x01", 8086)),
    ):
        assert _load(_with('"api": {"listen": "%s"}' % listen)).api == expected, listen
    assert _load(_with('"api": {"listen": null}')).api is None
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
        ('"off"', "must be an address and a port"),
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
    assert r.accept == [(unhex("0a000000"), 8, 16, 24, "tun0", None)]
    assert r.keys[0][3:] == ((1795392000, None), (None, 1798761600))


def test_accept_exactly_some_prefixes_of_one_neighbour():
    accept = '{"neighbour": "fe80::b:2", "exactly": ["10.1.0.0/16", "10.100.0.2/32"]}'
    r = _load(_with('"routing": {"protocol": "babel", "accept": [' + accept + "]}")).routing
    peer = b"\xfe\x80" + bytes(11) + b"\x0b\0\2"
    assert r.accept == [
        (unhex("0a010000"), 16, 16, 16, None, peer),
        (unhex("0a640002"), 32, 32, 32, None, peer),
    ]


def _hub(interfaces):
    return (
        '{"name": "paris", "role": "hub", "clients": {"accept": ["10.0.0.0/8"]}, "servers": ['
        '{"name": "s", "device": "bl-s", "management": "/run/s"}],'
        ' "routing": {"protocol": "babel", "interfaces": [' + interfaces + "]}}"
    )


def test_a_hubs_interfaces_of_which_some_are_not_signed():
    r = _load(_hub('"bl-s", {"device": "bl-mesh-2", "signed": false}')).routing
    assert r.interfaces == [("bl-s", True), ("bl-mesh-2", False)]
    error = str(raises(ConfigError, _load, _hub('"bl-s", {"device": "bl-s"}')))
    assert error.startswith("gateway.json: routing.interfaces[1]: is there twice"), error


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
    (
        '{"name": "lyon", "zzz": 1}',
        "gateway.json: zzz: unknown key (known are: name, role, address",
    ),
    ('{"name": "lyon"}', "gateway.json: tunnels: is missing"),
    (_tunnels(""), "gateway.json: tunnels: holds no tunnel"),
    (_tunnels("5"), "gateway.json: tunnels[0]: must be an object"),
    (_tunnels('{"name": "a"}'), "gateway.json: tunnels[0].profile: is missing"),
    (_tunnels('{"profil": "a"}'), "gateway.json: tunnels[0].profil: unknown key (did you mean"),
    (_tunnels(_PARIS + "," + _PARIS), "gateway.json: tunnels[1].name: another tunnel has this"),
    (_tunnels('{"name": "a", "profile": "p", "engine": "x"}'),
     "gateway.json: tunnels[0].engine: unknown value (use one of: native"),
    (_tunnels('{"name": "a", "profile": "p", "device": "abcdefghijklmnop"}'),
     "gateway.json: tunnels[0].device: must have 1 to 15"),
    (_tunnels('{"name": "a", "profile": "p", "device": "a/b"}'),
     "gateway.json: tunnels[0].device: may hold neither"),
    (_tunnels('{"name": "a", "profile": "p", "device": "t"},'
              '{"name": "b", "profile": "p", "device": "t"}'),
     "gateway.json: tunnels[1].device: another tunnel has this device"),
    (_tunnels('{"name": "a", "profile": "p", "probe": "hub.example.net"}'),
     "gateway.json: tunnels[0].probe: not an IPv4 address"),
    (_with('"state": ""'), "gateway.json: state: must have 1 to 255"),
    (_with('"state": 5'), "gateway.json: state: must be a string"),
    (_with('"watchdog": []'), "gateway.json: watchdog: must be an object"),
    (_with('"watchdog": {"prob_ms": 250}'),
     "gateway.json: watchdog.prob_ms: unknown key (did you mean 'probe_ms'?)"),
    (_with('"watchdog": {"probe_ms": 49}'),
     "gateway.json: watchdog.probe_ms: must be 0 (no probes) or at least 50"),
    (_with('"watchdog": {"probe_ms": 60001}'), "gateway.json: watchdog.probe_ms: must be from 0"),
    (_with('"watchdog": {"idle_probe_ms": 100}'),
     "gateway.json: watchdog.idle_probe_ms: is less than probe_ms"),
    (_with('"watchdog": {"wan": "eth 0"}'), "gateway.json: watchdog.wan: may hold neither"),
    (_with('"watchdog": {"always": 1}'), "gateway.json: watchdog.always: must be true or false"),
    (_with('"watchdog": {"device": ""}'), "gateway.json: watchdog.device: must have 1 to 64"),
    (_with('"watchdog": {"device_s": 4}'), "gateway.json: watchdog.device_s: must be from 5"),
    (_with('"watchdog": {"per_hour": {"wan": 1}}'),
     "gateway.json: watchdog.per_hour.wan: no interface is named (add watchdog.wan)"),
    (_with('"watchdog": {"per_hour": {"reboot": 5}}'),
     "gateway.json: watchdog.per_hour.reboot: must be from 0 to 4"),
    (_with('"watchdog": {"per_hour": {"reboots": 1}}'),
     "gateway.json: watchdog.per_hour.reboots: unknown key (did you mean 'reboot'?)"),
    (_with('"watchdog": {"damping": {"half_life_s": 0}}'),
     "gateway.json: watchdog.damping.half_life_s: must be from 1"),
    (_with('"watchdog": {"damping": {"suppress": 1000}}'),
     "gateway.json: watchdog.damping.suppress: must be more than reuse (or 0: no damping)"),
    (_with('"watchdog": {"damping": {"max_s": 40}}'),
     "gateway.json: watchdog.damping.suppress: is more than a penalty can be"),
    (_with('"api": []'), "gateway.json: api: must be an object"),
    (_with('"api": {"listen": null, "port": 1}'), "gateway.json: api.port: unknown key"),
    (_with('"address": "10.0.0"'), "gateway.json: address: not an IPv4 address"),
    (_with('"lans": {}'), "gateway.json: lans: must be an array"),
    (_with('"lans": [{"interface": "a", "prefix": "10.1.0.0/16"},'
           ' {"interface": "b", "prefix": "10.1.7.0/24"}]'),
     "gateway.json: lans[1].prefix: overlaps lans[0].prefix"),
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
    (_with('"routing": {"protocol": "babel", "accept": [{"neighbour": "10.0.0.1",'
           ' "prefix": "10.0.0.0/8"}]}'),
     "gateway.json: routing.accept[0].neighbour: is not a link-local address"),
    (_with('"routing": {"protocol": "babel", "accept": [{"exactly": [],'
           ' "prefix": "10.0.0.0/8"}]}'),
     "gateway.json: routing.accept[0]: has both prefix and exactly"),
    (_with('"routing": {"protocol": "babel", "accept": [{"exactly": ["10/8"]}]}'),
     "gateway.json: routing.accept[0].exactly[0]: not an IPv4 address"),
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
    assert "1 MB" in str(raises(ConfigError, load_config, lambda name: b" " * ((1 << 20) + 1)))


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


_FILTER = (
    '{"name": "lyon", "address": "10.100.0.11", '
    '"lans": [{"interface": "eth1", "prefix": "192.168.11.0/24"}], '
    '"routing": {"protocol": "babel", "announce": ["192.168.11.0/25", "172.16.0.0/16"]}, '
    '"tunnels": [' + _PARIS + '], "filter": %s}'
)
_PEERS = '{"peers": {"hubs": ["10.1.0.0/16", "fd00::/8", "10.2.0.0/16"]}, "rules": [%s]}'


def test_the_filter():
    rules = (
        '{"to": "hubs", "allow": ["any", "icmp"]}, '
        '{"from": "hubs", "allow": ["tcp/443", "udp", "udp/5-65535"]}'
    )
    f = _load(_FILTER % _PEERS % rules).filter
    # Everything behind the gateway, each address once.
    assert f.own == (unhex("0a64000b20 ac10000010 c0a80b0018"), b"")
    assert f.peers == {"hubs": (unhex("0a01000010 0a02000010"), b"\xfd" + bytes(15) + b"\x08")}
    assert f.rules == [
        (True, "hubs", unhex("000000ffff 010000ffff")),
        (False, "hubs", unhex("0601bb01bb 110000ffff 110005ffff")),
    ]
    assert _load(_FILTER % "{}").filter.rules == [], "nothing is allowed"
    assert _load(_tunnels(_PARIS)).filter is None


def test_a_filter_stays_in_safe_mode():
    config = _load(_FILTER % "{}")
    config.simplify()
    assert config.routing is None and config.filter.own


def test_mistakes_in_the_filter():
    rule = '{"to": "hubs", "allow": [%s]}'
    prefixes = ['"10.%d.%d.0/24"' % (i >> 8, i & 255) for i in range(600)]
    names = ", ".join(['"p%d": []' % i for i in range(33)])
    many, half = ", ".join(prefixes), ", ".join(prefixes[300:])
    for text, where, word in (
        ('{"rule": []}', "filter.rule", "rules"),
        ('{"peers": []}', "filter.peers", "object"),
        ('{"peers": {"a b": []}}', "filter.peers.a b", "letters"),
        ('{"peers": {"hubs": ["10.1.0.0/33"]}}', "filter.peers.hubs[0]", "prefix"),
        ('{"peers": {"hubs": ["10.1.2.0/24", "10.0.0.0/8"]}}', "filter.peers.hubs", "within"),
        ('{"peers": {"hubs": [%s]}}' % many, "filter.peers", "512"),
        ('{"peers": {"a": [%s], "b": [%s]}}' % (half, half), "filter.peers", "adjoin"),
        ('{"peers": {%s}}' % names, "filter.peers", "32"),
        (_PEERS % ", ".join([rule % '"any"'] * 65), "filter.rules", "64"),
        (_PEERS % ", ".join([rule % ", ".join(['"tcp"'] * 100)] * 3), "filter.rules", "256"),
        (_PEERS % '{"allow": ["any"]}', "filter.rules[0]", "from"),
        (_PEERS % '{"to": "hubs", "from": "hubs", "allow": ["any"]}', "filter.rules[0]", "from"),
        (_PEERS % '{"to": "hub", "allow": ["any"]}', "filter.rules[0].to", "'hubs'"),
        (_PEERS % '{"to": "hubs"}', "filter.rules[0].allow", "nothing"),
        (_PEERS % (rule % ""), "filter.rules[0].allow", "nothing"),
        (_PEERS % (rule % "80"), "filter.rules[0].allow[0]", "service"),
        (_PEERS % (rule % '"any/80"'), "filter.rules[0].allow[0]", "service"),
        (_PEERS % (rule % '"icmp/8"'), "filter.rules[0].allow[0]", "service"),
        (_PEERS % (rule % '"tcp", "tcp/"'), "filter.rules[0].allow[1]", "service"),
        (_PEERS % (rule % '"tcp/0"'), "filter.rules[0].allow[0]", "service"),
        (_PEERS % (rule % '"tcp/65536"'), "filter.rules[0].allow[0]", "service"),
        (_PEERS % (rule % '"tcp/9-8"'), "filter.rules[0].allow[0]", "service"),
        (_PEERS % (rule % '"tcp/8-"'), "filter.rules[0].allow[0]", "service"),
        (_PEERS % (rule % '"tcp/-8"'), "filter.rules[0].allow[0]", "service"),
        (_PEERS % (rule % '"sctp/8"'), "filter.rules[0].allow[0]", "service"),
    ):
        error = raises(ConfigError, _load, _FILTER % text)
        assert error.where == "gateway.json: " + where, (text[:60], str(error))
        assert word in str(error), (text[:60], str(error))
    error = raises(ConfigError, _load, _with('"filter": {}'))
    assert "`address`, or `lans`" in str(error)
