"""tls-auth, tls-crypt and tls-crypt-v2 in all their forms, and with wrong keys."""

import pytest

from host_tests.interop.openvpn_support import (
    TUNNEL,
    assert_carries,
    connect,
    eventually,
    gateway,
)
from host_tests.lab import Client, UdpRelay

_HARD_RESET_SERVER_V2 = 8


@pytest.mark.parametrize("auth", ["SHA1", "SHA256", "SHA384", "SHA512"])
def test_tls_auth_follows_the_digest_of_auth(pair, auth):
    server = pair.server(wrap="tls-auth", auth=auth)
    running = connect(pair, server)
    assert_carries(pair, server)
    running.stop()


@pytest.mark.parametrize("direction", [(None, None), ("0", "1"), ("1", "0")])
def test_tls_auth_key_direction(pair, direction):
    ours, theirs = direction
    key = pair.pki.static_key()
    path = pair.pki.write("ta.key", key)
    server = pair.server(server_lines=(f"tls-auth {path} {theirs or ''}".strip(),))
    lines = [f"<tls-auth>\n{key}</tls-auth>", *([f"key-direction {ours}"] if ours else [])]
    running = connect(pair, server, *lines)
    assert_carries(pair, server)
    running.stop()


@pytest.mark.parametrize("cookie", ["force-cookie", "allow-noncookie"])
@pytest.mark.parametrize("tls", ["1.2", "1.3"])
def test_tls_crypt_v2_cookie(pair, cookie, tls):
    server = pair.server(wrap="tls-crypt-v2", cookie=cookie, tls_min=tls, tls_max=tls)
    running = connect(pair, server)
    assert_carries(pair, server)
    running.stop()


@pytest.mark.parametrize("wrap", ["tls-auth", "tls-crypt"])
def test_wrong_static_key(pair, wrap):
    """Neither side hears the other, as neither may answer what it cannot authenticate."""
    server = pair.server(wrap=wrap)
    profile = pair.profile(server, wrap_key=pair.pki.static_key(),
                           lines=("server-poll-timeout 1",))
    running = gateway(pair, profile)
    running.wait_for(f"{TUNNEL} down timeout: no answer from the server")
    server.wait_for(f"{wrap} unwrapping failed|tls-crypt unwrap|HMAC authentication failed|"
                    "packet authentication failed")
    assert server.clients() == []
    running.stop()


def test_wrong_tls_crypt_v2_key(pair):
    server = pair.server(wrap="tls-crypt-v2")
    other = pair.pki.tls_crypt_v2_client_key(pair.pki.tls_crypt_v2_server_key())
    profile = pair.profile(server, wrap_key=other, lines=("server-poll-timeout 1",))
    running = gateway(pair, profile)
    running.wait_for(f"{TUNNEL} down timeout: no answer from the server")
    server.wait_for("Can not unwrap tls-crypt-v2 client key")
    running.stop()


@pytest.mark.parametrize("wrap", ["tls-auth", "tls-crypt"])
def test_a_server_with_another_key_is_not_believed(pair, wrap):
    """The client drops what a server without the right key answers, and counts it."""
    server = pair.server(wrap=wrap)
    impostor = pair.server(wrap=wrap, name="impostor", port=1195, network="10.9.0.0/24")
    watcher = UdpRelay(pair.hub, pair.remote(), 2195, target=(pair.remote(), 1195))
    Client(pair.branch, impostor.profile("nice", watcher.remote)).start().wait_up()
    resets = [packet for packet in watcher.captured["down"]
              if packet[0] >> 3 == _HARD_RESET_SERVER_V2]

    relay = UdpRelay(pair.hub, pair.remote(), 2194, target=(pair.remote(), 1194))
    relay.up.choose = lambda packet: []
    running = gateway(pair, server.profile("lyon", relay.remote))
    eventually(lambda: relay.replay("down", resets), "the client has sent its reset")
    eventually(lambda: running.tunnel_status(TUNNEL)["counters"] == {"control_bad_auth": 1},
               "the answer is counted")
    relay.restore()
    running.wait_up()
    running.stop()
