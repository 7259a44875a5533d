"""Profiles (.ovpn): directives, blocks, files, remotes, and what is refused with which words."""

from binascii import b2a_base64, hexlify

from branchline.openvpn.profile_parser import parse_profile
from branchline.wire.errors import ConfigError
from support import raises


def _pem(kind):
    return "-----BEGIN " + kind + "-----\nAAAA\n-----END " + kind + "-----\n"


_CA = _pem("CERTIFICATE")
_KEY = _pem("PRIVATE KEY")
_STATIC = bytes(range(256))
_STATIC_FILE = (
    "#\n# 2048 bit OpenVPN static key\n#\n-----BEGIN OpenVPN Static key V1-----\n"
    + "\n".join([hexlify(_STATIC[i : i + 16]).decode() for i in range(0, 256, 16)])
    + "\n-----END OpenVPN Static key V1-----\n"
)
_WKC = bytes(298) + (300).to_bytes(2, "big")
_V2_FILE = (
    "-----BEGIN OpenVPN tls-crypt-v2 client key-----\n"
    + b2a_base64(_STATIC + _WKC).decode()
    + "-----END OpenVPN tls-crypt-v2 client key-----\n"
)
_FILES = {
    "ca.crt": _CA, "me.crt": _CA, "me.key": _KEY, "ta.key": _STATIC_FILE, "v2.key": _V2_FILE,
    "login": "ann\r\nse cret\r\n", "half": "ann\n", "crl.pem": _pem("X509 CRL"),
}  # fmt: skip
_BASE = "client\ndev tun\nca ca.crt\ncert me.crt\nkey me.key\n"
_REMOTE = "remote hub.example 1194\n"


def _read_file(name):
    if name not in _FILES:
        raise OSError(2)
    return _FILES[name].encode()


def _parse(text, base=_BASE + _REMOTE):
    return parse_profile("p.ovpn", (base + text).encode(), _read_file)


def _refused(text, base=_BASE + _REMOTE):
    return raises(ConfigError, _parse, text, base)


def _remotes(profile):
    return [(r.host, r.port, r.proto) for r in profile.remotes]


def test_defaults_are_the_stock_clients():
    p = _parse("")
    assert _remotes(p) == [("hub.example", 1194, "udp")]
    assert (p.pull, p.dev, p.dev_type, p.auth, p.tls_wrap) == (True, "tun", "tun", "SHA1", None)
    assert p.data_ciphers == ("AES-256-GCM", "AES-128-GCM", "CHACHA20-POLY1305")
    assert (p.data_ciphers_fallback, p.cipher, p.compress) == (None, None, "")
    assert (p.reneg_sec, p.hand_window, p.tran_window, p.tls_timeout) == (3600, 60, 3600, 2)
    assert (p.connect_retry, p.server_poll_timeout, p.resolv_retry) == (None, None, None)
    assert (p.tun_mtu, p.mssfix, p.replay_window) == (1500, (1492, "mtu"), (64, 15))
    assert (p.ping, p.ping_restart, p.inactive, p.explicit_exit_notify) == (0, 0, (0, 0), 0)
    assert (p.local, p.lport, p.topology) == (None, None, "net30")
    assert (p.ca, p.key) == (_CA.encode(), _KEY.encode())
    raises(AttributeError, getattr, p, "no_such_thing")


# (lines, attribute, value)
_VALUES = (
    ("proto tcp-client", "remotes", [("hub.example", 1194, "tcp")]),
    ("proto udp6\nremote b.example 53 tcp4-client\nremote c.example", "remotes",
     [("hub.example", 1194, "udp6"), ("b.example", 53, "tcp4"), ("c.example", 1194, "udp6")]),
    ("port 443\nremote b.example", "remotes",
     [("hub.example", 1194, "udp"), ("b.example", 443, "udp")]),
    ("rport 444\nport 443\nremote b.example", "remotes",
     [("hub.example", 1194, "udp"), ("b.example", 444, "udp")]),
    ("remote b.example 1 tcp\nproto-force tcp", "remotes", [("b.example", 1, "tcp")]),
    ("dev tap7", "dev_type", "tap"),
    ("dev vpn0\ndev-type tun", "dev", "vpn0"),
    ("float", "float", True),
    ("nobind", "nobind", True),
    ("bind", "lport", 1194),
    ("bind-dev vrf-blue", "bind_dev", "vrf-blue"),
    ("mark 7", "mark", 7),
    ("sndbuf 65536", "sndbuf", 65536),
    ("lport 0", "lport", 0),
    ("local 192.0.2.1", "local", "192.0.2.1"),
    ("auth sha256", "auth", "SHA256"),
    ("auth RSA-SHA512", "auth", "SHA512"),
    ("auth SHA2-384", "auth", "SHA384"),
    ("auth none", "auth", "none"),
    ("data-ciphers aes-128-gcm:?CHACHA20-POLY1305:BF-CBC", "data_ciphers",
     ("AES-128-GCM", "CHACHA20-POLY1305")),
    ("ncp-ciphers AES-256-GCM", "data_ciphers", ("AES-256-GCM",)),
    ("cipher aes-256-cbc", "cipher", "AES-256-CBC"),
    ("cipher AES-256-CBC", "data_ciphers_fallback", None),
    ("cipher AES-256-CBC\ncompat-mode 2.4.0", "data_ciphers_fallback", "AES-256-CBC"),
    ("data-ciphers-fallback aes-128-cbc", "data_ciphers_fallback", "AES-128-CBC"),
    ("comp-lzo no", "compress", "lzo-stub"),
    ("compress", "compress", "stub"),
    ("compress stub-v2", "compress", "stub-v2"),
    ("allow-compression no", "allow_compression", "no"),
    ("keepalive 10 60", "ping", 10),
    ("keepalive 10 60", "ping_restart", 60),
    ("ping-exit 30", "ping_exit", 30),
    ("inactive 600 3000000000", "inactive", (600, 3000000000)),
    ("explicit-exit-notify", "explicit_exit_notify", 1),
    ("explicit-exit-notify 3", "explicit_exit_notify", 3),
    ("tun-mtu 1400", "tun_mtu", 1400),
    ("mssfix 1300", "mssfix", (1300, "")),
    ("mssfix 0", "mssfix", (0, "")),
    ("mssfix 1400 mtu", "mssfix", (1400, "mtu")),
    ("reneg-sec 0", "reneg_sec", 0),
    ("reneg-sec 7200 3600", "reneg_sec", 7200),
    ("connect-retry 5", "connect_retry", (5, 300)),
    ("connect-retry 400 10", "connect_retry", (400, 400)),
    ("connect-retry-max 7", "connect_retry_max", 7),
    ("connect-timeout 9", "server_poll_timeout", 9),
    ("resolv-retry infinite", "resolv_retry", None),
    ("resolv-retry 20", "resolv_retry", 20),
    ("replay-window 512 20", "replay_window", (512, 20)),
    ("remote-random", "remote_random", True),
    ("tls-version-min 1.0", "tls_version_min", "1.2"),
    ("tls-version-min 1.3 or-highest", "tls_version_min", "1.3"),
    ("tls-version-max 1.2", "tls_version_max", "1.2"),
    ("tls-cipher TLS-ECDHE-ECDSA-WITH-AES-256-GCM-SHA384", "tls_cipher",
     ("TLS-ECDHE-ECDSA-WITH-AES-256-GCM-SHA384",)),
    ('tls-cipher "DEFAULT:@SECLEVEL=0"', "tls_cipher", None),
    ("tls-ciphersuites TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256", "tls_ciphersuites",
     ("TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256")),
    ("remote-cert-tls server", "remote_cert_eku", "1.3.6.1.5.5.7.3.1"),
    ("remote-cert-tls server", "remote_cert_ku", ()),
    ("remote-cert-ku a0 88", "remote_cert_ku", (0xA0, 0x88)),
    ('remote-cert-eku "TLS Web Server Authentication"', "remote_cert_eku", "1.3.6.1.5.5.7.3.1"),
    ("remote-cert-eku 1.2.3", "remote_cert_eku", "1.2.3"),
    ("verify-x509-name 'C=DE, CN=hub'", "verify_x509_name", ("C=DE, CN=hub", "subject")),
    ("verify-x509-name hub name", "verify_x509_name", ("hub", "name")),
    ("verify-x509-name hub- name-prefix", "verify_x509_name", ("hub-", "name-prefix")),
    ("crl-verify crl.pem", "crl", _pem("X509 CRL").encode()),
    ("auth-user-pass login", "auth_user_pass", (b"ann", b"se cret")),
    ("tls-auth ta.key 1", "key_direction", 1),
    ("tls-auth ta.key\nkey-direction 0", "key_direction", 0),
    ("tls-auth ta.key", "tls_wrap", "auth"),
    ("tls-crypt ta.key", "tls_key", _STATIC),
    ("tls-crypt-v2 v2.key", "tls_key", _STATIC),
    ("tls-crypt-v2 v2.key", "wkc", _WKC),
    ("setenv UV_SITE lyon\nsetenv UV_X", "peer_info", (("UV_SITE", "lyon"), ("UV_X", ""))),
    ("push-peer-info", "push_peer_info", True),
    ("route-nopull", "route_nopull", True),
    ('pull-filter ignore "route "\npull-filter accept x', "pull_filters",
     (("ignore", b"route "), ("accept", b"x"))),
    ("route 10.0.0.0 255.0.0.0", "routes", [(b"\x0a\0\0\0", 8, None, None)]),
    ("redirect-gateway def1 bypass-dhcp", "redirect_gateway", ("def1", "bypass-dhcp")),
    ("redirect-private", "redirect_gateway", ("private",)),
    ("dhcp-option DNS 10.0.0.1", "dhcp_options", [("DNS", "10.0.0.1")]),
    ("topology subnet", "topology", "subnet"),
    ("--verb 3\n--float", "float", True),
    ("float\r\n", "float", True),
    ("setenv opt reneg-sec 5", "reneg_sec", 5),
    ("setenv opt no-such-thing 5", "reneg_sec", 3600),
    ("setenv opt fragment 1300", "reneg_sec", 3600),
    ("ignore-unknown-option foo --bar\nfoo 1\nbar", "reneg_sec", 3600),
    ("setenv FORWARD_COMPATIBLE 1\nfuture-thing", "reneg_sec", 3600),
    ("up /etc/openvpn/update-resolv-conf", "reneg_sec", 3600),
)  # fmt: skip


def test_values_of_directives():
    for lines, attribute, expected in _VALUES:
        profile = _parse(lines)
        value = _remotes(profile) if attribute == "remotes" else getattr(profile, attribute)
        assert value == expected, (lines, value)


# (lines, what the message must hold)
_REFUSED = (
    ("fragment 1300", "p.ovpn:7: fragment: fragmentation"),
    ("compress lz4-v2", "p.ovpn:7: compress: compression is not supported"),
    ("comp-lzo", "compression is not supported"),
    ("comp-lzo adaptive", "compression is not supported"),
    ("http-proxy 192.0.2.1 80", "http-proxy: proxies are not supported"),
    ("<http-proxy-user-pass>\na\nb\n</http-proxy-user-pass>", "proxies"),
    ("socks-proxy 192.0.2.1", "proxies"),
    ("secret static.key", "static keys"),
    ("pkcs12 me.p12", "openssl pkcs12"),
    ("pkcs11-id x", "tokens"),
    ("tls-server", "server's configuration"),
    ("mode server", "client only"),
    ("server 10.8.0.0 255.255.255.0", "server's configuration"),
    ("up ./route.sh", "runs no scripts"),
    ("plugin x.so", "runs no scripts"),
    ("auth-user-pass", "nobody is there to be asked"),
    ("auth-user-pass half", "two lines"),
    ("auth-user-pass nofile", "cannot read the file 'nofile'"),
    ("crl-verify crls dir", "directory"),
    ("ns-cert-type server", "use remote-cert-tls server"),
    ("remote-cert-tls client", "remote-cert-tls server"),
    ("tls-auth ta.key\ntls-crypt ta.key", "p.ovpn:8: tls-crypt: excludes tls-auth"),
    ("tls-auth ca.crt", "no 'OpenVPN Static key V1' in it"),
    ("tls-crypt-v2 ta.key", "no 'OpenVPN tls-crypt-v2 client key' in it"),
    ("auth whirlpool", "must be one of: SHA1"),
    ("auth none\ntls-auth ta.key", "tls-auth needs a digest"),
    ("auth none\ndata-ciphers AES-256-CBC", "not protected"),
    ("data-ciphers BF-CBC", "none of these is supported"),
    ("data-ciphers-fallback none", "must be one of"),
    ("proto tcp-server", "must be one of: udp"),
    ("proto sctp", "must be one of: udp"),
    ("remote", "takes 1 to 3 arguments, not 0"),
    ("float 1", "takes no argument, not 1"),
    ("keepalive 10", "takes 2 arguments, not 1"),
    ("keepalive 10 15", "at least twice"),
    ("reneg-sec soon", "not a number"),
    ("port 0", "from 1 to 65535"),
    ("port 65536", "more than 65535"),
    ("tun-mtu 20", "less than 68"),
    ("dev null", "device's name"),
    ("dev vpn0", "add: dev-type tun"),
    ("dev tun-is-much-too-long", "15 characters"),
    ("remotee x", "did you mean 'remote'?"),
    ("data-cipher x", "did you mean 'data-ciphers'?"),
    ("verbb 3", "did you mean 'verb'?"),
    ("setenv opt", "names no directive"),
    ("MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A", "p.ovpn:7: no directive"),
    ("<ca>\n" + _CA, "p.ovpn:7: <ca>: the block is not closed"),
    ("<verb>\n3\n</verb>\n<float>\n</float>", "p.ovpn:10: float: takes no argument"),
    ("<remote>\nx\n</remote>", "cannot be an inline block"),
    ('dev "tun', "p.ovpn:7: a closing quote is missing"),
    ("#" + "x" * 254, "longer than 254"),
    ("route 10.0.0.0 255.0.255.0", "not a netmask"),
    ("route hub.example", "not an IPv4 address"),
    ("ifconfig 10.8.0.2 10.8.0.3\ntopology subnet", "does not fit the topology"),
    ("auth-token x", "server's push"),
    ("tls-cipher ECDHE-RSA-AES128-SHA", "IANA"),
    ("tls-version-max 1.1", "must be one of: 1.2 1.3"),
    ("tls-version-min 1.3\ntls-version-max 1.2", "above tls-version-max"),
    ("proto-force tcp", "proto-force leaves none"),
    ("key ca.crt", "key holds no PEM 'PRIVATE KEY'"),
    ("<key>\n" + _pem("ENCRYPTED PRIVATE KEY") + "</key>", "the key is encrypted"),
    ("<connection>\nverb 3\nfragment 1\nremote a\n</connection>", "p.ovpn:9: fragment:"),
    ("<connection>\nremote-random\n</connection>", "p.ovpn:8: remote-random: may not stand"),
    ("<connection>\nproto udp\n</connection>", "p.ovpn:7: connection: needs exactly one"),
    ("connection x", "must be a block"),
)


def test_refusals_name_line_directive_and_reason():
    for lines, words in _REFUSED:
        error = str(_refused(lines))
        assert words in error, (lines, error)
        assert error.startswith("p.ovpn"), error


def test_what_a_profile_must_hold():
    table = (
        ("", "neither 'client' nor 'tls-client'"),
        ("client\n", "no 'remote'"),
        ("client\n" + _REMOTE, "no 'dev'"),
        ("client\ndev tun\n" + _REMOTE, "no 'ca'"),
        ("client\ndev tun\nca ca.crt\n" + _REMOTE, "nothing proves who the client is"),
        ("client\ndev tun\nca ca.crt\ncert me.crt\n" + _REMOTE, "give both"),
        ("tls-client\n" + _BASE[7:] + _REMOTE, "gets no address"),
    )
    for text, words in table:
        error = str(_refused("", text))
        assert words in error, (text, error)


def test_secrets_are_not_in_errors():
    secret = "s3cretpassw0rd"
    for lines in (
        "<auth-user-pass>\n" + secret + "\n</auth-user-pass>",
        "<tls-crypt>\n" + secret + "\n</tls-crypt>",
        "<key>\n" + secret + "\n</key>",
        "auth-user-pass login\n" + secret,
    ):
        assert secret not in str(_refused(lines)), lines
    assert "se cret" not in repr(_parse("auth-user-pass login"))


def test_inline_blocks_with_crlf_bom_and_indented_tags():
    text = _BASE.replace("ca ca.crt", "<ca>\n" + _CA + "  </ca> trailing") + _REMOTE
    text = "\ufeff" + (text + "key-direction 1\n<tls-auth>\n" + _STATIC_FILE + "</tls-auth>")
    p = parse_profile("p.ovpn", text.replace("\n", "\r\n").encode(), _read_file)
    assert p.ca == _CA.replace("\n", "\r\n").encode()
    assert (p.tls_wrap, p.tls_key, p.key_direction) == ("auth", _STATIC, 1)


def test_a_tag_within_a_line_does_not_close_the_block():
    text = "<ca>\n" + _CA + "x </ca>\n</ca>\n"
    assert _parse(text).ca == (_CA + "x </ca>\n").encode()


def test_connection_blocks_keep_their_own_values():
    p = _parse(
        "proto udp\nport 5000\ntls-auth ta.key 1\n"
        "<connection>\nremote a.example\nproto tcp\n</connection>\n"
        "<connection>\nremote b.example 53 udp\ntun-mtu 1300\nconnect-timeout 5\n"
        "explicit-exit-notify 2\nnobind\n</connection>\n"
    )
    assert _remotes(p)[1:] == [("a.example", 5000, "tcp"), ("b.example", 53, "udp")]
    a, b = p.at(p.remotes[1]), p.at(p.remotes[2])
    assert a is p and p.at(p.remotes[0]) is p
    assert (b.tun_mtu, b.server_poll_timeout, b.explicit_exit_notify) == (1300, 5, 2)
    assert b.nobind and b.tls_key == _STATIC and b.ca == p.ca
    assert (p.tun_mtu, p.server_poll_timeout, p.nobind) == (1500, None, False)


def test_remotes_know_transport_and_family():
    p = _parse("remote a 1 tcp6-client\nremote b 1 udp4")
    assert [(r.is_tcp(), r.family()) for r in p.remotes] == [(False, 0), (True, 6), (False, 4)]


def test_ignored_directives_are_kept_with_line_and_reason():
    p = _parse("verb 3\n\npersist-tun\nuser nobody")
    assert [entry[:2] for entry in p.ignored] == [("verb", 7), ("persist-tun", 9), ("user", 10)]
    assert "log" in p.ignored[0][2]


def test_everything_is_bounded():
    assert "longer than 64 KB" in str(_refused("#\n" * 40000))
    assert "more than 64 remotes" in str(_refused("remote a\n" * 64))
    assert "more than 128" in str(
        _refused("".join(["route 10.%d.%d.0\n" % (i >> 8, i & 255) for i in range(129)]))
    )
