"""Handlers of the directives that need more than directives.py tells of them, in groups.

Each is called with the Parser, the directive's name, its arguments and the inline block's octets
(or None), and raises ValueError for a bad value. A group is one function rather than one for each
directive, because a function costs some 200 octets of heap whatever is in it.
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
    "tls_cert_profile": "insecure legacy preferred",
    "tls_version_max": "1.2 1.3",
    "tls_version_min": "1.0 1.1 1.2 1.3",
}
_CIPHERS = " ".join(DATA_CIPHERS) + " AES-192-GCM AES-256-CBC AES-192-CBC AES-128-CBC"
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


def endpoint(parser, name, args, inline):
    """Where to connect, and from where."""
    first = args[0] if args else ""
    if name == "remote":
        if not 0 < len(first) < 254:
            raise ValueError("the host name is empty or too long")
        if len(args) > 1:
            _port_number(args[1])
        if len(args) > 2:
            one_of(args[2], _PROTOCOLS)
        parser.remote(args)
    elif name == "connection":
        if inline is None:
            raise ValueError("must be a block: <connection> ... </connection>")
        parser.connection(inline)
    elif name in ("port", "rport"):
        parser.endpoint()[name] = _port_number(first)
    elif name == "proto":
        parser.endpoint()[name] = one_of(first, _PROTOCOLS).replace("-client", "")
    elif name == "bind":
        parser.endpoint()[name] = True
    elif name == "lport":
        parser.set(name, parse_number(first, 65535))
    elif name == "local":
        parse_address(first)
        parser.set(name, first)
    elif not 0 < len(first) < 16 or "/" in first or first == "null":
        raise ValueError("must be a device's name of at most 15 characters")
    else:
        parser.set(name.replace("-", "_"), first)


def _port_number(text):
    number = parse_number(text, 65535)
    if not number:
        raise ValueError("must be from 1 to 65535")
    return number


def secret(parser, name, args, inline):
    """What comes as the octets of a file or an inline block."""
    if inline is None and not args:
        parser.fail("nobody is there to be asked", "name a file with two lines, or use a block")
    if name == "crl-verify" and len(args) > 1:
        parser.fail("a directory of revoked serials is not supported", "name a CRL file")
    octets = parser.contents(args[0] if args else "", inline)
    if name == "crl-verify":
        parser.profile.crl = octets
    elif name == "auth-user-pass":
        lines = [line.rstrip(b"\r") for line in octets.split(b"\n")]
        if len(lines) < 2 or not lines[0] or not lines[1]:
            raise ValueError("needs two lines: the user's name and the password")
        parser.profile.auth_user_pass = (lines[0], lines[1])
    else:
        _wrap(parser, name[4:], octets)
        if inline is None and len(args) > 1:
            parser.set("key_direction", choice("key_direction", args[1]))


def _wrap(parser, kind, octets):
    present = parser.profile.tls_wrap if parser.block is None else parser.block.get("tls_wrap")
    if present not in (None, kind):
        parser.fail("excludes tls-" + present, "keep the one that the server uses")
    key = parse_tls_crypt_v2_client_key(octets) if kind == "crypt-v2" else parse_static_key(octets)
    key, wkc = key if kind == "crypt-v2" else (key, None)
    parser.set("tls_wrap", kind)
    parser.set("tls_key", key)
    parser.set("wkc", wkc)


def cipher(parser, name, args, inline):
    """Names of ciphers, digests and TLS suites."""
    profile = parser.profile
    upper = args[0].upper()
    if name == "auth":
        # OpenSSL's other names for the same digests.
        upper = upper.replace("RSA-", "").replace("SHA2-", "SHA").replace("SHA-", "SHA")
        profile.auth = "none" if upper == "NONE" else one_of(upper, _DIGESTS)
    elif name == "data-ciphers-fallback":
        profile.data_ciphers_fallback = one_of(upper, _CIPHERS)
    elif name == "compat-mode":
        parser.compat_mode = [parse_number(part, 99) for part in upper.split(".")]
    elif name == "tls-ciphersuites":
        profile.tls_ciphersuites = _suites(args[0], "TLS_")
    elif name != "tls-cipher":
        known = _CIPHERS.split()
        names = [cipher[1:] if cipher[:1] == "?" else cipher for cipher in upper.split(":")]
        profile.data_ciphers = tuple([cipher for cipher in names if cipher in known])
        for missing in names:
            if missing not in known:
                parser.ignore("no such cipher here, so it is not offered: " + missing[:20])
        if not profile.data_ciphers:
            raise ValueError("none of these is supported; use AES-256-GCM:AES-128-GCM")
    elif "@" in upper or "!" in upper or upper in ("DEFAULT", "ALL", "HIGH"):
        parser.ignore("OpenSSL's own cipher words mean nothing to the TLS library here")
    else:
        profile.tls_cipher = _suites(args[0], "TLS-")


def _suites(text, prefix):
    names = tuple(text.split(":"))
    for name in names:
        if not name.startswith(prefix):
            raise ValueError("must be suites by their IANA names, beginning with " + prefix)
    return names


def peer(parser, name, args, inline):
    """What is asked of the server's certificate."""
    profile = parser.profile
    if name == "verify-x509-name":
        form = one_of(args[1], "subject name name-prefix") if len(args) > 1 else "subject"
        if not args[0]:
            raise ValueError("the name is empty")
        profile.verify_x509_name = (args[0], form)
    elif name == "remote-cert-tls":
        if args[0] != "server":
            raise ValueError("must be: remote-cert-tls server")
        profile.remote_cert_tls = args[0]
        profile.remote_cert_ku = ()
        profile.remote_cert_eku = _SERVER_EKU
    elif name == "remote-cert-ku":
        # int() raises ValueError for what is not hexadecimal, quoting no more than the argument.
        profile.remote_cert_ku = tuple([int(arg, 16) for arg in args])
    else:
        profile.remote_cert_eku = _EKU.get(args[0], args[0])
        for part in profile.remote_cert_eku.split("."):
            parse_number(part)


def timing(parser, name, args, inline):
    """Times and sizes with more than one number, or words for some."""
    field = name.replace("-", "_")
    first = 0 if args[:1] == ["infinite"] or not args else parse_number(args[0])
    second = 0
    if len(args) > 1 and name != "mssfix":
        second = parse_number(args[1])
    if name == "resolv-retry":
        parser.profile.resolv_retry = None if args[0] == "infinite" else first
    elif name == "keepalive":
        if not first or second < 2 * first:
            raise ValueError("the second number must be at least twice the first")
        parser.profile.options.ping = first
        parser.profile.options.ping_restart = second
    elif name == "mssfix":
        form = one_of(args[1], "mtu fixed") if len(args) > 1 else ""
        parser.set(field, (first, form) if args else (1492, "mtu"))
    elif name == "replay-window":
        if first > 65536 or second > 600:
            raise ValueError("at most 65536 packets and 600 seconds")
        parser.profile.replay_window = (first, second if len(args) > 1 else 15)
    elif name == "connect-retry":
        most = second if len(args) > 1 else 300
        parser.set(field, (min(first, 65535), max(first, most)))
    elif name == "reneg-sec":
        parser.profile.reneg_sec = first
    else:
        parser.set("server_poll_timeout", first)


def general(parser, name, args, inline):
    """The rest."""
    profile = parser.profile
    if name == "client":
        profile.pull = True
        profile.tls_client = True
    elif name == "mode":
        if args[0] != "p2p":
            parser.fail("the gateway is a client only", "use a client's profile")
    elif name == "ignore-unknown-option":
        parser.optional += [arg[2:] if arg[:2] == "--" else arg for arg in args]
    elif name == "pull-filter":
        action = one_of(args[0], "accept ignore reject")
        profile.pull_filters += ((action, args[1].encode()),)
    elif name == "setenv":
        _setenv(parser, args)
    elif "update-resolv-conf" in args[0] or "update-systemd-resolved" in args[0]:
        parser.ignore("the gateway keeps dhcp-option for whoever asks, the resolver stays")
    else:
        parser.refuse("X")


def _setenv(parser, args):
    name = args[0] if args else ""
    value = args[1] if len(args) > 1 else ""
    if name == "opt":
        raise ValueError("names no directive behind opt")
    if name == "FORWARD_COMPATIBLE":
        parser.forward_compatible = value == "1"
    elif name == "REMOTE_RANDOM_HOSTNAME":
        parser.profile.remote_random_hostname = True
    elif name[:3] == "UV_":
        parser.profile.peer_info += ((name, value),)
    else:
        parser.ignore("only scripts and plug-ins would see it")


GROUPS = {
    "c": cipher,
    "e": endpoint,
    "g": general,
    "m": timing,
    "s": secret,
    "v": peer,
}
