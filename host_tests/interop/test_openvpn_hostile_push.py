"""Servers that push nonsense: it is told, bounded, and the gateway lives on."""

import pytest

from host_tests.interop.openvpn_support import TUNNEL, gateway


def _pushing(pair, *push: str, **options):
    server = pair.server(push=push, **options)
    return server, gateway(pair, pair.profile(server))


@pytest.mark.parametrize("option", [
    "route 300.1.2.3 255.255.255.0", "route 10.66.0.0 255.0.255.0", "route not-an-address",
    "route-ipv6 fd00::/999", "route-ipv6 zzz", "dhcp-option", "ping 99999999999999999999",
    "ping-restart minus-one", "route-gateway 1.2.3", "redirect-gateway everything",
    "inactive many", "no-such-option with words", "script-security 2", "up /bin/true",
    "remote 192.0.2.66", "setenv PATH /nowhere", "auth-user-pass", "verb 11", "cd /",
    "explicit-exit-notify x", "route 10.66.0.0 255.255.0.0 vpn_gateway 999999999999",
])
def test_what_the_tunnel_can_do_without_is_passed_over(pair, option):
    server, running = _pushing(pair, option)
    running.wait_up()
    assert pair.branch.ping(server.address, 2).lost == 0
    running.stop()


@pytest.mark.parametrize("option", [
    "topology ring", "tun-mtu 60", "tun-mtu words", "peer-id 99999999",
    "ifconfig 10.8.0.2 nonsense", "key-derivation guess", "compress zip",
])
def test_what_it_cannot_do_without_ends_the_attempt(pair, option):
    """What the server says wrongly stands before its own, right option of the same name."""
    server, running = _pushing(pair, option)
    running.wait_for(rf"{TUNNEL} down options-error: .*{option.split()[0]}")
    assert running.process.running
    running.stop()


def test_more_routes_than_anyone_has(pair):
    """The table of routes is bounded; what is beyond it is told in the log."""
    push = tuple(f"route 10.{100 + n // 200}.{n % 200}.0 255.255.255.0" for n in range(400))
    server, running = _pushing(pair, *push)
    running.wait_up()
    assert pair.branch.ping(server.address, 2).lost == 0
    shown = [line for line in pair.branch.routes() if line.startswith("10.10")]
    assert len(shown) == 128
    running.wait_for(f"warning {TUNNEL} pushed route: more than 128 of them")
    running.stop()


def test_more_options_than_a_reply_may_hold(pair):
    push = tuple(f"route 10.{100 + n // 250}.{n % 250}.0 255.255.255.0" for n in range(2000))
    server, running = _pushing(pair, *push)
    running.wait_for(f"{TUNNEL} down .*too many pushed options", timeout=30)
    running.stop()


def test_long_values_are_cut_in_the_log(pair):
    server, running = _pushing(pair, "no-such-" + 200 * "x", "dhcp-option DOMAIN " + 200 * "y")
    running.wait_up()
    assert 100 * "x" not in running.log()
    running.stop()


def test_messages_of_the_server_cannot_forge_log_lines(pair):
    """AUTH_FAILED with a reason of the server's choosing."""
    server = pair.server(users={"joe": "right"})
    text = "bad\x1b[31m word"
    script = pair.pki.write(
        "refuse", f"#!/bin/sh\nprintf '%s' '{text}' >$auth_failed_reason_file\nexit 1\n")
    script.chmod(0o700)
    server.stop()
    server.options.server_lines = ("script-security 2",
                                   f"auth-user-pass-verify {script} via-file")
    server.options.users = {}
    server.start()
    server.options.users = {"joe": "right"}
    running = gateway(pair, pair.profile(server))
    running.wait_for(f"{TUNNEL} down auth-failed: bad.* word")
    assert "\x1b" not in running.log()
    running.stop()
