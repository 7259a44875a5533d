"""The Linux devices in a namespace of their own, driven line by line, seen by `ip -json`.

Everything runs on MicroPython, as on a gateway, and on CPython.
"""

import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from host_tests.interop.console import COMMANDS, Console
from host_tests.interop.openvpn_support import eventually
from host_tests.lab.netns import Lab

_IMPORTS = """
from branchline.hal import clock
from branchline.hal.linux import rtnetlink as rt, signals, sysctl
from branchline.hal.linux.ledger import Ledger
from branchline.hal.linux.netlink import Netlink
from branchline.hal.poller import Poller
from branchline.hal.resolver import Resolver
from branchline.hal.linux.tcp import open_tcp
from branchline.hal.linux.tun import open_tun
from branchline.hal.linux.udp import open_udp
from branchline.wire.ip import parse_address, parse_prefix
buf = bytearray(70000)
view = memoryview(buf)
nl = Netlink()
ledger = Ledger(nl)
def route(prefix, via=None, source=None, **more):
    octets, plen = parse_prefix(prefix)
    via = via and parse_address(via)
    source = source and parse_address(source)
    return rt.make_route(octets, plen, via=via, source=source, **more)
def address(prefix, peer=None):
    text, plen = prefix.split("/")
    return parse_address(text), int(plen), peer and parse_address(peer)
"""


@pytest.fixture
def host():
    """A host without any link."""
    with Lab() as lab:
        yield lab.host("hal")


@pytest.fixture(params=list(COMMANDS))
def console(request, host):
    """A fresh interpreter of each kind."""
    console = Console(host, request.param, _IMPORTS)
    yield console
    console.close()


@pytest.fixture
def tun(console):
    """The console with a configured tun `t`, 10.8.0.2/24 and fd00::2/64, of index `dev`."""
    console("t = open_tun('tun%d')")
    console("dev = nl.link(t.name).index")
    console("sysctl.no_link_local(t.name)")
    console("nl.set_link(dev, up=True, mtu=1400, txqueuelen=333)")
    console("nl.add_address(dev, *address('10.8.0.2/24'))")
    console("nl.add_address(dev, *address('fd00::2/64'))")
    return console


def _routes(console, *args):
    """{prefix: what ip says} of our routes."""
    found = console.ip(*args, "route", "show", "proto", "201")
    return {entry["dst"]: entry for entry in found}


def test_tun_is_configured_and_goes_with_its_process(tun):
    name = tun("t.name")
    (link,) = tun.ip("-details", "link", "show", "dev", name)
    assert (link["mtu"], link["txqlen"]) == (1400, 333)
    assert "UP" in link["flags"] and link["linkinfo"]["info_data"]["type"] == "tun"
    assert tun("tuple(nl.link(t.name))") == (tun("dev"), name, True, 1400)
    assert tun("nl.link('absent')") is None
    (shown,) = tun.ip("address", "show", "dev", name)
    assert {entry["local"] for entry in shown["addr_info"]} == {"10.8.0.2", "fd00::2"}
    tun("nl.set_link(dev, up=False)")
    assert not tun("nl.link(t.name).up")
    tun("t.close()")
    assert tun("nl.link('%s')" % name) is None


def test_tun_carries_packets_both_ways(tun):
    def echo(name, address, here):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as udp:
            udp.settimeout(5)
            udp.bind((here, 5555))
            udp.sendto(b"payload", (address, 5555))
            assert tun("clear()") is None
            udp.sendto(b"payload", (address, 5555))
            n = tun("find()")
            # The answer is the packet with its addresses exchanged: checksums stay right.
            start, size = (8, 16) if ":" in address else (12, 4)
            tun("a = bytes(view[%d:%d])" % (start, start + size))
            tun("buf[{0}:{1}] = buf[{1}:{2}]".format(start, start + size, start + 2 * size))
            tun("buf[%d:%d] = a" % (start + size, start + 2 * size))
            assert tun("t.write(view, %d)" % n) == n
            assert udp.recvfrom(100)[0] == b"payload"

    tun("def clear():\n while t.readinto(view) is not None: pass\n")
    # The kernel has packets of its own for a device that has just come up.
    tun("def find():\n"
        " while (n := t.readinto(view)) is not None and bytes(view[n - 7 : n]) != b'payload':\n"
        "  pass\n"
        " return n\n")
    for address, here in (("10.8.0.9", "10.8.0.2"), ("fd00::9", "fd00::2")):
        tun.host.call(echo, "tun", address, here)
    assert tun("clear()") is None
    assert tun("t.errors") == 0


def test_a_write_that_fails_is_counted(tun):
    assert tun("t.write(view, 40)") is None  # octets 0: neither IPv4 nor IPv6
    assert tun("(t.errors, t.last_errno)") == (1, 22)
    tun("nl.set_link(dev, up=False)")
    tun("buf[0] = 0x45")
    assert tun("t.write(view, 40)") is None
    assert tun("(t.errors, t.last_errno)") == (2, 5)


def test_tap_carries_frames(console):
    console("t = open_tun('tap-hal', tap=True)")
    console("dev = nl.link('tap-hal').index")
    console("nl.set_link(dev, up=True)")
    console("ledger.add_address(dev, *address('10.7.0.2/24'))")

    def send():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.sendto(b"x", ("10.7.0.9", 5555))

    console.host.call(send)
    console(
        "def arp():\n"
        "    n = t.readinto(view)\n"
        "    while n is not None:\n"
        "        if buf[12:14] == b'\\x08\\x06':\n"
        "            return bytes(buf[38:42])\n"
        "        n = t.readinto(view)\n"
    )
    assert console("arp()") == bytes((10, 7, 0, 9))


def test_devices_that_cannot_be_made(tun):
    code, text = tun.refused("open_tun(t.name)")
    assert code == 16 and "another program uses" in text and tun("t.name") in text
    code, text = tun.refused("open_tun('lo')")
    assert code == 22 and "lo" in text


def test_without_privileges_the_error_says_what_is_needed(host):
    command, env = COMMANDS["micropython"]
    code = (
        "from branchline.hal.linux.netlink import Netlink\n"
        "from branchline.hal.linux.tun import open_tun\n"
        "for attempt in (lambda: open_tun('tun9'), lambda: Netlink().add_dummy('d9')):\n"
        "    try:\n        attempt()\n"
        "    except OSError as error:\n        print(error.args[1])\n"
    )
    done = host.call(
        subprocess.run,
        ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *command, "-c", code],
        env={**os.environ, **env}, text=True, capture_output=True, timeout=30,
    )
    device, link = done.stdout.splitlines()
    assert "needs root or CAP_NET_ADMIN" in device and "tun9" in device
    assert "needs root or CAP_NET_ADMIN" in link and "d9" in link


def test_point_to_point_address(console):
    console("t = open_tun('p2p')")
    console("dev = nl.link('p2p').index")
    console("ledger.add_address(dev, *address('10.9.0.2/32', '10.9.0.1'))")
    (shown,) = console.ip("-4", "address", "show", "dev", "p2p")
    (entry,) = shown["addr_info"]
    assert (entry["local"], entry["address"], entry["prefixlen"]) == ("10.9.0.2", "10.9.0.1", 32)
    console("ledger.delete_address(dev, *address('10.9.0.2/32', '10.9.0.1'))")
    assert not console.ip("-4", "address", "show", "dev", "p2p")


def test_static_address_on_a_link_of_its_own(console):
    console("d = ledger.add_dummy('static0')")
    console("nl.set_link(d, up=True)")
    console("ledger.add_address(d, *address('10.100.0.11/32'))")
    console("ledger.add_address(d, *address('fd00:100::11/128'))")
    assert console("nl.lookup(parse_address('10.100.0.11')).kind") == 2  # RTN_LOCAL
    # The kernel makes an IPv6 address usable from a queue of its own.
    eventually(lambda: console("nl.lookup(parse_address('fd00:100::11')).kind") == 2, "its route")
    assert console.refused("ledger.add_dummy('static0')")[0] == 17
    assert console("ledger.undo()") == []
    assert console("nl.link('static0')") is None


_ROUTES = (
    ("10.0.0.0/8", "via='10.8.0.1', dev=dev, metric=50", {"gateway": "10.8.0.1", "metric": 50}),
    ("10.1.0.0/16", "dev=dev", {"scope": "link"}),
    ("10.2.0.0/16", "via='10.8.0.1'", {"gateway": "10.8.0.1"}),
    ("10.3.0.0/16", "via='192.0.2.1', dev=dev, onlink=True",
     {"gateway": "192.0.2.1", "flags": ["onlink"]}),
    ("10.4.0.0/16", "via='fd00::1', dev=dev", {"via": {"family": "inet6", "host": "fd00::1"}}),
    ("10.5.0.0/16", "kind=rt.UNREACHABLE, metric=9", {"type": "unreachable"}),
    ("10.6.0.0/16", "dev=dev, source='10.8.0.2'", {"prefsrc": "10.8.0.2"}),
    ("10.7.0.1", "dev=dev", {}),
    ("default", "dev=dev, metric=77", {"metric": 77}),
    ("fd01::/64", "via='fd00::1', dev=dev, metric=50", {"gateway": "fd00::1", "metric": 50}),
    ("fd02::/64", "dev=dev", {"metric": 1024}),
    ("fd03::/64", "kind=rt.UNREACHABLE", {"type": "unreachable"}),
)


def test_routes_of_every_form(tun):
    for prefix, arguments, expected in _ROUTES:
        text = "0.0.0.0/0" if prefix == "default" else prefix
        tun("r = route('%s', %s)" % (text, arguments))
        tun("ledger.set_route(r)")
        entry = _routes(tun, *(["-6"] if ":" in prefix else ["-4"]))[prefix]
        for key, value in expected.items():
            assert entry[key] == value, (prefix, key)
        listed = "nl.routes(%d, rt.PROTOCOL)" % (10 if ":" in prefix else 2)
        assert tun("len([x for x in %s if x[:3] == r[:3]])" % listed) == 1
        tun("ledger.delete_route(r)")
        tun("ledger.delete_route(r)")
        assert tun("len(%s)" % listed) == 0


def test_replacing_routes(tun):
    for prefix, first, second in (
        ("10.0.0.0/8", "via='10.8.0.1'", "via='10.8.0.3'"),
        ("10.0.0.0/8", "via='10.8.0.1'", "kind=rt.UNREACHABLE"),
        ("10.0.0.0/8", "kind=rt.UNREACHABLE", "via='10.8.0.3'"),
        ("10.0.0.0/8", "via='fd00::1', dev=dev", "via='10.8.0.3'"),
        ("fd01::/64", "via='fd00::1'", "via='fd00::3'"),
        ("fd01::/64", "via='fd00::1'", "kind=rt.UNREACHABLE"),
        ("fd01::/64", "kind=rt.UNREACHABLE", "via='fd00::3'"),
    ):
        family = "-6" if ":" in prefix else "-4"
        tun("ledger.set_route(route('%s', metric=50, %s))" % (prefix, first))
        tun("ledger.set_route(route('%s', metric=50, %s))" % (prefix, second))
        found = tun.ip(family, "route", "show", "proto", "201")
        assert len(found) == 1, (prefix, first, second)
        entry = found[0]
        if "UNREACHABLE" in second:
            assert entry["type"] == "unreachable"
        else:
            assert entry["gateway"] == second.split("'")[1]
        assert tun("ledger.undo()") == []
        assert not tun.ip(family, "route", "show", "proto", "201")


def test_others_routes_are_left_alone(tun):
    tun.host.ip("route", "add", "10.50.0.0/16", "via", "10.8.0.1", "proto", "static")
    tun.host.ip("-6", "route", "add", "fd50::/64", "via", "fd00::1", "proto", "static")
    for prefix, more in (("10.50.0.0/16", ""), ("fd50::/64", ", metric=1024")):
        code, text = tun.refused("ledger.set_route(route('%s', dev=dev%s))" % (prefix, more))
        assert code == 17 and prefix in text
        assert tun.refused("nl.delete_route(route('%s'))" % prefix)[0] == 3
    tun("ledger.set_route(route('10.51.0.0/16', dev=dev))")
    assert tun("ledger.undo()") == []
    assert tun("ledger.undo()") == []
    assert [entry["dst"] for entry in tun.ip("route", "show", "proto", "static")] == [
        "10.50.0.0/16"
    ]
    assert [entry["dst"] for entry in tun.ip("-6", "route", "show", "proto", "static")] == [
        "fd50::/64"
    ]


def test_undo_bears_that_all_is_gone(tun):
    tun("ledger.add_address(dev, *address('10.8.1.2/24'))")
    tun("ledger.set_route(route('10.0.0.0/8', dev=dev))")
    tun("ledger.add_dummy('static0')")
    tun("t.close()")
    tun.host.ip("link", "del", "static0")
    assert tun("ledger.undo()") == []


def test_what_a_crash_left_is_swept(console):
    console("d = nl.add_dummy('left0')")
    console("nl.set_link(d, up=True)")
    console("nl.add_address(d, *address('10.60.0.1/24'))")
    console("nl.add_route(route('10.61.0.0/16', dev=d))")
    console("nl.add_route(route('fd61::/64', dev=d))")
    console("nl.add_route(route('10.62.0.0/16', kind=rt.UNREACHABLE))")
    console("nl.add_route(route('10.63.0.0/16', dev=d, protocol=4))")
    console("ledger.set_route(route('10.64.0.0/16', dev=d))")
    console("ledger.set_route(route('fd64::/64', dev=d))")
    assert console("ledger.sweep()") == 3
    assert set(_routes(console, "-4")) == {"10.64.0.0/16"}
    assert set(_routes(console, "-6")) == {"fd64::/64"}
    assert console("ledger.undo()") == []
    assert [entry["dst"] for entry in console.ip("route", "show", "proto", "static")] == [
        "10.63.0.0/16"
    ]
    console("nl.delete_link(d)")


def test_many_routes_are_listed(tun):
    tun.host.ip(batch=[
        f"route add 10.{i // 250}.{i % 250}.0/24 via 10.8.0.1 proto 201" for i in range(1000)
    ])
    assert tun("len(nl.routes(2, rt.PROTOCOL))") == 1000
    assert tun("len(set([r.dst for r in nl.routes(2, rt.PROTOCOL)]))") == 1000
    assert tun("ledger.sweep()") == 1000
    assert tun("len(nl.routes(2, rt.PROTOCOL))") == 0


def test_lookup_of_the_way_to_a_remote(tun):
    tun.host.ip("route", "add", "203.0.113.0/24", "via", "10.8.0.1")
    tun.host.ip("-6", "route", "add", "2001:db8::/32", "via", "fd00::1")
    for remote, via in (("203.0.113.7", "10.8.0.1"), ("2001:db8::7", "fd00::1")):
        tun("r = nl.lookup(parse_address('%s'))" % remote)
        assert tun("r.via == parse_address('%s')" % via) and tun("r.dev == dev")
    assert tun("nl.lookup(parse_address('10.8.0.7')).via") is None
    assert tun("nl.lookup(parse_address('198.51.100.1'))") is None


def test_kernel_explains_refusals(tun):
    code, text = tun.refused("nl.add_route(route('10.70.0.0/16', via='198.51.100.1', dev=dev))")
    assert code == 101
    assert "add the route 10.70.0.0/16 via 198.51.100.1" in text and "gateway" in text
    code, text = tun.refused("nl.set_link(9999, up=True)")
    assert code == 19 and "9999" in text
    code, text = tun.refused("nl.add_address(dev, *address('10.8.0.2/24'))")
    assert code == 17 and "10.8.0.2/24" in text


def test_settings_of_the_device(tun):
    tun("sysctl.loosen_rp_filter(t.name)")
    assert tun("sysctl.read_setting(4, t.name, 'rp_filter')") == 2
    for value in ("0", "1"):
        tun.host.call(Path("/proc/sys/net/ipv4/ip_forward").write_text, value)
        assert tun("sysctl.forwarding_enabled(4)") == (value == "1")
    assert "rp_filter" in tun.refused("sysctl.write_setting(4, 'absent', 'rp_filter', 0)")[1]


def test_udp_options(tun):
    tun("u = open_udp('10.8.0.2', 9, mark=7, bind_dev=t.name, lport=4444)")
    assert tun("(u.rcvbuf, u.sndbuf)") == (2 << 20, 2 << 20)
    shown = tun.host.run("ss", "-unaemp", "sport", "=", ":4444").stdout
    assert "fwmark:0x7" in shown and f"%{tun('t.name')}" in shown
    tun("u.close()")
    tun("v6 = open_udp('fd00::2', 9, local='fd00::2')")
    assert tun("v6.peer() == (parse_address('fd00::2'), 9)")
    code, text = tun.refused("open_udp('10.8.0.2', 9, local='192.0.2.77')")
    assert code == 99 and "192.0.2.77" in text
    code, text = tun.refused("open_udp('198.51.100.1', 1194)")
    assert code == 101 and "198.51.100.1 port 1194" in text
    code, text = tun.refused("open_udp('fe80::1%absent', 9)")
    assert code == 19 and "absent" in text


def _connected(console):
    """A TCP connection `c` of the console's, and the server's end."""
    def listen():
        return socket.create_server(("127.0.0.1", 0))

    with console.host.call(listen) as server:
        console("c = open_tcp('127.0.0.1', %d, sndbuf=65536)" % server.getsockname()[1])
        assert console("c.connected()") is True
        end = server.accept()[0]
        end.settimeout(5)
        return end


def test_tcp_partial_writes(console):
    with _connected(console) as end:
        assert console("c.readinto(view, 100)") is None
        console("sent = 0")
        console(
            "def fill():\n"
            "    global sent\n"
            "    n = c.write(view, 70000)\n"
            "    while n is not None:\n"
            "        sent += n\n"
            "        last = n\n"
            "        n = c.write(view, 70000)\n"
            "    return last\n"
        )
        assert 0 < console("fill()") < 70000  # the last one was taken in part
        left = console("sent")
        while left:
            left -= len(end.recv(left))
        console("buf[:6] = b'abcdef'")
        assert console("c.write(view, 3, 2)") == 3
        assert end.recv(10) == b"cde"
        end.send(b"xyz")
        time.sleep(0.05)
        assert console("c.readinto(view, 2, 5)") == 2 and console("bytes(buf[5:7])") == b"xy"
    console("Poller().wait(50)")
    assert console("c.readinto(view, 100)") == 1
    assert console.refused("c.readinto(view, 100)")[0] == 104


def test_openvpn_framing_over_tcp(console):
    """Steady reading and writing allocate nothing on MicroPython."""
    console("import micropython")
    console("from branchline.openvpn.framing import Framing")
    packets = [bytes([i]) * (i + 1) for i in range(50)]
    with _connected(console) as end:
        console("f = Framing(c, 1500)")
        end.sendall(b"".join(len(packet).to_bytes(2, "big") + packet for packet in packets))
        time.sleep(0.05)
        console(
            "def echo():\n"
            "    micropython.heap_lock()\n"
            "    try:\n"
            "        n = f.readinto(view)\n"
            "        while n is not None:\n"
            "            buf[1002] = buf[0]\n"
            "            assert f.write(reply, n) == n\n"
            "            n = f.readinto(view)\n"
            "    finally:\n"
            "        micropython.heap_unlock()\n"
        )
        console("reply = view[1000:3000]")
        console("echo()")
        received = b""
        while len(received) < sum(len(packet) + 2 for packet in packets):
            received += end.recv(10000)
        for packet in packets:
            assert received[:3] == len(packet).to_bytes(2, "big") + packet[:1]
            received = received[len(packet) + 2 :]


def test_tcp_connections_that_fail(tun):
    tun("c = open_tcp('127.0.0.1', 1)")
    code, text = tun.refused("c.connected()")
    assert code == 111 and "127.0.0.1 port 1" in text
    tun("c = open_tcp('10.8.0.9', 1)")  # nobody answers there
    assert tun("c.connected()") is False
    assert tun("c.connected()") is False


def test_signals_are_read_and_interrupt_nothing(console):
    console("s = signals.Signals()")
    console("came = []")
    console("p = Poller()")
    console("p.register(s, lambda readable, writable: came.append(s.read()))")
    console("p.wait(0)")
    assert console("came") == []
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        os.kill(console.pid, number)
        console("p.wait(5000)")
        assert console("came.pop()") == number
    assert console("s.read()") is None
    console("p.unregister(s)")
    os.kill(console.pid, signal.SIGPIPE)
    for number in (signal.SIGINT, signal.SIGTERM):  # an impatient user's
        os.kill(console.pid, number)
    console("s.close()")
    assert console("1") == 1
    os.kill(console.pid, signal.SIGTERM)
    assert console._process.wait(5) == -signal.SIGTERM


def _dns_answer(query, zone):
    """The answer to a query from {(name, kind): octets of the answers' part, or an rcode}."""
    name, at = [], 12
    while query[at]:
        name.append(query[at + 1 : at + 1 + query[at]].decode())
        at += 1 + query[at]
    kind = int.from_bytes(query[at + 1 : at + 3], "big")
    found = zone.get((".".join(name), kind), 3)
    if found is None:
        return None
    flags, count, records = 0x8180, 0, b""
    if isinstance(found, int):
        flags |= found
    else:
        count, records = found
    header = query[:2] + flags.to_bytes(2, "big") + b"\0\1" + count.to_bytes(2, "big") + bytes(4)
    return header + query[12 : at + 5] + records


def _record(kind, data, owner=b"\xc0\x0c"):
    head = kind.to_bytes(2, "big") + b"\0\1\0\0\0\x3c" + len(data).to_bytes(2, "big")
    return owner + head + data


_A, _CNAME, _AAAA = 1, 5, 28
_ZONE = {
    ("hub.example", _A): (1, _record(_A, bytes((192, 0, 2, 1)))),
    ("hub.example", _AAAA): (1, _record(_AAAA, bytes(15) + b"\1")),
    ("four.example", _A): (1, _record(_A, bytes((192, 0, 2, 4)))),
    ("four.example", _AAAA): (0, b""),
    ("short.lan", _A): (1, _record(_A, bytes((192, 0, 2, 5)))),
    ("alias.example", _A): (
        2,
        _record(_CNAME, b"\1b\xc0\x12") + _record(_A, bytes((192, 0, 2, 6)), b"\1b\xc0\x12"),
    ),
    ("half.example", _A): (1, _record(_A, bytes((192, 0, 2, 7)))),
    ("half.example", _AAAA): None,
    ("broken.example", _A): 2,
    ("silent.example", _A): None,
}


@pytest.fixture
def name_server(console, tmp_path):
    """The console with a Resolver `r` whose second server answers (the first port is closed)."""
    def bind():
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.2", 0))
        return udp

    def serve(udp):
        while True:
            query, client = udp.recvfrom(600)
            if query == b"stop":
                return
            answer = _dns_answer(query, _ZONE)
            if answer is not None:
                udp.sendto(bytes([answer[0] ^ 1]) + answer[1:], client)  # of another id: ignored
                udp.sendto(answer[:20], client)  # cut: ignored
                udp.sendto(answer, client)

    udp = console.host.call(bind)
    thread = threading.Thread(target=serve, args=(udp,))
    thread.start()
    hosts, conf = tmp_path / "hosts", tmp_path / "resolv.conf"
    hosts.write_text("# all\n192.0.2.99 named.example Named # us\nfd00::99 named\nbad named\n")
    conf.write_text(
        "search lan\nnameserver 127.0.0.1\nnameserver 127.0.0.2\noptions timeout:1 attempts:1\n"
    )
    port = udp.getsockname()[1]
    console("p = Poller()")
    console(f"r = Resolver(p, open_udp, {str(hosts)!r}, {str(conf)!r}, {port})")
    console(
        "def resolve(host, family=0):\n"
        "    called = []\n"
        "    q = r.resolve(host, family, clock.ticks(), called.append)\n"
        "    while not q.done:\n"
        "        p.wait(100)\n"
        "        r.handle_timer(clock.ticks())\n"
        "    assert called == [q] and q.next_timer() is None and r.next_timer() is None\n"
        "    return q.addresses, q.error\n"
    )
    yield console
    console.host.call(_send_stop, udp.getsockname())
    thread.join()
    udp.close()


def _send_stop(to):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.sendto(b"stop", to)


def _v4(last):
    return bytes((192, 0, 2, last))


def test_names_are_resolved(name_server):
    for host, family, expected in (
        ("192.0.2.8", 0, ([_v4(8)], "")),
        ("::1", 10, ([bytes(15) + b"\1"], "")),
        ("::1", 2, ([], "an address of the other family")),
        ("NAMED", 0, ([_v4(99), bytes((0xFD,)) + bytes(14) + b"\x99"], "")),
        ("named.example", 2, ([_v4(99)], "")),
        ("hub.example", 0, ([_v4(1), bytes(15) + b"\1"], "")),
        ("hub.example.", 2, ([_v4(1)], "")),
        ("hub.example", 10, ([bytes(15) + b"\1"], "")),
        ("four.example", 0, ([_v4(4)], "")),
        ("four.example", 10, ([], "no such host")),
        ("short", 2, ([_v4(5)], "")),
        ("alias.example", 2, ([_v4(6)], "")),
        ("half.example", 0, ([_v4(7)], "")),
        ("absent.example", 0, ([], "no such host")),
        ("broken.example", 2, ([], "no name server gives an answer")),
        ("silent.example", 2, ([], "no name server gives an answer")),
        (64 * "x" + ".example", 2, ([], "a part of a host name has 1 to 63 characters")),
    ):
        assert name_server(f"resolve({host!r}, {family})") == expected, (host, family)


def test_wrong_answers_are_ignored_and_counted(name_server):
    name_server("q = r.resolve('hub.example', 2, clock.ticks())")
    name_server("while not q.done: p.wait(1000)")
    assert name_server("(q.addresses, q.ignored)") == ([_v4(1)], 2)


def test_queries_are_bounded_and_can_be_given_up(name_server):
    name_server("qs = [r.resolve('silent.example', 2, clock.ticks()) for _ in range(17)]")
    assert name_server("qs[16].error") == "too many names at once"
    assert name_server("[q.done for q in qs[:16]]") == 16 * [False]
    name_server("for q in qs: q.finish('given up')")
    assert name_server("qs[0].error") == "given up"
    assert name_server("r.next_timer()") is None
    assert name_server("resolve('hub.example', 2)") == ([_v4(1)], "")
