"""What the TLS of both interpreters shares: cipher suites, versions, and words for refusals."""

from branchline.wire.errors import ConfigError, TlsError

VERSIONS = ("1.2", "1.3")

# Key exchanges with forward secrecy and AEAD ciphers: what stock servers prefer.
_EXCHANGES = ("ECDHE-ECDSA", "ECDHE-RSA", "DHE-RSA")
_CIPHERS = ("AES-256-GCM-SHA384", "CHACHA20-POLY1305-SHA256", "AES-128-GCM-SHA256")

# A word of the TLS library's reason (mbedtls, OpenSSL), and ours.
_REFUSALS = (
    ("expired", "has expired by this machine's clock: renew it, or set the clock"),
    ("in the future", "is not valid yet by this machine's clock: set the clock"),
    ("not yet valid", "is not valid yet by this machine's clock: set the clock"),
    ("trusted ca", "is not signed by the profile's ca: is this the right ca, and server?"),
    ("issuer", "is not signed by the profile's ca: is this the right ca, and server?"),
    ("self-signed", "is not signed by the profile's ca: is this the right ca, and server?"),
    ("extendedkeyusage", "is not a server's (extended key usage)"),
    ("purpose", "is not a server's (extended key usage)"),
)

# TLS alerts (RFC 8446 6.2) that a server answers our side with.
_ALERTS = {
    40: "handshake_failure: no version, cipher suite or signature in common, or it wants a client"
    " certificate (cert, key)",
    42: "bad_certificate: our certificate is refused; does its key match?",
    43: "unsupported_certificate: our certificate is not a client's",
    44: "certificate_revoked: our certificate is revoked",
    45: "certificate_expired: our certificate has expired, or the server's clock is wrong",
    46: "certificate_unknown: our certificate is refused",
    48: "unknown_ca: our certificate is not signed by the server's ca",
    51: "decrypt_error: our key does not match our certificate",
    70: "protocol_version: no TLS version in common; see tls-version-min and -max",
    116: "certificate_required: the server wants a client certificate (cert, key)",
}


def certificate_refused(reason):
    """A TlsError for the TLS library's reason to refuse the server's certificate."""
    lower = reason.lower()
    for word, meaning in _REFUSALS:
        if word in lower:
            return TlsError("the server's certificate " + meaning)
    return TlsError("the server's certificate is refused: " + reason.strip())


def alert_received(code):
    """A TlsError for the server's fatal alert; code: its number, or None if it is not known."""
    meaning = _ALERTS.get(code) or (
        "alert " + str(code) if code else "our certificate, perhaps: the server's log says why"
    )
    return TlsError("the server refused TLS: " + meaning)


def check_versions(lowest, highest):
    """Raises ConfigError unless the TLS versions (None for no bound) allow 1.2 or 1.3."""
    if highest is not None and highest not in VERSIONS:
        raise ConfigError("tls-version-max", "TLS " + highest + " is too old", "use 1.2 or 1.3")
    if lowest and highest and lowest > highest:
        raise ConfigError("tls-version-min", "is above tls-version-max")


def suites12(names):
    """TLS 1.2 suites for names such as "TLS-ECDHE-RSA-WITH-AES-128-GCM-SHA256"; None: ours."""
    if names is not None:
        return list(names)
    return ["TLS-" + kx + "-WITH-" + cipher for kx in _EXCHANGES for cipher in _CIPHERS]


def suites13(names):
    """TLS 1.3 suites in mbedtls' words for names such as "TLS_AES_128_GCM_SHA256"; None: ours."""
    if names is None:
        return ["TLS1-3-" + cipher for cipher in _CIPHERS]
    return ["TLS1-3-" + name[4:].replace("_", "-") for name in names]


def check_key(key):
    """Raises ConfigError if the private key (PEM as bytes) is missing, encrypted or not a key."""
    key = key or b""
    if b"ENCRYPTED" in key:
        raise ConfigError(
            "key",
            "the private key is encrypted, and nobody is there to type its passphrase",
            "decrypt it with openssl pkey -in old.key -out new.key",
        )
    if b"PRIVATE KEY-----" not in key:
        raise ConfigError("key", "there is no private key in PEM form")
