"""Profiles as common tools and providers write them are read unchanged."""

from binascii import hexlify

from branchline.openvpn.profile_parser import parse_profile

_CERT = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
_KEY = "-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----\n"
_TA = (
    "-----BEGIN OpenVPN Static key V1-----\n"
    + "\n".join([hexlify(bytes(range(i, i + 16))).decode() for i in range(16)])
    + "\n-----END OpenVPN Static key V1-----\n"
)


def _block(name, text):
    return "<" + name + ">\n" + text + "</" + name + ">\n"


_IDENTITY = _block("ca", _CERT) + _block("cert", _CERT) + _block("key", _KEY)

# The stock sample with easy-rsa's keys inline: comments of both kinds, a certificate's text form.
_EASY_RSA = (
    """##############################################
# Client-side configuration file             #
##############################################
client

;dev tap
dev tun

;dev-node MyTap
;proto tcp
proto udp
remote my-server-1 1194
;remote my-server-2 1194
;remote-random
resolv-retry infinite
nobind
;user nobody
persist-key
persist-tun
;http-proxy-retry # retry on connection failures
remote-cert-tls server
cipher AES-256-GCM
auth SHA256
verb 3
;mute 20
"""
    + _block("ca", _CERT)
    + _block(
        "cert",
        "Certificate:\n    Data:\n        Version: 3 (0x2)\n    Signature Algorithm: x\n" + _CERT,
    )
    + _block("key", _KEY)
    + _block("tls-crypt", "#\n# 2048 bit OpenVPN static key\n#\n" + _TA)
)

_PFSENSE = (
    """dev tun
persist-tun
persist-key
data-ciphers AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305:AES-256-CBC
data-ciphers-fallback AES-256-CBC
auth SHA256
tls-client
client
resolv-retry infinite
remote vpn.example.net 1194 udp4
nobind
verify-x509-name "hub server" name
auth-user-pass login.txt
remote-cert-tls server
explicit-exit-notify
"""
    + _IDENTITY
    + "key-direction 1\n"
    + _block("tls-auth", "#\n# 2048 bit OpenVPN static key\n#\n" + _TA)
)

_OPNSENSE = (
    """dev ovpnc1
dev-type tun
persist-tun
persist-key
auth SHA512
client
resolv-retry infinite
remote 203.0.113.7 1194 udp
remote 203.0.113.8 1194 udp
lport 0
verify-x509-name "C=NL, ST=ZH, L=Delft, O=Example, CN=hub" subject
remote-cert-tls server
compress migrate
"""
    + _IDENTITY
)

# A consumer provider's: many remotes, Windows-only and tuning directives, user and password.
_PROVIDER = (
    """client
dev tun
proto udp
remote 198.51.100.1 1194
remote 198.51.100.1 51820
remote 198.51.100.1 80
remote-random
resolv-retry infinite
nobind
tun-mtu 1500
tun-mtu-extra 32
mssfix 1450
persist-key
persist-tun
ping 15
ping-restart 0
ping-timer-rem
reneg-sec 0
fast-io
comp-lzo no
sndbuf 524288
rcvbuf 524288
remote-cert-tls server
auth-user-pass login.txt
auth-nocache
script-security 2
up /etc/openvpn/update-resolv-conf
down /etc/openvpn/update-resolv-conf
setenv opt block-outside-dns
ignore-unknown-option data-channel-offload
data-channel-offload
verb 3
pull
fast-io
cipher AES-256-CBC
auth SHA512
"""
    + _block("ca", _CERT)
    + "key-direction 1\n"
    + _block("tls-auth", _TA)
)

# An access server's: FORWARD_COMPATIBLE, UV_ variables, comments that hold PEM.
_ACCESS_SERVER = (
    """# Automatically generated OpenVPN client config file
## -----BEGIN RSA SIGNATURE-----
## DIGEST:sha256
## -----END RSA SIGNATURE-----
setenv FORWARD_COMPATIBLE 1
client
server-poll-timeout 4
nobind
remote vpn.example.org 1194 udp
remote vpn.example.org 443 tcp
dev tun
dev-type tun
remote-cert-tls server
tls-version-min 1.2
reneg-sec 604800
auth-user-pass login.txt
verb 3
push-peer-info
setenv UV_ASCLI_VER 2.0
setenv PUSH_PEER_INFO
persist-tun-over-restarts yes
"""
    + _IDENTITY
    + "key-direction 1\n"
    + _block("tls-auth", _TA)
)

_TAP = (
    "client\ndev tap\nproto tcp4-client\nremote 192.0.2.1 443\n<connection>\nremote 192.0.2.2 "
    "1194 udp\nexplicit-exit-notify 2\n</connection>\n" + _IDENTITY
)


def _parse(text):
    return parse_profile("sample.ovpn", text.encode(), lambda name: b"ann\nsecret\n")


def test_easy_rsa():
    p = _parse(_EASY_RSA)
    assert (p.remotes[0].host, p.tls_wrap, p.auth) == ("my-server-1", "crypt", "SHA256")
    assert p.cert.endswith(b"-----END CERTIFICATE-----\n")
    assert [entry[0] for entry in p.ignored] == ["persist-key", "persist-tun", "verb"]


def test_pfsense():
    p = _parse(_PFSENSE)
    assert p.remotes[0].proto == "udp4" and p.data_ciphers_fallback == "AES-256-CBC"
    assert p.verify_x509_name == ("hub server", "name")
    assert (p.tls_wrap, p.key_direction, p.explicit_exit_notify) == ("auth", 1, 1)


def test_opnsense():
    p = _parse(_OPNSENSE)
    assert (p.dev, p.dev_type, p.lport, len(p.remotes)) == ("ovpnc1", "tun", 0, 2)
    assert p.verify_x509_name[0].startswith("C=NL, ST=ZH")


def test_a_consumer_provider():
    p = _parse(_PROVIDER)
    assert [r.port for r in p.remotes] == [1194, 51820, 80] and p.remote_random
    assert (p.compress, p.mssfix, p.ping, p.ping_restart) == ("lzo-stub", (1450, ""), 15, 0)
    assert p.auth_user_pass == (b"ann", b"secret") and p.cert is None
    assert "block-outside-dns" in [entry[0] for entry in p.ignored]


def test_an_access_server():
    p = _parse(_ACCESS_SERVER)
    assert [(r.port, r.proto) for r in p.remotes] == [(1194, "udp"), (443, "tcp")]
    assert p.server_poll_timeout == 4 and p.peer_info == (("UV_ASCLI_VER", "2.0"),)
    assert "persist-tun-over-restarts" in [entry[0] for entry in p.ignored]


def test_tap_with_connection_blocks():
    p = _parse(_TAP)
    assert (p.dev_type, p.remotes[0].proto, p.remotes[1].proto) == ("tap", "tcp4", "udp")
    assert p.at(p.remotes[1]).explicit_exit_notify == 2 and p.explicit_exit_notify == 0
