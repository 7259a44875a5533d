"""Server certificates: chain, names, validity, purpose and revocation."""

import pytest

from host_tests.interop.openvpn_support import TUNNEL, connect, gateway
from host_tests.lab import Server

_SUBJECT = "O=Branchline lab, CN=hub"


def _server(pair, credential=None, authority=None, **options) -> Server:
    return Server(pair.hub, pair.pki, credential=credential, authority=authority,
                  **options).start()


def _assert_refused(pair, profile: str, *reasons: str) -> None:
    """The handshake fails for these reasons, at the client's side, and is tried again later."""
    running = gateway(pair, profile)
    running.wait_for(rf"{TUNNEL} down tls-error: (?=.*next attempt)"
                     + "".join(rf"(?=.*{reason})" for reason in reasons))
    assert running.tunnel_status(TUNNEL)["state"] in ("down", "setup")
    running.stop()


@pytest.mark.parametrize("tls", ["1.2", "1.3"])
@pytest.mark.parametrize("key", ["P-256", "RSA-2048"])
def test_wrong_ca(pair, tls, key):
    server = pair.server(key=key, tls_min=tls, tls_max=tls)
    foreign = pair.pki.authority("foreign", key)
    _assert_refused(pair, pair.profile(server, authority=foreign), "ca")


def test_a_ca_of_the_same_name_with_another_key(pair):
    """The name of the issuer fits, the signature does not."""
    server = pair.server()
    impostor = pair.pki.authority("Lab CA P-256", "P-384")
    _assert_refused(pair, pair.profile(server, authority=impostor), "ca|signature")


@pytest.mark.parametrize("form, good, bad", [
    ("name", "hub", "hu"), ("name-prefix", "hu", "ub"), ("subject", _SUBJECT, "CN=hub"),
])
def test_verify_x509_name(pair, form, good, bad):
    server = pair.server()
    running = connect(pair, server, f'verify-x509-name "{good}" {form}')
    running.stop()
    profile = pair.profile(server, lines=(f'verify-x509-name "{bad}" {form}',))
    _assert_refused(pair, profile, "verify-x509-name", "hub")


@pytest.mark.parametrize("tls", ["1.2", "1.3"])
@pytest.mark.parametrize("period, word", [("expired", "expired"), ("future", "not valid yet")])
def test_validity(pair, tls, period, word):
    """Either may be the fault of a machine whose clock is wrong, so the error says 'clock'."""
    authority = pair.pki.authority()
    credential = authority.issue("hub", "server", period=period)
    server = _server(pair, credential, authority, tls_min=tls, tls_max=tls)
    _assert_refused(pair, pair.profile(server), word, "clock")


@pytest.mark.parametrize("purpose", ["client", None])
def test_remote_cert_tls_wants_a_servers_extended_key_usage(pair, purpose):
    authority = pair.pki.authority()
    server = _server(pair, authority.issue("hub", purpose), authority)
    _assert_refused(pair, pair.profile(server), "extended key usage")


def test_remote_cert_tls_wants_a_key_usage(pair):
    authority = pair.pki.authority()
    server = _server(pair, authority.issue("hub", "server", usage=None), authority)
    _assert_refused(pair, pair.profile(server), "key usage")


def test_without_remote_cert_tls_no_purpose_is_asked_for(pair):
    authority = pair.pki.authority()
    server = _server(pair, authority.issue("hub", None), authority)
    running = gateway(pair, pair.profile(server).replace("remote-cert-tls server\n", ""))
    running.wait_up()
    running.stop()


@pytest.mark.parametrize("purpose", ["server", "both"])
def test_intermediate_authority(pair, purpose):
    root = pair.pki.authority("root")
    between = pair.pki.authority("between", parent=root)
    server = _server(pair, between.issue("hub", purpose), root)
    running = connect(pair, server)
    running.stop()


def test_crl_verify(pair):
    authority = pair.pki.authority()
    good, bad = (authority.issue(name, "server") for name in ("good", "bad"))
    block = f"<crl-verify>\n{authority.revocation_list(bad)}</crl-verify>"
    for name, credential, port in (("good", good, 1194), ("bad", bad, 1195)):
        server = _server(pair, credential, authority, name=name, port=port,
                         network=f"10.{port - 1186}.0.0/24")
        profile = pair.profile(server, lines=(block,))
        if credential is good:
            running = gateway(pair, profile)
            running.wait_up()
            running.stop()
        else:
            _assert_refused(pair, profile, "crl-verify", "revoked")


def test_the_server_refuses_our_certificate(pair):
    """The stock server tells the client nothing: it falls silent, so only its log says why."""
    server = pair.server()
    foreign = pair.pki.authority("foreign").issue("lyon", "client")
    running = gateway(pair, pair.profile(server, foreign, lines=("hand-window 2",)))
    server.wait_for("VERIFY ERROR")
    running.wait_for(rf"{TUNNEL} down timeout: .*see the server's log")
    running.stop()


def test_no_tls_version_in_common(pair):
    server = pair.server(tls_max="1.2")
    profile = pair.profile(server, lines=("hand-window 2",))
    running = gateway(pair, profile.replace("tls-version-max 1.2", "tls-version-min 1.3"))
    server.wait_for("Sent fatal SSL alert")
    running.wait_for(rf"{TUNNEL} down timeout: .*see the server's log")
    running.stop()


@pytest.mark.parametrize("suite, tls", [
    ("tls-cipher TLS-ECDHE-ECDSA-WITH-AES-128-GCM-SHA256", "1.2"),
    ("tls-ciphersuites TLS_AES_128_GCM_SHA256", "1.3"),
])
def test_the_profile_chooses_the_suite(pair, suite, tls):
    server = pair.server(tls_max=tls)
    running = connect(pair, server, suite)
    assert "AES-128-GCM-SHA256" in running.tunnel_status(TUNNEL)["tls"]
    server.wait_for("cipher TLSv1.[23] (ECDHE-ECDSA-AES128-GCM-SHA256|TLS_AES_128_GCM_SHA256)")
    running.stop()
