"""How little memory the compiled gateway needs.

`w` has MicroPython size the heap by the words of this machine: 96wk are 192 KB where pointers have
64 bits. As on a board, the code itself lies outside the heap.
"""

import pytest

from host_tests.lab import Gateway

_PINGS = 1000


@pytest.mark.parametrize("wrap", ["none", "tls-auth", "tls-crypt", "tls-crypt-v2"])
def test_a_tunnel_carries_pings_in_a_heap_of_96wk(pair, wrap):
    server = pair.server(wrap=wrap)
    gateway = Gateway(pair.branch, {"hub": pair.profile(server)}, heap="96wk", compiled=True)
    gateway.start().wait_up()
    assert pair.branch.ping(server.address, _PINGS, interval=0.002).lost == 0
    gateway.stop()


def test_a_small_heap_has_room_for_new_keys(pair):
    server = pair.server(wrap="tls-crypt", reneg_sec=3)
    gateway = Gateway(pair.branch, {"hub": pair.profile(server)}, heap="96wk", compiled=True)
    gateway.start().wait_up()
    assert pair.branch.ping(server.address, 400, interval=0.02).lost == 0
    gateway.wait_event("hub", "rekeyed", count=2)
    gateway.stop()


def test_two_tunnels_carry_pings_in_a_heap_of_128wk(pair):
    servers = [
        pair.server(name=f"server{i}", port=1194 + i, network=f"10.{8 + i}.0.0/24",
                    wrap="tls-crypt")
        for i in range(2)
    ]
    profiles = {server.name: pair.profile(server) for server in servers}
    gateway = Gateway(pair.branch, profiles, heap="128wk", compiled=True)
    gateway.start().wait_up()
    for server in servers:
        assert pair.branch.ping(server.address, _PINGS // 2, interval=0.002).lost == 0
    gateway.stop()
