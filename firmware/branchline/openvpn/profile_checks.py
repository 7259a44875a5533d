"""What a whole profile must fulfil, and its remotes once all directives are read."""

from branchline.openvpn.profile import Remote
from branchline.wire.errors import ConfigError

# Attributes of a <connection> block that shape its Remote, not the profile.
_OF_REMOTE = ("port", "rport", "proto", "bind", "options")


def check_profile(parser):
    """The parser's profile, complete; raises ConfigError where it cannot work."""
    profile = parser.profile
    if not profile.tls_client:
        _fail(parser, "neither 'client' nor 'tls-client' is in it", "add: client")
    profile.remotes = [_remote(parser, *remote) for remote in parser.remotes]
    if profile.proto_force:
        tcp = profile.proto_force == "tcp"
        profile.remotes = [r for r in profile.remotes if r.is_tcp() == tcp]
        if parser.remotes and not profile.remotes:
            _fail(parser, "proto-force leaves no remote", "add one, or drop proto-force")
    if not profile.remotes:
        _fail(parser, "no 'remote' is in it", "add: remote host port")
    if profile.lport is None and parser.bind:
        profile.lport = parser.port
    profile.ignored = parser.ignored
    _check_device(parser)
    _check_credentials(parser)
    _check_ciphers(parser)
    return profile


def _fail(parser, reason, hint):
    raise ConfigError(parser.name, reason, hint)


def _remote(parser, line, args, block):
    block = block or {}
    port = block.get("rport") or block.get("port") or parser.rport or parser.port
    proto = args[2].replace("-client", "") if len(args) > 2 else block.get("proto", parser.proto)
    remote = Remote(args[0], int(args[1]) if len(args) > 1 else port, proto)
    remote.options = block.get("options", ())
    for name, value in block.items():
        if name not in _OF_REMOTE:
            remote.overrides[name] = value
    if block.get("bind") and "lport" not in block:
        remote.overrides["lport"] = block.get("port", parser.port)
    return remote


def _check_device(parser):
    profile = parser.profile
    if profile.dev is None:
        _fail(parser, "no 'dev' is in it", "add: dev tun")
    kind = profile.dev[:3]
    if profile.dev_type is None:
        if kind not in ("tun", "tap"):
            _fail(parser, "the kind of the device is unknown", "add: dev-type tun (or tap)")
        profile.dev_type = kind
    try:
        profile.options.addresses(profile.dev_type)
    except ValueError:
        _fail(parser, "ifconfig does not fit the topology", "with topology subnet: a netmask")
    if not profile.pull and profile.ifconfig is None:
        _fail(parser, "the tunnel gets no address", "use 'client', or add ifconfig")


def _check_credentials(parser):
    profile = parser.profile
    if not profile.ca:
        _fail(parser, "no 'ca' is in it", "add the CA's certificate: ca file, or a block <ca>")
    for name, kind in (("ca", b"CERTIFICATE"), ("cert", b"CERTIFICATE"), ("key", b"PRIVATE KEY"),
                       ("extra_certs", b"CERTIFICATE"), ("crl", b"X509 CRL")):  # fmt: skip
        pem = getattr(profile, name)
        if pem is not None and (b"-----BEGIN " not in pem or kind + b"-----" not in pem):
            _fail(parser, name + " holds no PEM '" + kind.decode() + "'", "give it in PEM form")
    if profile.key and b"ENCRYPTED" in profile.key:
        _fail(parser, "the key is encrypted", "decrypt it: openssl pkey -in key -out plain")
    if (profile.cert is None) != (profile.key is None):
        _fail(parser, "one of 'cert' and 'key' is there without the other", "give both")
    if profile.cert is None and profile.auth_user_pass is None:
        _fail(parser, "nothing proves who the client is", "add cert and key, or auth-user-pass")
    if profile.tls_version_min == "1.3" and profile.tls_version_max == "1.2":
        _fail(parser, "tls-version-min is above tls-version-max", "drop one of them")


def _check_ciphers(parser):
    profile = parser.profile
    old = parser.compat_mode is not None and parser.compat_mode < (2, 6, 0)
    if old and profile.data_ciphers_fallback is None:
        fallback = profile.cipher or "BF-CBC"
        if fallback.startswith("AES-"):
            profile.data_ciphers_fallback = fallback
    if profile.auth == "none":
        if profile.tls_wrap == "auth":
            _fail(parser, "tls-auth needs a digest, but auth is none", "set auth as on the server")
        names = " ".join(profile.data_ciphers + (profile.data_ciphers_fallback or "",))
        if "-CBC" in names:
            _fail(parser, "a CBC cipher with 'auth none' is not protected", "use AES-256-GCM")
