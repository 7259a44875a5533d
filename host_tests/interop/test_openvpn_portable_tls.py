"""Servers verified as boards do whose interpreter offers no access to its mbedtls: the first
handshake learns the server's name, the second one verifies everything."""

import pytest

from host_tests.interop.openvpn_support import TUNNEL, assert_carries, connect, gateway

_PORTABLE = {"BRANCHLINE_TLS": "portable"}


@pytest.mark.parametrize("limit", ["max 1.2", "min 1.3"])
@pytest.mark.parametrize("proto", ["udp", "tcp"])
def test_it_connects_and_connects_again(pair, limit, proto):
    server = pair.server(proto=proto, server_lines=("tls-version-" + limit,))
    running = connect(pair, server, env=_PORTABLE)
    assert_carries(pair, server)
    server.renegotiate()
    running.wait_event(TUNNEL, "up", count=2)
    assert_carries(pair, server)
    running.stop()


def test_tls_1_3_cannot_be_switched_off(pair):
    """It is refused before anything is touched, rather than not kept to."""
    server = pair.server()
    running = gateway(pair, pair.profile(server, lines=("tls-version-max 1.2",)), env=_PORTABLE)
    running.wait_for("tls-version-max: this build cannot switch TLS 1.3 off")
    assert running.process.wait() == 2


def test_the_name_is_learnt_once(pair):
    """One handshake is given up at the server's certificate; later ones go straight on."""
    server = pair.server()
    running = connect(pair, server, "reneg-sec 3", env=_PORTABLE)
    running.wait_event(TUNNEL, "rekeyed")
    assert_carries(pair, server)
    running.stop()


def test_a_wrong_ca_is_refused(pair):
    server = pair.server()
    profile = pair.profile(server, authority=pair.pki.authority("foreign"))
    running = gateway(pair, profile, env=_PORTABLE)
    running.wait_for(rf"{TUNNEL} down tls-error: .*ca")
    running.stop()


def test_a_wrong_subject_is_refused(pair):
    server = pair.server()
    profile = pair.profile(server, lines=('verify-x509-name "CN=other" subject',))
    running = gateway(pair, profile, env=_PORTABLE)
    running.wait_for(rf"{TUNNEL} down tls-error: .*verify-x509-name")
    running.stop()


def test_an_expired_certificate_is_refused(pair):
    authority = pair.pki.authority()
    credential = authority.issue("hub", "server", period="expired")
    server = pair.server(credential=credential, authority=authority)
    running = gateway(pair, pair.profile(server), env=_PORTABLE)
    running.wait_for(rf"{TUNNEL} down tls-error: .*expired.*clock")
    running.stop()
