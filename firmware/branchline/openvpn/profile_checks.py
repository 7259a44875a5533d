"""What a whole profile must fulfil, and its remotes once all directives are read."""

from branchline.openvpn.profile import Remote
from branchline.wire.errors import ConfigError


def check_profile(parser):
    """The parser's profile, complete; raises ConfigError where it cannot work."""
    profile = parser.profile
    profile.ignored = parser.ignored
    profile.remotes = [_remote(parser.file, args, block) for args, block in parser.remotes]
    if profile.proto_force:
        tcp = profile.proto_force == "tcp"
        profile.remotes = [r for r in profile.remotes if r.is_tcp() == tcp]
    if profile.lport is None and parser.file.get("bind"):
        profile.lport = parser.file.get("port", 1194)
    if profile.tls_version_min < "1.2":
        profile.tls_version_min = "1.2"
    if profile.dev_type is None and profile.dev:
        profile.dev_type = profile.dev[:3]
    _check_pem(profile)
    _set_fallback(parser)
    for wrong, reason, hint in _rules(profile):
        if wrong:
            raise ConfigError(profile.name, reason, hint)
    return profile


def _remote(file, args, block):
    """The Remote of a directive's arguments; what its block or else the file says applies."""
    block = {} if block is None else block
    endpoint = block.pop("endpoint", {})
    port = endpoint.get("rport") or endpoint.get("port")
    port = int(args[1]) if len(args) > 1 else port or file.get("rport") or file.get("port", 1194)
    proto = endpoint.get("proto", file.get("proto", "udp"))
    if len(args) > 2:
        proto = args[2].replace("-client", "")
    remote = Remote(args[0], port, proto)
    remote.options = block.pop("options", ())
    if endpoint.get("bind") and "lport" not in block:
        block["lport"] = endpoint.get("port", 1194)
    remote.overrides = block
    return remote


def _rules(profile):
    """(whether it is broken, reason, hint), the most telling first."""
    try:
        profile.options.addresses(profile.dev_type)
        misfit = False
    except ValueError:
        misfit = True
    ciphers = " ".join(profile.data_ciphers) + str(profile.data_ciphers_fallback)
    no_digest = profile.auth == "none"
    alone = profile.cert is None and profile.auth_user_pass is None
    return (
        (not profile.tls_client, "neither 'client' nor 'tls-client' is in it", "add: client"),
        (
            not profile.remotes,
            "no 'remote' is in it, or proto-force leaves none",
            "add: remote host port",
        ),
        (not profile.dev, "no 'dev' is in it", "add: dev tun"),
        (
            profile.dev_type not in ("tun", "tap"),
            "the kind of the device is unknown",
            "add: dev-type tun (or tap)",
        ),
        (misfit, "ifconfig does not fit the topology", "with topology subnet: a netmask"),
        (
            not profile.pull and profile.ifconfig is None,
            "the tunnel gets no address",
            "use 'client', or add ifconfig",
        ),
        (not profile.ca, "no 'ca' is in it", "add the CA's certificate: ca file, or a block <ca>"),
        (
            (profile.cert is None) != (profile.key is None),
            "one of 'cert' and 'key' is there without the other",
            "give both",
        ),
        (alone, "nothing proves who the client is", "add cert and key, or auth-user-pass"),
        (
            profile.tls_version_min > (profile.tls_version_max or "1.3"),
            "tls-version-min is above tls-version-max",
            "drop one of them",
        ),
        (
            no_digest and profile.tls_wrap == "auth",
            "tls-auth needs a digest, but auth is none",
            "set auth as on the server",
        ),
        (
            no_digest and "-CBC" in ciphers,
            "a CBC cipher with 'auth none' is not protected",
            "use AES-256-GCM",
        ),
    )


def _check_pem(profile):
    for name, kind in (
        ("ca", b"CERTIFICATE-----"),
        ("cert", b"CERTIFICATE-----"),
        ("key", b"PRIVATE KEY-----"),
        ("extra_certs", b"CERTIFICATE-----"),
        ("crl", b"X509 CRL-----"),
    ):
        pem = getattr(profile, name)
        if pem is not None and (b"-----BEGIN " not in pem or kind not in pem):
            wanted = kind[:-5].decode()
            raise ConfigError(profile.name, name + " holds no PEM '" + wanted + "'", "convert it")
    if profile.key and b"ENCRYPTED" in profile.key:
        raise ConfigError(
            profile.name, "the key is encrypted", "decrypt it: openssl pkey -in key -out plain"
        )


def _set_fallback(parser):
    """compat-mode before 2.6.0 makes `cipher` the fallback."""
    profile = parser.profile
    old = parser.compat_mode and parser.compat_mode < [2, 6, 0]
    if old and profile.data_ciphers_fallback is None and (profile.cipher or "")[:4] == "AES-":
        profile.data_ciphers_fallback = profile.cipher
