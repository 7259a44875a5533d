"""Handlers of the directives that directives.py marks "x", under their own names.

Each is called with the Parser, the arguments and the inline block's octets (or None), and raises
ValueError for a bad value.
"""

from branchline.openvpn.key_file import parse_static_key, parse_tls_crypt_v2_client_key
from branchline.openvpn.options import one_of, parse_number
from branchline.openvpn.profile import DATA_CIPHERS
from branchline.wire.ip import parse_address

_CHOICES = {
    "allow_compression": "no asym yes",
    "auth_retry": "none nointeract interact",
    "dev_type": "tun tap",
    "key_direction": "0 1",
    "proto_force": "udp tcp",
}
_CIPHERS = DATA_CIPHERS + ("AES-192-GCM", "AES-256-CBC", "AES-192-CBC", "AES-128-CBC")
_DIGESTS = "SHA1 SHA224 SHA256 SHA384 SHA512"
_PROTOCOLS = "udp udp4 udp6 tcp tcp4 tcp6 tcp-client tcp4-client tcp6-client"
_SERVER_EKU = "1.3.6.1.5.5.7.3.1"
_EKU = {
    "TLS Web Server Authentication": _SERVER_EKU,
    "TLS Web Client Authentication": "1.3.6.1.5.5.7.3.2",
}


def choice(field, text):
    """The value of a directive that takes one of a few words."""
    one_of(text, _CHOICES[field])
    return int(text) if field == "key_direction" else text


def client(parser, args, inline):
    parser.profile.pull = True
    parser.profile.tls_client = True


def mode(parser, args, inline):
    if args[0] == "server":
        parser.fail("the gateway is a client only", "use a client's profile")
    one_of(args[0], "p2p")


def setenv(parser, args, inline):
    if args[:1] == ["opt"]:
        raise ValueError("names no directive behind opt")
    if args[:1] == ["FORWARD_COMPATIBLE"]:
        parser.forward_compatible = args[1:2] == ["1"]
    elif args[:1] == ["REMOTE_RANDOM_HOSTNAME"]:
        parser.profile.remote_random_hostname = True
    elif args and args[0].startswith("UV_"):
        parser.profile.peer_info += ((args[0], args[1] if len(args) > 1 else ""),)
    else:
        parser.ignore("it only serves scripts and plug-ins, which the gateway does not run")


def ignore_unknown_option(parser, args, inline):
    parser.optional += [arg[2:] if arg[:2] == "--" else arg for arg in args]


def up(parser, args, inline):
    if "update-resolv-conf" not in args[0] and "update-systemd-resolved" not in args[0]:
        parser.fail(
            "the gateway runs no scripts or plug-ins", "remove it, and do its work by other means"
        )
    parser.ignore("the gateway keeps dhcp-option for whoever asks, and leaves the resolver alone")


down = up


def remote(parser, args, inline):
    if len(args) > 1:
        port_number(args[1])
    if len(args) > 2:
        one_of(args[2], _PROTOCOLS)
    if not args[0] or len(args[0]) > 253:
        raise ValueError("the host name is empty or too long")
    parser.remote(args)


def connection(parser, args, inline):
    if inline is None:
        parser.fail("must be a block: <connection> ... </connection>")
    parser.connection(inline)


def port_number(text):
    """A port from 1 to 65535."""
    number = parse_number(text, 65535)
    if not number:
        raise ValueError("must be from 1 to 65535")
    return number


def _port(parser, name, number):
    if parser.block is None:
        setattr(parser, name, number)
    else:
        parser.block[name] = number


def port(parser, args, inline):
    _port(parser, "port", port_number(args[0]))


def rport(parser, args, inline):
    _port(parser, "rport", port_number(args[0]))


def lport(parser, args, inline):
    parser.set("lport", parse_number(args[0], 65535))


def local(parser, args, inline):
    parse_address(args[0])
    parser.set("local", args[0])


def bind(parser, args, inline):
    if args:
        one_of(args[0], "ipv6only")
    _port(parser, "bind", True)


def bind_dev(parser, args, inline):
    if not 0 < len(args[0]) < 16:
        raise ValueError("must be a device's name of at most 15 characters")
    parser.profile.bind_dev = args[0]


def proto(parser, args, inline):
    if "server" in args[0]:
        parser.fail("the gateway is a client only", "use tcp-client")
    _port(parser, "proto", one_of(args[0], _PROTOCOLS).replace("-client", ""))


def dev(parser, args, inline):
    name = args[0]
    if name == "null" or len(name) > 15 or "/" in name:
        raise ValueError("must be tun, tap or a device's name of at most 15 characters")
    parser.profile.dev = name


def auth(parser, args, inline):
    name = args[0].upper()
    for alias in ("RSA-", "SHA2-", "SHA-"):
        if name.startswith(alias):
            name = ("" if alias == "RSA-" else "SHA") + name[len(alias) :]
    parser.profile.auth = "none" if name == "NONE" else one_of(name, _DIGESTS)


def data_ciphers(parser, args, inline):
    kept = []
    for name in args[0].upper().split(":"):
        name = name[1:] if name[:1] == "?" else name
        if name in _CIPHERS:
            kept.append(name)
        else:
            parser.ignore("no such cipher here, so it is not offered: " + name[:20])
    if not kept:
        parser.fail("none of these ciphers is supported", "use AES-256-GCM:AES-128-GCM")
    parser.profile.data_ciphers = tuple(kept)


ncp_ciphers = data_ciphers


def data_ciphers_fallback(parser, args, inline):
    parser.profile.data_ciphers_fallback = one_of(args[0].upper(), " ".join(_CIPHERS))


def compat_mode(parser, args, inline):
    parser.compat_mode = tuple([parse_number(part, 99) for part in args[0].split(".")])
    if len(parser.compat_mode) != 3:
        raise ValueError("must be a version such as 2.4.0")


def auth_user_pass(parser, args, inline):
    if inline is None and not args:
        parser.fail(
            "nobody is there to be asked for the user's name and password",
            "name a file with two lines, or use a block <auth-user-pass>",
        )
    lines = parser.contents(args[0] if args else "", inline).split(b"\n")
    lines = [line.rstrip(b"\r") for line in lines] + [b"", b""]
    if not lines[0] or not lines[1]:
        parser.fail("needs two lines: the user's name and the password")
    parser.profile.auth_user_pass = (lines[0], lines[1])


def _wrap(parser, kind, key, wkc=None):
    parser.set("tls_wrap", kind)
    parser.set("tls_key", key)
    parser.set("wkc", wkc)


def _refuse_second_wrap(parser, kind):
    present = parser.profile.tls_wrap if parser.block is None else parser.block.get("tls_wrap")
    if present not in (None, kind):
        parser.fail("excludes tls-" + present, "keep the one that the server uses")


def tls_auth(parser, args, inline):
    _refuse_second_wrap(parser, "auth")
    _wrap(parser, "auth", parse_static_key(parser.contents(args[0] if args else "", inline)))
    if inline is None and len(args) > 1:
        parser.set("key_direction", choice("key_direction", args[1]))


def tls_crypt(parser, args, inline):
    _refuse_second_wrap(parser, "crypt")
    _wrap(parser, "crypt", parse_static_key(parser.contents(args[0] if args else "", inline)))


def tls_crypt_v2(parser, args, inline):
    _refuse_second_wrap(parser, "crypt-v2")
    octets = parser.contents(args[0] if args else "", inline)
    _wrap(parser, "crypt-v2", *parse_tls_crypt_v2_client_key(octets))


def crl_verify(parser, args, inline):
    if len(args) > 1:
        parser.fail("a directory of revoked serials is not supported", "name a CRL file")
    parser.profile.crl = parser.contents(args[0] if args else "", inline)


def verify_x509_name(parser, args, inline):
    form = one_of(args[1], "subject name name-prefix") if len(args) > 1 else "subject"
    if not args[0]:
        raise ValueError("the name is empty")
    parser.profile.verify_x509_name = (args[0], form)


def remote_cert_tls(parser, args, inline):
    if args[0] == "client":
        parser.fail("the peer is a server", "use remote-cert-tls server")
    profile = parser.profile
    profile.remote_cert_tls = one_of(args[0], "server")
    profile.remote_cert_ku = ()
    profile.remote_cert_eku = _SERVER_EKU


def remote_cert_ku(parser, args, inline):
    try:
        masks = tuple([int(arg, 16) for arg in args])
    except ValueError:
        raise ValueError("must be hexadecimal numbers")
    parser.profile.remote_cert_ku = masks


def remote_cert_eku(parser, args, inline):
    oid = _EKU.get(args[0], args[0])
    for part in oid.split("."):
        parse_number(part)
    parser.profile.remote_cert_eku = oid


def tls_version_min(parser, args, inline):
    if len(args) > 1:
        one_of(args[1], "or-highest")
    if one_of(args[0], "1.0 1.1 1.2 1.3") == "1.3":
        parser.profile.tls_version_min = "1.3"


def tls_version_max(parser, args, inline):
    if args[0] in ("1.0", "1.1"):
        parser.fail("TLS below 1.2 is not supported", "bring the server to TLS 1.2")
    parser.profile.tls_version_max = one_of(args[0], "1.2 1.3")


def tls_cipher(parser, args, inline):
    names = args[0].split(":")
    for name in names:
        if name[:1] in "!@-+" or name in ("DEFAULT", "ALL", "HIGH") or ":@" in name:
            return parser.ignore("OpenSSL's own cipher words mean nothing to the TLS library here")
        if not name.startswith("TLS-"):
            parser.fail("names no suite in the IANA form", "as in TLS-ECDHE-RSA-WITH-AES-128-...")
    parser.profile.tls_cipher = tuple(names)
    return None


def tls_ciphersuites(parser, args, inline):
    names = tuple(args[0].split(":"))
    for name in names:
        if not name.startswith("TLS_"):
            raise ValueError("must be TLS 1.3 suites such as TLS_AES_256_GCM_SHA384")
    parser.profile.tls_ciphersuites = names


def tls_cert_profile(parser, args, inline):
    if args[0] == "suiteb":
        parser.fail("suiteb is not supported", "use preferred")
    one_of(args[0], "insecure legacy preferred")
    parser.profile.tls_cert_profile = args[0]


def _pair(args, default):
    return (parse_number(args[0]), parse_number(args[1]) if len(args) > 1 else default)


def reneg_sec(parser, args, inline):
    parser.profile.reneg_sec = _pair(args, 0)[0]


def connect_retry(parser, args, inline):
    first, most = _pair(args, 300)
    parser.set("connect_retry", (min(first, 65535), max(first, most)))


def server_poll_timeout(parser, args, inline):
    parser.set("server_poll_timeout", parse_number(args[0]))


connect_timeout = server_poll_timeout


def resolv_retry(parser, args, inline):
    parser.profile.resolv_retry = None if args[0] == "infinite" else parse_number(args[0])


def keepalive(parser, args, inline):
    interval, timeout = parse_number(args[0]), parse_number(args[1])
    if not interval or timeout < 2 * interval:
        raise ValueError("the second number must be at least twice the first")
    parser.profile.options.ping = interval
    parser.profile.options.ping_restart = timeout


def mssfix(parser, args, inline):
    mode = one_of(args[1], "mtu fixed") if len(args) > 1 else ""
    octets = parse_number(args[0], 65535) if args else 1492
    parser.set("mssfix", (octets, mode if args else "mtu"))


def replay_window(parser, args, inline):
    size, seconds = _pair(args, 15)
    if size > 65536 or seconds > 600:
        raise ValueError("at most 65536 packets and 600 seconds")
    parser.profile.replay_window = (size, seconds)


def pull_filter(parser, args, inline):
    action = one_of(args[0], "accept ignore reject")
    parser.profile.pull_filters += ((action, args[1].encode()),)
