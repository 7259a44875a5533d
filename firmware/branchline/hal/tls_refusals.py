"""Words for what TLS refuses; loaded only when it does."""

from branchline.wire.errors import TlsError

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
