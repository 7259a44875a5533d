"""TlsContext and TlsChannel joined in memory with a server of the interpreter's own TLS."""

import sys

from branchline.crypto.x509 import hostname
from branchline.wire.errors import (
    ConfigError,
    NameLearnt,
    ProtocolError,
    StateError,
    TlsError,
    Unsupported,
)
from support import raises
from tls_support import PKI, MemoryStream, pem

MICROPYTHON = sys.implementation.name == "micropython"
if MICROPYTHON:
    import tls

    from branchline.hal.linux import mbedtls
    from branchline.hal.linux.libc import Library
    from branchline.hal.tls_micropython import TlsContext

    NATIVE = mbedtls.load()
else:
    import ssl
    import tempfile

    from branchline.hal.tls_cpython import TlsContext

    NATIVE = None

_SEGMENT = 700


class Profile:
    """The part of a profile that TLS reads."""

    extra_certs = tls_version_max = tls_cipher = tls_ciphersuites = None
    tls_version_min = "1.2"

    def __init__(self, client="client", **settings):
        self.ca = pem("ca.crt")
        self.cert = client and pem(client + ".crt")
        self.key = client and pem(client + ".key")
        for name in settings:
            setattr(self, name, settings[name])


if MICROPYTHON:

    class Server:
        """A server on mbedtls."""

        def __init__(self, name, chain=b"", version="1.3", verify=None):
            context = tls.SSLContext(tls.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(pem(name + ".crt") + chain, pem(name + ".key"))
            if verify:
                context.load_verify_locations(pem(verify))
                context.verify_mode = tls.CERT_REQUIRED
            self._stream = MemoryStream()
            # A first connection, only to find the configuration in.
            ssl = self._wrap(context)
            if version == "1.2":
                assert NATIVE.forbid_tls13(ssl, context)
            ssl.close()
            self._ssl = self._wrap(context)
            self._context = context

        def _wrap(self, context):
            return context.wrap_socket(
                self._stream, server_side=True, do_handshake_on_connect=False
            )

        def step(self, data):
            """Takes ciphertext, answers (plaintext, ciphertext)."""
            self._stream.input += data
            text = b""
            try:
                text = self._ssl.read(4096) or b""
            except (OSError, ValueError):
                pass  # the client's failure, or the server's own: the client is what is tested
            out, self._stream.output = self._stream.output, b""
            return text, out

        def write(self, data):
            assert self._ssl.write(data) == len(data)

        def close(self):
            notify = Library(None).func("i", "mbedtls_ssl_close_notify", "L")
            notify(mbedtls.locate(self._ssl, self._context))

        def export(self, label, n):
            return NATIVE.export(self._ssl, self._context, label, n)

else:

    class Server:
        """A server on OpenSSL."""

        def __init__(self, name, chain=b"", version="1.3", verify=None):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.maximum_version = {
                "1.2": ssl.TLSVersion.TLSv1_2,
                "1.3": ssl.TLSVersion.TLSv1_3,
            }[version]
            with tempfile.NamedTemporaryFile() as file:
                file.write(pem(name + ".crt") + chain)
                file.flush()
                context.load_cert_chain(file.name, PKI + name + ".key")
            if verify:
                context.load_verify_locations(PKI + verify)
                context.verify_mode = ssl.CERT_REQUIRED
            self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
            self._ssl = context.wrap_bio(self._in, self._out, server_side=True)

        def step(self, data):
            """Takes ciphertext, answers (plaintext, ciphertext)."""
            self._in.write(data)
            text = b""
            try:
                text = self._ssl.read(4096)
            except ssl.SSLError:
                pass  # the client's failure, or the server's own: the client is what is tested
            return text, self._out.read()

        def write(self, data):
            self._ssl.write(data)

        def close(self):
            raises(ssl.SSLWantReadError, self._ssl.unwrap)


def accept(certificate):
    assert certificate[0] == 0x30


def refuse(certificate):
    raise TlsError("not this one")


def drain(channel):
    out = b""
    while data := channel.take(_SEGMENT):
        assert len(data) <= _SEGMENT
        out += data
    return out


def pump(channel, server):
    """Moves what the channel has to the server, and the answer back, in segments."""
    text, answer = server.step(drain(channel))
    for at in range(0, len(answer), _SEGMENT):
        channel.feed(memoryview(answer)[at : at + _SEGMENT])
    return text, answer


def join(channel, server):
    """Completes the handshake; then reads, so that a late refusal shows."""
    for _ in range(20):
        done = channel.handshake()
        answer = pump(channel, server)[1]
        if done and not answer:
            return channel
        if done:
            assert channel.read() == b""
    raise AssertionError("the handshake does not end")


def connect(tried, *arguments, **settings):
    """A channel joined with Server(*arguments, **settings), and that server; goes through the
    probe where there is one."""
    server = Server(*arguments, **settings)
    try:
        return join(tried.client(accept), server), server
    except NameLearnt:
        server = Server(*arguments, **settings)
        return join(tried.client(accept), server), server


def context(profile=None, native=NATIVE):
    return TlsContext(profile or Profile(), hostname, native)


# Every way in which a name is dealt with: without one, and learnt by a probe.
WAYS = (NATIVE, None) if NATIVE else (None,)


def test_both_ways_of_micropython_are_tested():
    assert not MICROPYTHON or NATIVE


def test_handshake_and_data():
    for name in ("server", "server-rsa", "server-p384"):
        for client in ("client", "client-rsa", None):
            for version in ("1.2", "1.3"):
                for native in WAYS:
                    verify = client and "ca.crt"
                    tried = context(Profile(client), native)
                    channel, server = connect(tried, name, version=version, verify=verify)
                    assert channel.cipher().startswith("TLSv" + version + " ")
                    assert channel.peer_certificate()[0] == 0x30
                    channel.write(b"hello" * 500)
                    assert pump(channel, server)[0] == b"hello" * 500
                    server.write(b"world" * 1000)
                    pump(channel, server)
                    text = b""
                    while data := channel.read():
                        text += data
                    assert text == b"world" * 1000
                    channel.close()
                    channel.close()



def test_plaintext_right_behind_the_handshake():
    channel = context(Profile(None)).client(accept)
    server = Server("server", version="1.2")
    channel.handshake()
    pump(channel, server)
    assert not channel.handshake()
    _, answer = server.step(drain(channel))
    server.write(b"early")
    channel.feed(answer + server.step(b"")[1])
    assert channel.handshake()
    assert channel.read() == b"early"
    assert channel.read() == b""


def test_servers_that_are_refused():
    for server, version, words in (
        ("server-other", "1.2", "not signed by the profile's ca"),
        ("server-other", "1.3", "not signed by the profile's ca"),
        ("server-expired", "1.2", "expired by this machine's clock"),
        ("server-expired", "1.3", "expired by this machine's clock"),
        ("server-future", "1.3", "not valid yet by this machine's clock"),
        ("server-as-client", "1.3", "not a server's"),
    ):
        if MICROPYTHON and server == "server-as-client":
            continue  # an mbedtls server does not even offer such a certificate
        for native in WAYS:
            error = raises(TlsError, connect, context(native=native), server, version=version)
            assert words in str(error), (server, str(error))


def test_a_server_that_the_check_refuses_gets_nothing_of_ours():
    for native in WAYS:
        tried = context(native=native)
        if MICROPYTHON and not native:
            raises(NameLearnt, join, tried.client(accept), Server("server"))
        channel = tried.client(refuse)
        error = raises(TlsError, join, channel, Server("server", verify="ca.crt"))
        assert str(error) == "not this one"
        assert len(drain(channel)) < 40  # an alert, at most
        raises(StateError, channel.handshake)
        raises(StateError, channel.feed, b"x")


def test_refusals_of_our_certificate():
    for client, version, words in (
        ("client-other", "1.2", ("unknown_ca", "bad_certificate")),
        (None, "1.2", ("handshake_failure",)),
    ):
        profile = Profile(client)
        error = raises(
            TlsError, connect, context(profile), "server", version=version, verify="ca.crt"
        )
        assert "the server refused TLS" in str(error)
        assert any(word in str(error) for word in words), (client, str(error))


def test_refusals_of_our_certificate_after_the_handshake():
    """Under TLS 1.3 they come when our side is done (an mbedtls server's cannot be decrypted)."""
    for client in ("client-other", None):
        raises(TlsError, connect, context(Profile(client)), "server", verify="ca.crt")


def test_authorities_and_chains():
    middle = pem("middle-ca.crt")
    profile = Profile()
    profile.ca = b"Certificate:\n  Data: text\n" + pem("other-ca.crt") + pem("ca.crt")
    for name in ("server", "server-other"):
        connect(context(profile), name)
    connect(context(), "server-middle", middle)
    raises(TlsError, connect, context(), "server-middle")
    profile = Profile("client-middle", extra_certs=middle)
    connect(context(profile), "server", verify="ca.crt")
    profile = Profile("client-middle")
    raises(TlsError, connect, context(profile), "server", verify="ca.crt")


def test_kinds_of_keys():
    for client in ("client", "client-rsa"):
        profile = Profile(client, key=pem(client + ".traditional.key"))
        connect(context(profile), "server", verify="ca.crt")


def test_profiles_that_cannot_be_used():
    for where, settings in (
        ("key", {"key": pem("client.encrypted.key")}),
        ("key", {"key": b"nothing"}),
        ("key", {"key": None}),
        ("key", {"key": pem("client.key").replace(b"MI", b"XX")}),
        ("cert", {"cert": pem("client.crt").replace(b"MI", b"XX")}),
        ("ca", {"ca": b"nothing"}),
        ("ca", {"ca": None}),
        ("ca", {"ca": pem("ca.crt").replace(b"MI", b"XX")}),
        ("tls-version-max", {"tls_version_max": "1.1"}),
        ("tls-version-min", {"tls_version_min": "1.3", "tls_version_max": "1.2"}),
        ("tls-cipher", {"tls_cipher": ("TLS-UNHEARD-OF",)}),
    ):
        profile = Profile(**settings)
        error = raises(ConfigError, context, profile)
        assert where in error.where, (where, str(error))
        assert str(pem("client.key")[60:90], "ascii") not in str(error)


def test_versions():
    for lowest, highest, version, expected in (
        ("1.2", None, "1.3", "TLSv1.3"),
        ("1.2", "1.2", "1.3", "TLSv1.2"),
        ("1.3", None, "1.3", "TLSv1.3"),
        ("1.3", None, "1.2", None),
        ("1.2", "1.3", "1.2", "TLSv1.2"),
    ):
        profile = Profile(tls_version_min=lowest, tls_version_max=highest)
        if expected:
            channel, _ = connect(context(profile), "server", version=version)
            assert channel.cipher().startswith(expected)
        else:
            raises(TlsError, connect, context(profile), "server", version=version)


def test_suites():
    for version, settings, expected in (
        ("1.2", {"tls_cipher": ("TLS-ECDHE-ECDSA-WITH-AES-128-GCM-SHA256",)}, "128"),
        ("1.2", {"tls_cipher": ("X", "TLS-ECDHE-ECDSA-WITH-AES-256-CBC-SHA384")}, "256"),
        ("1.2", {"tls_cipher": ("TLS-ECDHE-RSA-WITH-AES-128-GCM-SHA256",)}, None),
        ("1.3", {"tls_cipher": ("TLS-ECDHE-RSA-WITH-AES-128-GCM-SHA256",)}, "TLSv1.3"),
        ("1.3", {"tls_ciphersuites": ("TLS_AES_256_GCM_SHA384",)}, "256"),
    ):
        profile = Profile(**settings)
        if expected:
            channel, _ = connect(context(profile), "server", version=version)
            assert expected in channel.cipher(), (settings, channel.cipher())
        else:
            raises(TlsError, connect, context(profile), "server", version=version)


def test_octets_that_are_not_tls():
    for data in (
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x16\x03\x03\xff\xff" + bytes(200),
        b"\x16\x03\x03\0\x04\x14\0\0\0",
        b"\x17\x03\x03\0\x20" + bytes(32),
    ):
        channel = context().client(accept)
        channel.handshake()
        channel.feed(data)
        error = raises(TlsError, channel.handshake)
        assert "TLS" in str(error)


def test_a_damaged_record():
    for version in ("1.2", "1.3"):
        channel, server = connect(context(), "server", version=version)
        server.write(b"hello")
        record = bytearray(server.step(b"")[1])
        record[-1] ^= 1
        channel.feed(record)
        raises(TlsError, channel.read)
        raises(StateError, channel.read)


def test_the_server_closes():
    channel, server = connect(context(), "server")
    server.close()
    pump(channel, server)
    assert "closed" in str(raises(TlsError, channel.read))


def test_what_is_fed_is_bounded():
    channel = context().client(accept)
    channel.feed(bytes(32000))
    raises(TlsError, channel.feed, bytes(1000))


def test_calls_out_of_turn():
    channel = context().client(accept)
    raises(StateError, channel.read)
    raises(StateError, channel.write, b"x")
    raises(StateError, channel.export, "label", 1)
    assert channel.cipher() == ""
    assert channel.peer_certificate() == b""
    channel.close()
    raises(StateError, channel.handshake)


def test_exported_keying_material():
    channel, server = connect(context(), "server")
    if context().can_export:
        exported = channel.export("EXPORTER-OpenVPN-datakeys", 256)
        assert len(exported) == 256
        assert exported == server.export("EXPORTER-OpenVPN-datakeys", 256)
    else:
        raises(Unsupported, channel.export, "EXPORTER-OpenVPN-datakeys", 256)


if MICROPYTHON:

    def test_the_probe_learns_the_name_and_sends_nothing_of_ours():
        tried = context(native=None)
        for version in ("1.2", "1.3"):
            tried.forget_name()
            channel = tried.client(refuse)
            raises(NameLearnt, join, channel, Server("server", version=version, verify="ca.crt"))
            assert len(drain(channel)) < 40
            join(tried.client(accept), Server("server", version=version))

    def test_another_name_than_before_is_learnt_anew():
        tried = context(native=None)
        connect(tried, "server")
        error = raises(TlsError, join, tried.client(accept), Server("server-renamed"))
        assert "another name" in str(error) and not isinstance(error, NameLearnt)
        raises(NameLearnt, join, tried.client(accept), Server("server-renamed"))
        join(tried.client(accept), Server("server-renamed"))

    def test_a_certificate_without_a_usable_name():
        error = raises(TlsError, connect, context(native=None), "server-mail")
        assert "subjectAltName" in str(error)
        connect(context(), "server-mail")

    def test_a_leaf_that_cannot_be_read():
        def unreadable(certificate):
            raise ProtocolError("bad")

        tried = TlsContext(Profile(), unreadable, None)
        error = raises(TlsError, join, tried.client(accept), Server("server"))
        assert "cannot be read" in str(error)

    def test_no_native_access_no_upper_version():
        error = raises(ConfigError, context, Profile(tls_version_max="1.2"), None)
        assert error.where == "tls-version-max"

    def test_an_error_inside_the_check_reaches_the_caller():
        def broken(certificate):
            raise KeyError("a bug")

        raises(KeyError, join, context().client(broken), Server("server"))
