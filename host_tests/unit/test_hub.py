"""A hub's parts together: clients become routes, in the kernel and in Babel; both are faked."""

import sys

from branchline.app.hub import Hub
from branchline.app.hub_settings import HubConfig, HubServer
from branchline.babel.prefix import prefix_key, prefix_text
from branchline.hub.arrivals import PORT, encode
from branchline.wire.ip import format_prefix, parse_address, parse_prefix
from hub_words import answer, client, route
from stock_system import Stream, System

_DEVICES = {"tun0": 7, "tun1": 8}


class Kernel:
    """As hal.linux.client_routes.ClientRoutes."""

    def __init__(self):
        self.routes = {}
        self.left = []
        self.error = None
        self.again = []

    def adopt(self):
        for prefix, dev in self.left:
            device = {index: name for name, index in _DEVICES.items()}.get(dev)
            self.routes[prefix] = device
        return [parse_prefix(prefix) + (dev,) for prefix, dev in self.left]

    def set(self, prefix, plen, device, again=False):
        if self.error:
            raise self.error
        self.routes[format_prefix(prefix, plen)] = device
        if again:
            self.again.append(format_prefix(prefix, plen))

    def remove(self, prefix, plen):
        if self.error:
            raise self.error
        self.routes.pop(format_prefix(prefix, plen), None)


class Watch:
    def __init__(self):
        self.changes = []

    def read(self):
        return self.changes.pop(0) if self.changes else None

    def close(self):
        pass


class Socket:
    """As hal.linux.hub_socket.HubSocket."""

    def __init__(self):
        self.waiting = []
        self.sent = []

    def receive(self, view):
        if not self.waiting:
            return None
        source, octets = self.waiting.pop(0)
        view[: len(octets)] = octets
        return len(octets), source

    def send(self, view, n, address):
        self.sent.append((address, bytes(view[:n])))
        return n

    def close(self):
        pass


class Routing:
    def __init__(self):
        self.announced = set()

    def announce(self, key, now):
        self.announced.add(prefix_text(key))

    def withdraw(self, key, now):
        self.announced.remove(prefix_text(key))

    def start(self, now):
        pass

    def status(self):
        return {}


class HubSystem(System):
    def __init__(self):
        super().__init__()
        self.kernel = Kernel()
        self.socket = Socket()
        self.watch = Watch()
        self.by_path = {}
        self.ticks_ms = self.ticks

    def log(self, level, subject, event, text):
        pass

    def client_routes(self, protocol, source):
        assert protocol == 190
        return self.kernel

    def connect_management(self, path, endpoint):
        if self.error:
            raise self.error
        self.by_path[path] = Stream()
        return self.by_path[path]

    def open_hub_socket(self, address, port):
        assert (address, port) == (parse_address("10.100.0.1"), PORT)
        if self.error:
            raise self.error
        return self.socket

    def watch_links(self):
        return self.watch

    def sweep(self):
        return 0

    def link_index(self, device):
        return _DEVICES.get(device)


class Rig:
    """A hub with two servers and one other hub; its routing is faked, too."""

    def __init__(self, left=()):
        self.config = config = HubConfig()
        config.name, config.address, config.api = "paris", parse_address("10.100.0.1"), None
        config.servers = [
            HubServer("udp", "tun0", "/u", None, None), HubServer("tcp", "tun1", "/t", None, None)
        ]  # fmt: skip
        config.accept = [parse_prefix("10.100.0.0/24")]
        config.skip, config.revoked = ["lyon"], ["thief"]
        config.hubs = [("dublin", parse_address("10.100.0.2"))]
        self.system = HubSystem()
        self.kernel = self.system.kernel
        self.kernel.left = list(left)
        self.fresh = None
        self.hub = Hub(config, self.system, self.system.log, lambda: self.fresh)
        self.routing = self.hub._routing = Routing()
        self.hub._start(0)
        self.tick()

    def tick(self, ms=0):
        """Lets time pass, all parts looking at it each 50 ms."""
        end = self.system.now + ms
        while True:
            for part in self.hub._links + [self.hub, self.hub._peers]:
                part.handle_timer(self.system.now)
            if self.system.now >= end:
                break
            self.system.now += 50

    def say(self, path, octets):
        stream = self.system.by_path[path]
        stream.waiting += octets
        self.system.poller.callbacks[stream](True, False)

    def list(self, path, *lines):
        """A server's clients, as it tells them when it is asked."""
        stream = self.system.by_path[path]
        if not stream.written.endswith(b"status 3\n"):
            self.say(path, b">CLIENT:ESTABLISHED,99\r\n")
            self.tick(50)
        replies = stream.written.count(b"\n")
        octets = b""
        for command in stream.written.split(b"\n")[:replies]:
            octets += answer(*lines) if command == b"status 3" else b"SUCCESS: nclients=0,x\r\n"
        stream.written = b""
        self.say(path, octets)

    def hear(self, address, told):
        out = bytearray(1300)
        n, _ = encode(told, 0, self.system.now, out)
        self.system.socket.waiting.append((parse_address(address), bytes(out[:n])))
        self.system.poller.callbacks[self.system.socket](True, False)


ANNA = client("anna", 1, "10.100.0.50")
_KEY = prefix_key(*parse_prefix("10.100.0.50/32"))


def test_clients_become_routes():
    rig = Rig()
    rig.list("/u", ANNA, client("lyon", 2, "10.100.0.11"), route("anna", 1, "172.16.0.0/12"))
    rig.list("/t", client("bob", 1, "10.100.0.51"))
    assert rig.kernel.routes == {"10.100.0.50/32": "tun0", "10.100.0.51/32": "tun1"}
    assert rig.routing.announced == set(rig.kernel.routes)
    rig.tick(50)
    rig.list("/u")
    assert rig.kernel.routes == {"10.100.0.51/32": "tun1"}
    assert rig.routing.announced == {"10.100.0.51/32"}
    status = rig.hub.status()
    assert [server["clients"] for server in status["servers"]] == [0, 1]
    assert status["announced"] == [{"prefix": "10.100.0.51/32", "device": "tun1"}]
    assert (status["role"], status["tunnels"]) == ("hub", [])
    bob = status["clients"][0]
    assert (bob["name"], bob["announced"]) == ("bob", ["10.100.0.51/32"])


def test_arrivals_are_told_and_heard():
    rig = Rig()
    rig.system.socket.sent = []
    rig.say("/u", b">CLIENT:ESTABLISHED,1\r\n")
    rig.list("/u", ANNA)
    address, datagram = rig.system.socket.sent[-1]
    assert address == parse_address("10.100.0.2") and b"anna" in datagram
    rig.hear("10.100.0.2", [("anna", rig.system.now - 10, [_KEY])])
    assert rig.kernel.routes == {"10.100.0.50/32": "tun0"}  # it was there before
    rig.system.now += 500
    rig.hear("10.100.0.3", [("anna", rig.system.now, [_KEY])])
    assert rig.kernel.routes == {"10.100.0.50/32": "tun0"}  # that is no hub
    rig.hear("10.100.0.2", [("anna", rig.system.now, [_KEY])])
    assert rig.kernel.routes == {} and rig.routing.announced == set()
    assert rig.system.by_path["/u"].written.startswith(b"client-kill 1\n")
    client_status = rig.hub.status()["clients"][0]
    assert (client_status["note"], client_status["announced"]) == ("superseded by dublin", [])
    assert rig.hub.status()["hubs"][0]["arrivals"] == 1


def test_the_revoked_are_ended():
    rig = Rig()
    rig.list("/u", client("thief", 4, "10.100.0.60"))
    assert rig.system.by_path["/u"].written.endswith(b"kill thief\n")
    assert rig.kernel.routes == {}


def test_a_client_moves_between_servers_in_one_step():
    rig = Rig()
    rig.list("/u", ANNA)
    rig.tick(100)
    removed = []
    rig.kernel.remove = lambda *prefix: removed.append(prefix)
    rig.say("/t", b">CLIENT:ESTABLISHED,3\r\n")
    rig.list("/t", client("anna", 3, "10.100.0.50"))
    assert rig.kernel.routes == {"10.100.0.50/32": "tun1"} and not removed
    assert rig.routing.announced == {"10.100.0.50/32"}
    assert b"client-kill 1\n" in rig.system.by_path["/u"].written


def test_routes_of_an_earlier_run_wait_for_their_server():
    rig = Rig([("10.100.0.50/32", 7), ("10.100.0.51/32", 7), ("10.100.0.52/32", 8),
               ("10.100.0.53/32", 9), ("192.168.0.0/16", 7)])
    kept = {"10.100.0.50/32": "tun0", "10.100.0.51/32": "tun0", "10.100.0.52/32": "tun1"}
    assert rig.kernel.routes == kept and rig.routing.announced == set(kept)
    rig.list("/u", ANNA)
    del kept["10.100.0.51/32"]
    assert rig.kernel.routes == kept
    rig.list("/t")
    assert rig.kernel.routes == {"10.100.0.50/32": "tun0"} == {
        prefix: "tun0" for prefix in rig.routing.announced
    }


def test_what_the_kernel_refuses_is_tried_again():
    rig = Rig()
    rig.kernel.error = OSError(19, "no device tun0")
    rig.list("/u", ANNA)
    assert rig.kernel.routes == {} and rig.routing.announced == set()
    rig.kernel.error = None
    rig.tick(1000)
    assert rig.kernel.routes == {"10.100.0.50/32": "tun0"}
    rig.kernel.error = OSError(1, "not permitted")
    rig.tick(1000)
    rig.list("/u")
    assert rig.routing.announced == {"10.100.0.50/32"}
    rig.kernel.error = None
    rig.tick(1000)
    assert rig.kernel.routes == {} and rig.routing.announced == set()


def test_a_device_that_comes_up_gets_its_routes_again():
    rig = Rig()
    rig.list("/u", ANNA)
    rig.system.watch.changes = [(8, True), (7, False), (5, True), (7, True)]
    rig.system.poller.callbacks[rig.system.watch](True, False)
    assert rig.kernel.again == ["10.100.0.50/32"]


def test_an_address_that_comes_late_is_waited_for():
    rig = Rig()
    peers = rig.hub._peers
    peers.close()
    rig.system.error = OSError(99, "bind: Cannot assign requested address")
    peers._open(rig.system.now)
    rig.tick(900)
    assert peers._socket is None
    rig.system.error = None
    rig.tick(200)
    assert peers._socket is rig.system.socket


def test_other_rules_are_taken_up():
    rig = Rig()
    rig.list("/u", ANNA, client("bob", 2, "10.100.0.51"))
    notes = []
    rig.hub._note = lambda level, subject, event, text: notes.append((event, text))
    fresh = rig.fresh = Rig().config
    fresh.skip, fresh.revoked, fresh.protocol = [], ["bob"], 99
    rig.hub._reload(rig.system.now)
    assert rig.kernel.routes == {"10.100.0.50/32": "tun0"}
    assert rig.system.by_path["/u"].written.endswith(b"kill bob\n")
    assert notes[:2] == [
        ("reload", "taken up"),
        ("reload", "only a restart takes up what has changed in protocol"),
    ]
    notes.clear()
    fresh.name = "dublin"
    rig.hub._reload(rig.system.now)
    assert len(notes) == 1 and "refused" in notes[0][1]


def test_a_hub_loads_nothing_of_a_gateway_nor_the_other_way_round():
    ours = {name: module for name, module in sys.modules.items() if "branchline" in name}
    loaded = {}
    try:
        for name in ("hub", "gateway"):
            for module in list(sys.modules):
                if "branchline" in module:
                    del sys.modules[module]
            __import__("branchline.app.run")
            for part in (name, "hub_system" if name == "hub" else "system"):
                __import__("branchline.app." + part)
            loaded[name] = [module for module in sys.modules if "branchline" in module]
    finally:
        for module in list(sys.modules):
            if "branchline" in module:
                del sys.modules[module]
        sys.modules.update(ours)
    foreign = [
        module for module in loaded["hub"]
        if module.startswith(("branchline.tunnel", "branchline.crypto", "branchline.watchdog"))
        or module in ("branchline.app.system", "branchline.openvpn.session",
                      "branchline.openvpn.profile")
    ]  # fmt: skip
    assert not foreign, foreign
    foreign = [
        module for module in loaded["gateway"]
        if "hub" in module or module == "branchline.hal.linux.client_routes"
    ]  # fmt: skip
    assert not foreign, foreign
