"""TLS over memory for MicroPython, by its `tls` module (mbedtls).

mbedtls insists on a name for the server, but an OpenVPN profile usually gives none. So either the
build offers a way to verify the chain without one (`native`, see hal.linux.mbedtls), or a
connection's first handshake is a probe: it ends at the server's certificate, before anything of
ours is sent, and teaches the name that the later handshakes verify.
"""

import io

import tls
from micropython import const

from branchline.hal import tls_common as common
from branchline.wire.errors import (
    ConfigError,
    NameLearnt,
    ProtocolError,
    StateError,
    TlsError,
    Unsupported,
)

_FIRST_SIZE = const(512)
_MAX_INPUT = const(32768)  # octets fed but not yet read
_MAX_OUTPUT = const(32768)  # octets written but not yet taken
_READ_SIZE = const(1024)
_MAX_NAME = const(255)
_ALERT = const(21)  # the type of a record
_ALERT_SIZE = const(7)  # of a plaintext alert's record: header 5, level, description

# A verification callback's answers.
_GO_ON = const(0)
_ABORT = const(-0x3000)  # MBEDTLS_ERR_X509_FATAL_ERROR

_ALERT_RECEIVED = const(-0x7780)  # MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE
_BAD_CERTIFICATE = const(-0x7A00)  # MBEDTLS_ERR_SSL_BAD_CERTIFICATE
_OUT_OF_MEMORY = (12, -0x7F00)  # ENOMEM, MBEDTLS_ERR_SSL_ALLOC_FAILED
_ANY_NAME = "server"
_SUITE_MISSING = "this build's TLS has none of the cipher suites"


class _Pipe:
    """Octets on their way: a buffer that grows to at most `limit`, and shrinks when empty."""

    def __init__(self, limit):
        self._limit = limit
        self.clear()

    def clear(self):
        self._buf = bytearray(_FIRST_SIZE)
        self._start = self._end = 0

    def push(self, data):
        """Adds all of data; False, and nothing is added, beyond the limit."""
        held = self._end - self._start
        size = held + len(data)
        if size > self._limit:
            return False
        if self._start + size > len(self._buf):
            buf = self._buf
            if size > len(buf):
                buf = bytearray(min(max(size, 2 * len(buf)), self._limit))
            buf[:held] = memoryview(self._buf)[self._start : self._end]
            self._buf = buf
            self._start = 0
        self._end = self._start + size
        self._buf[self._end - len(data) : self._end] = data
        return True

    def pull(self, out):
        """Moves octets into out; returns how many."""
        n = min(len(out), self._end - self._start)
        out[:n] = memoryview(self._buf)[self._start : self._start + n]
        self._start += n
        if self._start == self._end:
            self._start = self._end = 0
        return n

    def take(self, limit):
        """Removes and returns up to limit octets."""
        data = bytes(memoryview(self._buf)[self._start : min(self._end, self._start + limit)])
        self._start += len(data)
        if self._start == self._end and data:
            self.clear()
        return data


class _Bio(io.IOBase):
    """The stream under mbedtls; `waiting` is set once it could not go on."""

    def __init__(self):
        self.input = _Pipe(_MAX_INPUT)
        self.output = _Pipe(_MAX_OUTPUT)
        self.waiting = False

    def readinto(self, buf):
        n = self.input.pull(buf)
        if n:
            return n
        self.waiting = True
        return None

    def write(self, data):
        if self.output.push(data):
            return len(data)
        self.waiting = True
        return None

    def ioctl(self, request, argument):
        return 0


class TlsContext:
    """A profile's credentials and limits, for all its handshakes.

    profile: a Profile; read are ca, cert, key, extra_certs (PEM as bytes), tls_version_min,
    tls_version_max, tls_cipher and tls_ciphersuites. hostname_of(der): the name by which mbedtls
    accepts a certificate, or None. native: access to mbedtls (see hal.linux.mbedtls), or None.

    Raises ConfigError (where: the directive) for what cannot be used or kept to.
    """

    def __init__(self, profile, hostname_of, native=None):
        self._lowest, self._highest = profile.tls_version_min, profile.tls_version_max
        common.check_versions(self._lowest, self._highest)
        self._tls = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        self._native = native
        self._hostname_of = hostname_of
        self._hostname = None
        self._load(profile)
        self._set_suites(profile.tls_cipher, profile.tls_ciphersuites)

    @property
    def can_export(self):
        """Whether the channels can export keying material."""
        return bool(self._native and self._native.can_export)

    def client(self, check):
        """A TlsChannel for one handshake. check(der) raises TlsError for a leaf certificate that
        the profile does not accept; it is called before anything of ours is sent."""
        bio = _Bio()
        name = self._hostname
        ssl = self._wrap(bio, name or _ANY_NAME)
        unnamed = not name and self._native and self._native.clear_hostname(ssl, self._tls)
        return TlsChannel(self, ssl, bio, None if name or unnamed else self._learn, check)

    def _wrap(self, bio, name):
        ssl = self._tls.wrap_socket(bio, server_hostname=name, do_handshake_on_connect=False)
        if not hasattr(ssl, "getpeercert"):
            # It is how the end of a handshake shows.
            raise Unsupported("TLS: mbedtls is built without MBEDTLS_SSL_KEEP_PEER_CERTIFICATE")
        return ssl

    def _learn(self, certificate):
        """Takes the server's name from its certificate (DER)."""
        try:
            name = self._hostname_of(certificate)
        except ProtocolError as error:
            raise TlsError("the server's certificate cannot be read: " + str(error))
        if not name or len(name) > _MAX_NAME:
            raise TlsError(
                "the server's certificate has no name that this build can verify: it needs a DNS"
                " subjectAltName, or a common name and no subjectAltName at all"
            )
        self._hostname = name

    def forget_name(self):
        """Lets the next handshake learn the server's name anew."""
        self._hostname = None

    def drive(self, channel, step, *arguments):
        """Calls step(*arguments), an operation of mbedtls, with the channel verifying."""
        self._tls.verify_callback = channel.verify
        try:
            return step(*arguments)
        finally:
            self._tls.verify_callback = None

    def export(self, ssl, label, n):
        """Keying material (RFC 5705) of a completed handshake. Raises Unsupported."""
        if not self.can_export:
            raise Unsupported("TLS keying material export")
        return self._native.export(ssl, self._tls, label, n)

    def check_version(self, version):
        """Raises TlsError unless the negotiated version, such as "TLSv1.3", is allowed."""
        number = version[-3:]
        if number < (self._lowest or number) or number > (self._highest or number):
            raise TlsError("tls-version-min or -max forbid the server's choice, " + version)

    def _load(self, profile):
        try:
            self._tls.load_verify_locations(profile.ca or b"")
        except ValueError:
            raise ConfigError("ca", "there are no certificates in PEM form, or one is damaged")
        if profile.cert is None:
            return
        common.check_key(profile.key)
        chain = profile.cert + b"\n" + (profile.extra_certs or b"")
        try:
            self._tls.load_cert_chain(chain, profile.key)
        except ValueError as error:
            bad_key = "key" in str(error)
            raise ConfigError("key" if bad_key else "cert", "it is damaged, or of an unknown kind")

    def _set_suites(self, ciphers, ciphersuites):
        new = self._supported(common.suites13(ciphersuites))
        old = self._supported(common.suites12(ciphers))
        if self._highest == "1.2" and new:
            if not self._without_tls13():
                raise ConfigError("tls-version-max", "this build cannot switch TLS 1.3 off")
            new = []
        if self._lowest == "1.3":
            old = []
        if ciphersuites is not None and not new and self._highest != "1.2":
            raise ConfigError("tls-ciphersuites", _SUITE_MISSING)
        if ciphers is not None and not old and self._lowest != "1.3":
            raise ConfigError("tls-cipher", _SUITE_MISSING)
        if not new and not old:
            raise ConfigError("tls-version-min", "this build has no TLS 1.3")
        self._tls.set_ciphers(new + old)

    def _supported(self, names):
        found = []
        for name in names:
            try:
                self._tls.set_ciphers([name])
                found.append(name)
            except OSError:
                pass
        return found

    def _without_tls13(self):
        if not self._native:
            return False
        ssl = self._wrap(_Bio(), _ANY_NAME)
        try:
            return self._native.forbid_tls13(ssl, self._tls)
        finally:
            ssl.close()


class TlsChannel:
    """One TLS connection without I/O; made by TlsContext.client. After a TlsError, take() may
    still give an alert for the peer."""

    def __init__(self, context, ssl, bio, learn, check):
        self._context = context
        self._ssl = ssl
        self._bio = bio
        self._learn = learn
        self._check = check
        self._complete = False
        self._refusal = None
        self._certificate = b""
        self._early = b""
        self._last = b""

    def feed(self, data):
        """Ciphertext (bytes-like) from the peer. Raises TlsError if too much is left unread."""
        self._need_open()
        if not self._bio.input.push(data):
            raise TlsError("the server sends more than TLS can take at once")
        self._last = bytes(data[-_ALERT_SIZE:])

    def take(self, limit):
        """Up to limit octets of ciphertext for the peer; b"" when there is none."""
        return self._bio.output.take(limit)

    def handshake(self):
        """Goes on with the handshake; True once it is complete. Raises TlsError, or NameLearnt
        if this was a probe: then a new channel can verify the server."""
        if self._complete:
            return True
        self._need_open()
        self._early = self._context.drive(self, self._read, 1)
        if self._ssl.getpeercert(True) is None:
            return False
        try:
            self._context.check_version(self._ssl.cipher()[1])
        except TlsError:
            self.close()
            raise
        self._complete = True
        return True

    def read(self):
        """Decrypted octets; b"" when there are none. Raises TlsError."""
        self._need_complete()
        data = self._early + self._read(_READ_SIZE)
        self._early = b""
        return data

    def write(self, data):
        """Plaintext (bytes-like) for the peer. Raises TlsError if it does not fit."""
        self._need_complete()
        data = memoryview(data)
        while data:
            try:
                n = self._ssl.write(data)
            except OSError as error:
                raise self._failure(error)
            if not n:
                self.close()
                raise TlsError("more is written than the server takes")
            data = data[n:]

    def cipher(self):
        """Version and suite for the log, such as "TLSv1.3 TLS1-3-AES-256-GCM-SHA384"."""
        # mbedtls' own answer before the handshake is complete crashes the interpreter.
        if not self._complete or self._ssl is None:
            return ""
        suite, version = self._ssl.cipher()
        return version + " " + suite

    def peer_certificate(self):
        """The server's leaf certificate in DER; b"" before it is known."""
        return self._certificate

    def export(self, label, n):
        """n octets of keying material (RFC 5705) for the label (str), without a context."""
        self._need_complete()
        return self._context.export(self._ssl, label, n)

    def close(self):
        """Frees the connection; nothing but take() may be called after it."""
        if self._ssl is not None:
            self._ssl.close()
            self._ssl = None

    def verify(self, certificate, depth):
        """mbedtls' question about one certificate (memoryview of DER); 0 is the leaf."""
        if depth or self._refusal:
            return _GO_ON
        try:
            self._certificate = bytes(certificate)
            if self._learn:
                self._learn(self._certificate)
                raise NameLearnt("the server's name is known now")
            self._check(self._certificate)
        except Exception as error:  # noqa: B902 (an exception must not unwind mbedtls)
            self._refusal = error
            return _ABORT
        return _GO_ON

    def _read(self, n):
        """Up to n decrypted octets; lets mbedtls go on until it waits for more input."""
        bio = self._bio
        bio.waiting = False
        while not bio.waiting:
            try:
                data = self._ssl.read(n)
            except (OSError, ValueError) as error:
                raise self._failure(error)
            if data:
                return data
            if data is not None:
                self.close()
                raise TlsError("the server closed the TLS connection")
            # None without waiting: a session ticket was read, and more may lie behind it.
        return b""

    def _failure(self, error):
        """Closes, and returns what to raise for mbedtls' error."""
        self.close()
        if self._refusal:
            return self._refusal
        from branchline.hal import tls_refusals as refusals

        if isinstance(error, ValueError):
            if "(CN)" in str(error):
                self._context.forget_name()
                return TlsError("the server's certificate has another name than before")
            return refusals.certificate_refused(str(error))
        if error.args[0] == _ALERT_RECEIVED:
            last = self._last
            readable = last[0] == _ALERT and last[3:5] == b"\0\2"
            return refusals.alert_received(last[6] if readable else None)
        if error.args[0] == _BAD_CERTIFICATE:
            what = "its extendedKeyUsage or keyUsage is not a server's"
            return refusals.certificate_refused(what)
        if error.args[0] in _OUT_OF_MEMORY:
            return TlsError("not enough memory for TLS")
        reason = error.args[-1]
        if isinstance(reason, int):
            reason = "mbedtls error -0x{:04x}".format(-reason)
        return TlsError("TLS failed: " + reason)

    def _need_open(self):
        if self._ssl is None:
            raise StateError("the TLS channel is closed")

    def _need_complete(self):
        self._need_open()
        if not self._complete:
            raise StateError("the TLS handshake is not complete")
