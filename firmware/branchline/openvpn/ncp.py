"""Negotiable crypto parameters: which data cipher both sides use (openvpn 2.6, NCP)."""

from micropython import const

from branchline.wire.errors import ConfigError, Unsupported

_MAX_TEXT = const(200)


def printable(octets):
    """A server's text for the log: ASCII without control characters, cut at 200 octets."""
    return "".join([chr(octet) if 32 <= octet < 127 else "?" for octet in octets[:_MAX_TEXT]])


def usable_ciphers(profile, provider):
    """The profile's data ciphers that some provider has, best first.

    Raises Unsupported when there is none and no fallback either.
    """
    usable = [name for name in profile.data_ciphers if provider.has(name)]
    if not usable and not profile.data_ciphers_fallback:
        raise Unsupported("no provider has " + ":".join(profile.data_ciphers))
    return usable


def agreed_cipher(profile, usable, pushed, server_options):
    """The cipher that the server pushed, or without one the fallback.

    server_options: the server's options string (octets), for the error text. Raises ConfigError.
    """
    fallback = profile.data_ciphers_fallback
    if not pushed and not fallback:
        raise ConfigError(
            profile.name,
            "the server pushed no cipher; its options name " + _cipher(server_options),
            "set data-ciphers-fallback to it",
        )
    if pushed and pushed not in usable and pushed != fallback:
        raise ConfigError(
            profile.name, "the server chose cipher " + pushed, "add it to data-ciphers"
        )
    return pushed or fallback


def _cipher(server_options):
    for option in server_options.split(b","):
        if option.startswith(b"cipher "):
            return printable(option[7:])
    return "none"
