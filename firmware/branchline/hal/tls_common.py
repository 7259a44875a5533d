"""What the TLS of both interpreters shares: cipher suites and versions."""

from branchline.wire.errors import ConfigError

VERSIONS = ("1.2", "1.3")

# Key exchanges with forward secrecy and AEAD ciphers: what stock servers prefer.
_EXCHANGES = ("ECDHE-ECDSA", "ECDHE-RSA", "DHE-RSA")
_CIPHERS = ("AES-256-GCM-SHA384", "CHACHA20-POLY1305-SHA256", "AES-128-GCM-SHA256")


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
