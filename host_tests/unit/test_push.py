"""PUSH_REPLY and the options of a tunnel."""

from branchline.openvpn.options import TunnelOptions
from branchline.openvpn.profile import Profile
from branchline.openvpn.pull import Pull
from branchline.openvpn.push import PushRejected, PushReply
from branchline.wire.errors import ProtocolError
from support import raises, unhex


def _profile(**values):
    profile = Profile()
    profile.dev = profile.dev_type = "tun"
    for name, value in values.items():
        setattr(profile, name, value)
    return profile


def _pull(text, **values):
    pull = Pull(_profile(**values))
    pull.apply(text.encode().split(b","))
    return pull


_TYPICAL = (
    "PUSH_REPLY,route 10.1.0.0 255.255.0.0,route-ipv6 fd00:1::/48,route-gateway 10.8.0.1,"
    "topology subnet,ping 10,ping-restart 60,ifconfig-ipv6 fd00::1000/64 fd00::1,"
    "ifconfig 10.8.0.2 255.255.255.0,peer-id 5,cipher AES-256-GCM,protocol-flags cc-exit tls-ekm,"
    "tun-mtu 1400,dhcp-option DNS 10.8.0.1,redirect-gateway def1"
)


def test_a_typical_reply():
    reply = PushReply()
    assert reply.add(_TYPICAL.encode())
    pull = Pull(_profile())
    o = pull.apply(reply.options)
    assert o is pull.options and pull.counters.nonzero() == {"accepted": 14} and not pull.notes
    assert o.routes == [(unhex("0a010000"), 16, None, None)]
    assert o.routes_ipv6 == [(unhex("fd000001") + bytes(12), 48, None, None)]
    assert (o.route_gateway, o.topology) == (unhex("0a080001"), "subnet")
    assert (o.ping, o.ping_restart, o.peer_id, o.cipher) == (10, 60, 5, "AES-256-GCM")
    assert o.ifconfig_ipv6 == (
        unhex("fd00") + bytes(12) + unhex("1000"), 64, unhex("fd00") + bytes(13) + b"\1"
    )  # fmt: skip
    assert o.addresses("tun") == (unhex("0a080002"), 24, None)
    assert (o.protocol_flags, o.key_derivation) == (("cc-exit", "tls-ekm"), "tls-ekm")
    assert (o.tun_mtu, o.redirect_gateway) == (1400, ("def1",))
    assert o.dhcp_options == [("DNS", "10.8.0.1")]


def test_net30_and_p2p_have_a_peer():
    for topology in ("", ",topology p2p", ",topology net30"):
        o = _pull("ifconfig 10.8.0.6 10.8.0.5" + topology).options
        assert o.addresses("tun") == (unhex("0a080006"), 32, unhex("0a080005"))
    tap = _pull("ifconfig 10.8.0.6 255.255.255.0", dev_type="tap").options
    assert tap.addresses("tap") == (unhex("0a080006"), 24, None)
    assert TunnelOptions().addresses("tun") is None


def test_values():
    table = (
        ("explicit-exit-notify", "explicit_exit_notify", 1),
        ("explicit-exit-notify 2", "explicit_exit_notify", 2),
        ("inactive 60", "inactive", (60, 0)),
        ("inactive 60 1000", "inactive", (60, 1000)),
        ("compress", "compress", "stub"),
        ("compress stub-v2", "compress", "stub-v2"),
        ("comp-lzo no", "compress", "lzo-stub"),
        ("compress migrate", "compress", ""),
        ("key-derivation tls-ekm", "key_derivation", "tls-ekm"),
        ("auth-token SESS_ID_x", "auth_token", b"SESS_ID_x"),
        ("auth-token-user YW5u", "auth_token_user", b"ann"),
        ("route 10.1.2.3", "routes", [(unhex("0a010203"), 32, None, None)]),
        ("route 10.1.2.3 255.255.0.0 net_gateway 5", "routes",
         [(unhex("0a010000"), 16, "net_gateway", 5)]),
        ("route remote_host 255.255.255.255 10.0.0.1", "routes",
         [("remote_host", 32, unhex("0a000001"), None)]),
        ("route 10.1.2.3 default default 7", "routes", [(unhex("0a010203"), 32, None, 7)]),
        ("route-ipv6 fd00::1/64 fd00::2 9", "routes_ipv6",
         [(unhex("fd00") + bytes(14), 64, unhex("fd00") + bytes(13) + b"\2", 9)]),
        ("route 10.0.0.0,route 10.0.0.0", "routes", [(unhex("0a000000"), 32, None, None)]),
        ("route-gateway dhcp", "route_gateway", "dhcp"),
        ("redirect-gateway", "redirect_gateway", ()),
        ("redirect-private !ipv4 ipv6", "redirect_gateway", ("!ipv4", "ipv6", "private")),
        ("dns server 1 address 10.0.0.1", "dns", [("server", "1", "address", "10.0.0.1")]),
        ("cipher aes-128-gcm", "cipher", "AES-128-GCM"),
        ('dhcp-option DOMAIN "a b"', "dhcp_options", [("DOMAIN", "a b")]),
        ("  ping 5", "ping", 5),
    )  # fmt: skip
    for text, name, value in table:
        assert getattr(_pull(text).options, name) == value, text


def test_what_is_not_used_is_counted_and_noted():
    table = (
        ("verb 3", "ignored"), ("script-security 2", "ignored"), ("ca x", "ignored"),
        ("__init__ 3", "ignored"), ("ping", "ignored"), ("ping 1 2", "ignored"),
        ("set_route 10.0.0.0", "ignored"), ("routes 1", "ignored"), ("auth-token a b", "ignored"),
        ("ping x", "malformed"), ("route 300.0.0.0", "malformed"), ('route "10', "malformed"),
        ("route-ipv6 fd00::/129", "malformed"), ("route-gateway gw", "malformed"),
        ("redirect-gateway all", "malformed"), ("ping 99999999999", "malformed"),
        ("auth-token-user YW5", "malformed"), ("ifconfig-ipv6 fd00::/a fd00::1", "malformed"),
        ("inactive -1", "malformed"), ("ping \\x", "malformed"),
    )  # fmt: skip
    for text, counter in table:
        pull = _pull(text)
        assert pull.counters.nonzero() == {counter: 1}, (text, pull.counters.nonzero())
        assert len(pull.notes) == 1, text


def test_notes_are_bounded_and_printable():
    pull = _pull(",".join(["x\x1b[1m%d" % i for i in range(40)]))
    assert len(pull.notes) == 16 and pull.counters["ignored"] == 40
    assert pull.notes[0][1] == "x?[1m0"


def test_what_the_tunnel_cannot_do_without_rejects_the_reply():
    for text in (
        "compress lz4-v2", "comp-lzo", "comp-lzo yes", "topology mesh", "peer-id 16777216",
        "peer-id x", "key-derivation other", "tun-mtu 9000", "tun-mtu 10", "tun-mtu x",
        "ifconfig 10.8.0.2 x", "topology subnet,ifconfig 10.8.0.2 10.8.0.3",
    ):  # fmt: skip
        raises(PushRejected, _pull, text)


def test_pull_filters_first_match_decides():
    filters = (
        ("accept", b"route 10.1."), ("ignore", b"route "), ("reject", b"redirect-gateway"),
    )  # fmt: skip
    pull = _pull("route 10.1.0.0,route 10.2.0.0,route-gateway 10.0.0.1", pull_filters=filters)
    assert pull.options.routes == [(unhex("0a010000"), 32, None, None)]
    assert pull.options.route_gateway == unhex("0a000001")
    assert pull.counters.nonzero() == {"accepted": 2, "filtered": 1}
    raises(PushRejected, _pull, "redirect-gateway def1", pull_filters=filters)


def test_route_nopull_keeps_routes_and_dns_out_but_not_addresses():
    pull = _pull(
        "route 10.1.0.0,route-ipv6 fd00::/8,dhcp-option DNS 10.0.0.1,redirect-gateway def1,"
        "route-metric 5,ifconfig 10.8.0.6 10.8.0.5,route-gateway 10.8.0.5,ping 9",
        route_nopull=True,
    )
    o = pull.options
    assert (o.routes, o.routes_ipv6, o.dhcp_options, o.redirect_gateway) == ([], [], [], None)
    assert o.ifconfig and o.route_gateway and o.ping == 9
    assert pull.counters.nonzero() == {"accepted": 3, "ignored": 5}


def test_the_profiles_options_are_the_base_and_stay_as_they_are():
    profile = _profile()
    profile.options.apply(["route", "10.9.0.0"])
    profile.options.apply(["ping", "3"])
    profile.options.apply(["cipher", "AES-256-CBC"])
    merged = Pull(profile).apply([b"route 10.1.0.0", b"ping 7"])
    assert len(merged.routes) == 2 and merged.ping == 7 and merged.cipher is None
    assert len(profile.options.routes) == 1 and profile.ping == 3


def test_push_continuations():
    reply = PushReply()
    assert not reply.add(b"PUSH_REPLY,ping 1,push-continuation 2")
    assert not reply.add(b"PUSH_REPLY,push-continuation 2,ping 2")
    assert reply.add(bytearray(b"PUSH_REPLY,ping 3,push-continuation 1"))
    assert reply.options == [b"ping 1", b"ping 2", b"ping 3"]
    assert PushReply().add(b"PUSH_REPLY") and PushReply().add(b"PUSH_REPLY,")


def test_replies_are_bounded():
    raises(ProtocolError, PushReply().add, b"PUSH_REQUEST")
    raises(ProtocolError, PushReply().add, b"PUSH_REPLYX,ping 1")
    raises(ProtocolError, PushReply().add, b"PUSH_REPLY" + b",a" * 513)
    raises(ProtocolError, PushReply().add, b"PUSH_REPLY," + b"a" * 32768)
    pull = _pull(",".join(["route 10.%d.%d.0" % (i >> 8, i & 255) for i in range(200)]))
    assert len(pull.options.routes) == 128 and pull.counters["malformed"] == 72
