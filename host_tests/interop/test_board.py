"""The bare-metal board in QEMU: our image as a branch's gateway, against stock peers."""

import re

from branchline import BUILD_TIME
from host_tests.interop.openvpn_support import eventually
from host_tests.lab import Gateway, Server
from host_tests.lab.babel import MacKey
from host_tests.lab.board import Board, Wire
from host_tests.lab.topology import Network
from host_tests.lab.trace import trace

_VLAN = 11
_NOBODY = "10.99.0.77"
_HEAP = 192 << 10
_ALONE = {"watchdog": {"probe_ms": 0}, "state": None, "api": {"listen": None}}

# Each cipher of the module in C against the known answers, and that it allocates nothing.
_KNOWN_ANSWERS = """
import aead, micropython
from branchline.crypto import aead as answers
for name, size in sorted(answers.KEY_SIZES.items()):
    if name[-4:] != "-CBC":
        subject = aead.Aead(name, bytes(range(size)))
        print(name, answers._check_aead(subject, answers._ANSWERS[name]))
        subject.close()
def run(subject, nonce, text, tag):
    micropython.heap_lock()
    for _ in range(100):
        subject.seal(nonce, nonce, 8, text, 1400, tag)
        subject.open(nonce, nonce, 8, text, 1400, tag)
    micropython.heap_unlock()
run(aead.Aead("AES-256-GCM", bytes(32)), bytearray(12), bytearray(1400), bytearray(16))
for arguments in (("AES-256-GCM", bytes(16)), ("AES-256-CBC", bytes(32))):
    try:
        aead.Aead(*arguments)
    except ValueError:
        print("refused")
"""

# The longest prefix, then the lowest metric; an interface takes its routes along.
_ROUTES = """
import tun
first, second = tun.Tun(), tun.Tun()
a, b = first.index(), second.index()
tun.address(a, bytes((10, 1, 0, 1)), 16)
tun.route(bytes((10, 2, 0, 0)), 16, 9, a)
tun.route(bytes((10, 2, 0, 0)), 16, 5, b)
tun.route(bytes((10, 2, 3, 0)), 24, 9, a, bytes((10, 1, 0, 9)))
tun.route(bytes((10, 4, 0, 0)), 16, 9, 0)
def names(*addresses):
    found = [tun.lookup(bytes(address)) for address in addresses]
    print([each and ("ab"[each[0] == b], each[1]) for each in found])
asked = (10, 1, 2, 3), (10, 2, 1, 1), (10, 2, 3, 1), (10, 4, 0, 1)
names(*asked)
second.close()
names(*asked)
print(tun.unroute(bytes((10, 2, 0, 0)), 16, 9), tun.unroute(bytes((10, 2, 0, 0)), 16, 9))
first.close()
try:
    first.index()
except OSError as error:
    print(error.args[0])
"""


def _joined(lab):
    """Two data centres, and lyon, whose gateway is the board with its LAN in a VLAN."""
    network = Network(lab, {"paris": "babeld", "dublin": "babeld"}, ("lyon",), key=MacKey(),
                      half_life=0, wrap="tls-crypt", hello_ms=500)
    network.start()
    lyon = network.branches["lyon"]
    network.internet.router.route(Wire.network, lyon.uplink.address(lyon.gateway))
    wire = Wire(lyon.gateway, vlans=True)
    wire.serve()
    lyon.desk.ip("addr", "flush", "dev", lyon.link.device(lyon.desk))
    wire.give_lan(lyon.desk, _VLAN, f"{lyon.address}/24", lyon.link.address(lyon.gateway))
    gateway = network.gateway("lyon", lans=((f"eth0.{_VLAN}", lyon.lan),), state=None,
                              api={"listen": None}, routing={"stub": True})
    return network, Board(wire, gateway, heap=_HEAP)


def _hops(network, source, address: str) -> list[str]:
    return [network.lab.owner(hop) for hop in trace(source, address)]


def test_a_lan_behind_the_board_reaches_both_data_centres_and_survives_a_cut(lab):
    network, board = _joined(lab)
    lyon = network.branches["lyon"]
    paris, dublin = network.centres.values()
    board.start().wait_up()
    assert re.search(r"wan eth0 has 10\.99\.0\.\d+", board.log())
    assert "clock set by" in board.log()
    for centre in (paris, dublin):
        eventually(lambda c=centre: lyon.desk.ping(c.address).received, "the host is reached")
        eventually(lambda c=centre: c.host.ping(lyon.static).received, "the board is reached")
        eventually(lambda c=centre: c.host.ping(lyon.address).received, "the LAN is reached")
    eventually(lambda: _hops(network, lyon.desk, paris.address) ==
               ["lyon", "paris", "paris-server"], "the direct way is taken")
    # A packet of full size passes whole, as DF asks for.
    lyon.desk.run("ping", "-c", "1", "-M", "do", "-s", "1472", paris.address)
    paris.relay.cut()
    eventually(lambda: _hops(network, lyon.desk, paris.address) ==
               ["lyon", "dublin", "paris", "paris-server"], "traffic has moved")
    board.stop()


def test_modules_in_c_give_the_known_answers(lab, pki):
    modem = lab.host("modem")
    wire = Wire(modem)
    wire.serve()
    profile = Server(modem, pki).profile("lyon", wire.address)
    board = Board(wire, Gateway(modem, {"hub": profile}, **_ALONE),
                  settings={"time": [_NOBODY]}).start()
    board.wait_for("no time server answers yet")
    assert BUILD_TIME <= int(board.execute("import time; print(time.time())")) < BUILD_TIME + 120
    assert board.execute(_KNOWN_ANSWERS).split("\n") == [
        "AES-128-GCM True", "AES-192-GCM True", "AES-256-GCM True", "CHACHA20-POLY1305 True",
        "refused", "refused", "",
    ]
    assert board.execute(_ROUTES).split("\n") == [
        "[('a', None), ('b', None), ('a', b'\\n\\x01\\x00\\t'), None]",
        "[('a', None), ('a', None), ('a', b'\\n\\x01\\x00\\t'), None]",
        "True False", "9", "",
    ]
    board.process.kill()


def test_a_tunnel_over_tcp_works_in_a_heap_of_96_kb(pair):
    server = pair.server(proto="tcp", wrap="tls-crypt")
    pair.hub.route(Wire.network, pair.link.address(pair.branch))
    wire = Wire(pair.branch)
    wire.serve()
    profile = server.profile("lyon", pair.remote())
    board = Board(wire, Gateway(pair.branch, {"hub": profile}, **_ALONE), heap=96 << 10).start()
    board.wait_up()
    assert pair.hub.ping(_first_client(server), 100, interval=0.01).lost == 0
    board.stop()


def _first_client(server) -> str:
    return server.address[: server.address.rindex(".")] + ".2"
