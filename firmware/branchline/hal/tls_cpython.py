"""TLS over memory for CPython, by its `ssl` module: the same interface as tls_micropython's.

It serves development and tests on a host. CPython hands out the server's certificate only after
the handshake, so the profile's own checks come then; under TLS 1.2 our certificate has gone out.
"""

import ssl
import tempfile

from branchline.hal import tls_common as common
from branchline.hal.tls_refusals import alert_received, certificate_refused
from branchline.wire.errors import ConfigError, StateError, TlsError, Unsupported

_MAX_INPUT = 32768  # octets fed but not yet read
_READ_SIZE = 1024
_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_DEFAULT_CIPHERS = "DEFAULT:!kRSA:!PSK:!SRP"
# OpenSSL's names of the alerts that tls_refusals explains.
_ALERTS = {
    "HANDSHAKE_FAILURE": 40,
    "BAD_CERTIFICATE": 42,
    "UNSUPPORTED_CERTIFICATE": 43,
    "CERTIFICATE_REVOKED": 44,
    "CERTIFICATE_EXPIRED": 45,
    "CERTIFICATE_UNKNOWN": 46,
    "UNKNOWN_CA": 48,
    "DECRYPT_ERROR": 51,
    "PROTOCOL_VERSION": 70,
    "CERTIFICATE_REQUIRED": 116,
}


class TlsContext:
    """A profile's credentials and limits, for all its handshakes; see tls_micropython. OpenSSL
    needs neither hostname_of nor native: they are taken so that both are made in the same way."""

    can_export = False

    def __init__(self, profile, hostname_of=None, native=None):
        common.check_versions(profile.tls_version_min, profile.tls_version_max)
        self._ssl = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._ssl.check_hostname = False
        self._ssl.minimum_version = _VERSIONS.get(profile.tls_version_min, _VERSIONS["1.2"])
        if profile.tls_version_max:
            self._ssl.maximum_version = _VERSIONS[profile.tls_version_max]
        self._load(profile)
        self._set_ciphers(profile.tls_cipher)
        # CPython cannot set these, so the negotiated one is checked.
        self._suites = profile.tls_ciphersuites

    def client(self, check):
        """A TlsChannel for one handshake; see tls_micropython."""
        return TlsChannel(self._ssl, self._suites, check)

    def _load(self, profile):
        try:
            self._ssl.load_verify_locations(cadata=(profile.ca or b"").decode("latin-1"))
        except (ssl.SSLError, ValueError):
            raise ConfigError("ca", "there are no certificates in PEM form, or one is damaged")
        if profile.cert is None:
            return
        common.check_key(profile.key)
        # CPython reads these from a file only: a private one, gone at once.
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"\n".join((profile.key, profile.cert, profile.extra_certs or b"")))
            file.flush()
            try:
                self._ssl.load_cert_chain(file.name)
            except ssl.SSLError as error:
                reason = str(error.reason or error)
                raise ConfigError("cert, key", "damaged, or they do not match: " + reason)

    def _set_ciphers(self, names):
        wanted = _DEFAULT_CIPHERS if names is None else ":".join(map(_openssl_name, names))
        try:
            self._ssl.set_ciphers(wanted)
        except ssl.SSLError:
            raise ConfigError("tls-cipher", "OpenSSL has none of these cipher suites")


class TlsChannel:
    """One TLS connection without I/O; made by TlsContext.client."""

    def __init__(self, context, suites, check):
        self._input, self._output = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._ssl = context.wrap_bio(self._input, self._output)
        self._suites = suites
        self._check = check
        self._complete = False
        self._certificate = b""

    def feed(self, data):
        """Ciphertext (bytes-like) from the peer. Raises TlsError if too much is left unread."""
        self._need_open()
        if self._input.pending + len(data) > _MAX_INPUT:
            raise TlsError("the server sends more than TLS can take at once")
        self._input.write(data)

    def take(self, limit):
        """Up to limit octets of ciphertext for the peer; b"" when there is none."""
        return self._output.read(limit)

    def handshake(self):
        """Goes on with the handshake; True once it is complete. Raises TlsError."""
        if self._complete:
            return True
        self._need_open()
        try:
            self._ssl.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as error:
            raise self._failure(error)
        self._certificate = self._ssl.getpeercert(True)
        try:
            self._check(self._certificate)
            suite = self._ssl.cipher()[0]
            if self._suites is not None and suite[:4] == "TLS_" and suite not in self._suites:
                raise TlsError("the server chose a cipher suite outside tls-ciphersuites")
        except TlsError:
            self.close()
            self._output.read()
            raise
        self._complete = True
        return True

    def read(self):
        """Decrypted octets; b"" when there are none. Raises TlsError."""
        self._need_complete()
        try:
            data = self._ssl.read(_READ_SIZE)
        except ssl.SSLWantReadError:
            return b""
        except ssl.SSLError as error:
            raise self._failure(error)
        if not data:
            self.close()
            raise TlsError("the server closed the TLS connection")
        return data

    def write(self, data):
        """Plaintext (bytes-like) for the peer."""
        self._need_complete()
        data = memoryview(data)
        while data:
            data = data[self._ssl.write(data) :]

    def cipher(self):
        """Version and suite for the log, such as "TLSv1.3 TLS_AES_256_GCM_SHA384"."""
        if not self._complete or self._ssl is None:
            return ""
        suite = self._ssl.cipher()[0]
        return self._ssl.version() + " " + suite

    def peer_certificate(self):
        """The server's leaf certificate in DER; b"" before it is known."""
        return self._certificate

    def export(self, label, n):
        """CPython cannot export keying material: raises Unsupported."""
        self._need_complete()
        raise Unsupported("TLS keying material export")

    def close(self):
        """Frees the connection; nothing but take() may be called after it."""
        self._ssl = None

    def _failure(self, error):
        """Closes, and returns what to raise for OpenSSL's error."""
        self.close()
        if isinstance(error, ssl.SSLCertVerificationError):
            return certificate_refused(error.verify_message)
        _, alert, name = (error.reason or "").partition("_ALERT_")
        if alert:
            return alert_received(_ALERTS.get(name))
        return TlsError("TLS failed: " + str(error.reason or error))

    def _need_open(self):
        if self._ssl is None:
            raise StateError("the TLS channel is closed")

    def _need_complete(self):
        self._need_open()
        if not self._complete:
            raise StateError("the TLS handshake is not complete")


def _openssl_name(suite):
    """OpenSSL's name of a suite such as "TLS-ECDHE-RSA-WITH-AES-256-GCM-SHA384"."""
    for iana, openssl in (
        ("TLS-RSA-WITH-", ""),
        ("TLS-", ""),
        ("-WITH-", "-"),
        ("AES-", "AES"),
        ("-CBC-", "-"),
        ("POLY1305-SHA256", "POLY1305"),
    ):
        suite = suite.replace(iana, openssl)
    return suite
