"""How little memory the compiled gateway needs.

`w` has MicroPython size the heap by the words of this machine: 104wk are 208 KB where pointers
have 64 bits. As on a board, the code itself lies outside the heap. The watchdog, the journal and
the API's door want some more than the tunnels alone.
"""

import pytest

from host_tests.lab import Gateway

_PINGS = 1000
_TUNNELS_ALONE = {"watchdog": {"probe_ms": 0}, "state": None, "api": {"listen": None}}


@pytest.mark.parametrize("wrap", ["none", "tls-auth", "tls-crypt", "tls-crypt-v2"])
def test_a_tunnel_carries_pings_in_a_heap_of_104wk(pair, wrap):
    server = pair.server(wrap=wrap)
    gateway = Gateway(pair.branch, {"hub": pair.profile(server)}, heap="104wk", compiled=True,
                      **_TUNNELS_ALONE)
    gateway.start().wait_up()
    assert pair.branch.ping(server.address, _PINGS, interval=0.002).lost == 0
    gateway.stop()


def test_a_small_heap_has_room_for_new_keys(pair):
    server = pair.server(wrap="tls-crypt", reneg_sec=3)
    gateway = Gateway(pair.branch, {"hub": pair.profile(server)}, heap="128wk", compiled=True,
                      **_TUNNELS_ALONE)
    gateway.start().wait_up()
    assert pair.branch.ping(server.address, 400, interval=0.02).lost == 0
    gateway.wait_event("hub", "rekeyed", count=2)
    gateway.stop()


def test_two_tunnels_carry_pings_in_a_heap_of_128wk(pair):
    _assert_two_tunnels(pair, "128wk", **_TUNNELS_ALONE)


def test_a_tunnel_and_all_that_watches_it_fit_in_a_heap_of_128wk(pair):
    server = pair.server(wrap="tls-crypt")
    gateway = Gateway(pair.branch, {"hub": pair.profile(server)}, heap="128wk", compiled=True)
    gateway.start().wait_up()
    gateway.wait_event("hub", "health")
    assert pair.branch.ping(server.address, _PINGS, interval=0.002).lost == 0
    gateway.stop()


def test_two_tunnels_and_all_that_watches_them_fit_in_a_heap_of_144wk(pair):
    _assert_two_tunnels(pair, "144wk")


def _assert_two_tunnels(pair, heap, **options):
    servers = [
        pair.server(name=f"server{i}", port=1194 + i, network=f"10.{8 + i}.0.0/24",
                    wrap="tls-crypt")
        for i in range(2)
    ]
    profiles = {server.name: pair.profile(server) for server in servers}
    gateway = Gateway(pair.branch, profiles, heap=heap, compiled=True, **options)
    gateway.start().wait_up()
    for server in servers:
        assert pair.branch.ping(server.address, _PINGS // 2, interval=0.002).lost == 0
    gateway.stop()


def test_a_filter_fits_in_a_heap_of_144wk(pair):
    """That of a branch among forty whose prefixes do not adjoin. It wants 8 KB, but MicroPython's
    table of names may double on the way, as it does with routing."""
    branches = ["10.100.%d.1" % n for n in range(40)] + ["192.168.%d.0/25" % n for n in range(40)]
    rules = [{"to": "branches", "allow": ["icmp", "tcp/443"]},
             {"from": "branches", "allow": ["icmp", "tcp/443"]}]
    server = pair.server(wrap="tls-crypt")
    gateway = Gateway(pair.branch, {"hub": pair.profile(server)}, heap="144wk", compiled=True,
                      tunnels={"hub": {"device": "bl-hub"}}, address="10.100.0.11",
                      filter={"peers": {"branches": branches}, "rules": rules})
    gateway.start().wait_up()
    gateway.wait_event("hub", "health")
    assert pair.branch.ping(server.address, _PINGS, interval=0.002).lost == 0
    assert gateway.fresh_status()["filter"]["state"] == "loaded"
    gateway.stop()
