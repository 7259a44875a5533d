"""Authentication between the gateway and stock daemons, and what hostile neighbours get."""

import calendar
import collections
import random
import time

import pytest

from host_tests.interop.babel_support import (
    ANY_HUBS,
    ONE_HUB,
    hears,
    kernel_routes,
    make_network,
    routing,
    start,
    wait_counters,
    wait_hub,
    wait_reachable,
    wait_routes,
)
from host_tests.interop.openvpn_support import eventually
from host_tests.lab.babel import MacKey
from host_tests.lab.babel_peer import (
    BabelPeer,
    hello,
    ihu,
    next_hop,
    router_id,
    tlv,
    update,
)

_OURS = "fe80::b:11"
_PACKETS = 400
# (what, the TLV, the counter it adds to)
_MALFORMED = [
    ("a TLV that ends behind the packet", b"\x04\xff\0\0", "truncated"),
    ("a Hello of two octets", tlv(4, b"\0\0"), "malformed"),
    ("an IHU without its address", tlv(5, b"\x02\0\0\x60\0\x60"), "malformed"),
    ("an update with 33 bits of IPv4", tlv(8, b"\x01\0\x21\0\1\x90\0\1\0\0" + bytes(5)),
     "malformed"),
    ("an update that lacks octets", tlv(8, b"\x01\0\x18\0\1\x90\0\1\0\0\x0a"), "malformed"),
    ("an update that omits what was never said", tlv(8, b"\x01\0\x18\2\1\x90\0\1\0\0\x0a"),
     "malformed"),
    ("an unknown sub-TLV that must be understood", tlv(4, b"\0\0\0\1\0\x64\xf0\0"), "mandatory"),
    ("an unknown TLV", tlv(200, b"?" * 40), None),
    ("nothing but padding", bytes(50), None),
]


@pytest.mark.parametrize("peers", ONE_HUB)
@pytest.mark.parametrize("ours, theirs", [(True, False), (False, True), (True, True)],
                         ids=["theirs-missing", "ours-missing", "different"])
def test_a_wrong_key_is_refused(lab, peers, ours, theirs):
    """No neighbour, no route, on either side; the gateway counts what it refuses."""
    network = make_network(lab, peers, key=MacKey() if theirs else None)
    paris = network.centres["paris"]
    gateway = start(network, routing={"keys": [MacKey().entry()] if ours else []})
    if ours:
        wait_counters(gateway, "bad_mac")
        assert routing(gateway)["neighbours"] == []
    else:  # who has no key hears all, and is not heard
        eventually(lambda: routing(gateway)["neighbours"], "the hub is heard")
        assert routing(gateway)["neighbours"][0]["cost"] == 0xFFFF
    assert not hears(paris, _OURS)
    assert not paris.babel.routes() and not kernel_routes(gateway.host)
    gateway.stop()


@pytest.mark.parametrize("peers", ONE_HUB)
def test_keys_change_without_a_gap(lab, peers):
    """The gateway gets the new key first, then the hub: at no time are they without a common
    one."""
    old, new = MacKey("old"), MacKey("new")
    network = make_network(lab, peers, key=old)
    paris = network.centres["paris"]
    gateway = start(network, routing={"keys": [old.entry(), new.entry()]})
    wait_routes(gateway.host, {paris.prefix: "tun-paris"})
    paris.babel.stop()
    paris.babel.keys = (new,)
    paris.babel.start()
    eventually(lambda: hears(paris, _OURS), "the hub hears us by the new key")
    wait_routes(gateway.host, {paris.prefix: "tun-paris"})
    gateway.stop()


@pytest.mark.parametrize("peers", ONE_HUB)
def test_keys_are_used_in_their_times(lab, peers):
    """One key's time ends, the other's begins: the gateway follows, and who stays behind is
    refused."""
    old, new = MacKey("old"), MacKey("new")
    network = make_network(lab, peers, key=old)
    paris = network.centres["paris"]
    change = time.gmtime(calendar.timegm(time.gmtime()) + 4)
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", change)
    gateway = start(network, routing={"keys": [
        old.entry(send=[None, at], accept=[None, at]),
        new.entry(send=[at, None], accept=[None, None]),
    ]})
    wait_routes(gateway.host, {paris.prefix: "tun-paris"})
    gateway.wait_for("neighbour fe80::1 dev tun-paris down")
    wait_counters(gateway, "bad_mac")
    paris.babel.stop()
    paris.babel.keys = (new,)
    paris.babel.start()
    wait_routes(gateway.host, {paris.prefix: "tun-paris"})
    wait_hub(paris, network.branches["lyon"].lan)
    gateway.stop()


@pytest.mark.parametrize("peers", ANY_HUBS)
def test_noise_does_no_harm(lab, peers):
    """Random octets, and packets that are nearly right, without a key and with a wrong one."""
    network = make_network(lab, peers, key=MacKey(), mesh=False)
    gateway = start(network)
    _wait_learned(network, gateway)
    source = random.Random(8966)
    valid = hello(7) + ihu() + router_id(b"intruder") + update("10.201.0.0/16")
    for centre in network.centres.values():
        peer = BabelPeer(centre.hub, "server", key=MacKey())
        for number in range(_PACKETS):
            packet = bytearray(peer.sign(valid))
            for _ in range(number % 8):
                packet[source.randrange(len(packet))] = source.randrange(256)
            peer.send_raw(bytes(packet[:source.randrange(len(packet) + 1)]),
                          _OURS if number % 2 else "ff02::1:6")
            peer.send_raw(source.randbytes(source.randrange(200)))
    wait_counters(gateway, "not_babel", "bad_mac")
    _assert_unharmed(network, gateway)
    gateway.stop()


@pytest.mark.parametrize("key", [None, MacKey()], ids=["open", "mac"])
def test_malformed_tlvs_are_counted_by_reason(lab, key):
    """They come from a neighbour that is believed: it has the key and answers the challenge."""
    network = make_network(lab, "babeld", key=key)
    gateway = start(network)
    _wait_learned(network, gateway)
    peer = BabelPeer(network.centres["paris"].hub, "server", key=key)
    if key:
        peer.authenticate()
    good = (hello(2) + ihu() + router_id(b"believed") + next_hop("10.8.1.66")
            + update("10.201.0.0/16"))
    _teach(peer, gateway, good)
    # With a MAC, the walk that looks for the packet counter stumbles first.
    reasons = {"truncated": "not_babel"} if key else {}
    wanted = collections.Counter(reasons.get(counter, counter)
                                 for _, _, counter in _MALFORMED if counter)
    wanted.update(routing(gateway)["counters"])
    for _, body, _ in _MALFORMED:
        peer.send(body)
    eventually(lambda: wanted <= collections.Counter(routing(gateway)["counters"]),
               f"at least {wanted} is counted")
    source = random.Random(6696)
    for _ in range(_PACKETS):
        kind = source.choice((0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 16, 18, 19, 250))
        peer.send(tlv(kind, source.randbytes(source.randrange(40))))
    _assert_unharmed(network, gateway)
    gateway.stop()


def test_a_replayed_packet_is_refused(lab):
    key = MacKey()
    network = make_network(lab, "babeld", key=key)
    gateway = start(network)
    peer = BabelPeer(network.centres["paris"].hub, "server", key=key)
    peer.authenticate()
    good = (hello(2) + ihu() + router_id(b"believed") + next_hop("10.8.1.66")
            + update("10.201.0.0/16"))
    _teach(peer, gateway, good)
    old = peer.sign(good)
    peer.send_raw(old)
    peer.send(update("10.201.0.0/16", metric=0xFFFF))
    wait_routes(gateway.host, {"10.201.0.0/16": "unreachable"})
    before = routing(gateway)["counters"].get("replayed", 0)
    peer.send_raw(old)
    eventually(lambda: routing(gateway)["counters"].get("replayed", 0) > before,
               "the replay is counted")
    assert kernel_routes(gateway.host).get("10.201.0.0/16") in ("unreachable", None)
    gateway.stop()


def _teach(peer, gateway, tlvs: bytes) -> None:
    """Send an announcement until it is believed: it may overtake the reply to the challenge."""
    def learned() -> bool:
        peer.send(tlvs)
        return kernel_routes(gateway.host).get("10.201.0.0/16") == "tun-paris"

    eventually(learned, "the forged peer is believed")


def _wait_learned(network, gateway) -> None:
    for centre in network.centres.values():
        wait_routes(gateway.host, {centre.prefix: f"tun-{centre.name}"})
        wait_hub(centre, network.branches["lyon"].lan)


def _assert_unharmed(network, gateway) -> None:
    """The routes of the real hubs are there, and traffic goes by them."""
    branch = network.branches["lyon"]
    assert gateway.process.running
    for centre in network.centres.values():
        wait_routes(gateway.host, {centre.prefix: f"tun-{centre.name}"})
        assert hears(centre, _OURS)
        wait_reachable(branch.desk, centre.address)
