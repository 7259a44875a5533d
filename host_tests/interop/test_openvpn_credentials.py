"""User and password, auth-token, and what the client does when they are refused."""

import pytest

from host_tests.interop.openvpn_support import TUNNEL, assert_carries, connect, gateway

_PASSWORD = "correct-horse-42"
_USERS = {"joe": _PASSWORD}


def _without_inline_user(profile: str) -> str:
    head, _, rest = profile.partition("<auth-user-pass>")
    return head + rest.partition("</auth-user-pass>\n")[2]


def test_inline_user_and_password(pair):
    server = pair.server(users=_USERS)
    running = connect(pair, server)
    assert_carries(pair, server)
    assert server.clients()[0]["Username"] == "joe"
    running.stop()
    assert _PASSWORD not in running.log()


def test_user_and_password_from_a_file(pair):
    server = pair.server(users=_USERS)
    path = pair.pki.write("user.txt", f"joe\n{_PASSWORD}\n")
    profile = _without_inline_user(pair.profile(server)) + f"auth-user-pass {path}\n"
    running = gateway(pair, profile)
    running.wait_up()
    assert_carries(pair, server)
    running.stop()


def test_user_and_password_without_a_certificate(pair):
    server = pair.server(users=_USERS, server_lines=("verify-client-cert none",))
    text = pair.profile(server)
    for block in ("cert", "key"):
        head, _, rest = text.partition(f"<{block}>\n")
        text = head + rest.partition(f"</{block}>\n")[2]
    running = gateway(pair, text)
    running.wait_up()
    assert pair.branch.ping(server.address, 3).lost == 0
    running.stop()


@pytest.mark.parametrize("retry, wait", [("none", "300 s"), ("nointeract", "(0.[789]|1)")])
def test_a_wrong_password_is_told_and_seldom_tried_again(pair, retry, wait):
    server = pair.server(users=_USERS)
    profile = pair.profile(server, lines=(f"auth-retry {retry}",)).replace(_PASSWORD, "guess-99")
    running = gateway(pair, profile)
    running.wait_for(rf"warning {TUNNEL} down auth-failed: .*next attempt in {wait}")
    if retry == "nointeract":
        running.wait_for(rf"{TUNNEL} down auth-failed", count=2)
    assert running.tunnel_status(TUNNEL)["state"] in ("down", "setup")
    running.stop()
    assert "guess-99" not in running.log()


def test_an_auth_token_takes_the_passwords_place_at_every_rekey(pair):
    server = pair.server(users=_USERS, reneg_sec=4,
                         server_lines=("hand-window 2", "auth-gen-token"))
    running = connect(pair, server, "reneg-sec 1")
    with pair.branch.pinger(server.address) as pinger:
        running.wait_for(f"{TUNNEL} rekeyed", count=2)
    assert pinger.result.lost == 0
    # The script of auth-user-pass-verify is asked once; afterwards the server sees its token.
    server.wait_for("Username/auth-token authentication succeeded", count=2)
    status = running.fresh_status()
    running.stop()
    for text in (running.log(), str(status)):
        assert "SESS_ID" not in text and _PASSWORD not in text


def test_an_expired_auth_token_falls_back_to_the_password(pair):
    server = pair.server(users=_USERS, reneg_sec=4,
                         server_lines=("hand-window 2", "auth-gen-token 2"))
    running = connect(pair, server, "reneg-sec 3")
    running.wait_for(f"{TUNNEL} down auth-failed: the auth-token has expired")
    running.wait_up(count=2)
    assert_carries(pair, server)
    running.stop()
