"""The WAN link watched and bounced, and the machine's watchdog and restart, in a lab of its own.

Everything runs on MicroPython, as on a gateway, and on CPython.
"""

import json
import os
from pathlib import Path

import pytest

from host_tests.interop.console import COMMANDS, Console
from host_tests.interop.openvpn_support import eventually
from host_tests.lab.netns import Lab

_IMPORTS = """
from branchline.hal.linux import reboot
from branchline.hal.linux.bounce import Bounce
from branchline.hal.linux.hardware_watchdog import HardwareWatchdog
from branchline.hal.linux.netlink import Netlink
from branchline.hal.poller import Poller
from branchline.hal.linux.wan import WanWatch, device_towards
from branchline.wire.ip import parse_address
nl = Netlink()
def towards(text):
    return device_towards(nl, parse_address(text))
def drain():
    found = []
    event = watch.read()
    while event:
        found.append(event)
        event = watch.read()
    return found
"""


class Wan:
    """A gateway with an interpreter on it, and the provider that its default routes lead to."""

    def __init__(self, lab, interpreter):
        self._interpreter = interpreter
        self.provider, self.gateway = lab.host("provider"), lab.host("gateway")
        self.link = lab.link(self.provider, self.gateway, "192.0.2.0/24", "2001:db8::/64")
        self.device = self.link.device(self.gateway)
        self.gateway.route("default", "192.0.2.1")
        self.gateway.route("default", "2001:db8::1")
        self.console = None
        self.begin()

    def begin(self):
        """A fresh interpreter, such as after a crash."""
        if self.console:
            self.console.close()
        self.console = Console(self.gateway, self._interpreter, _IMPORTS)
        self.index = self.console(f"nl.index('{self.device}')")

    def __call__(self, code):
        return self.console(code)

    def ip(self, *args):
        """Do this to the gateway's device or routes."""
        self.gateway.ip(*args)

    def events(self, enough):
        """The device's events, once enough(them) is true of all that came."""
        found = []

        def some():
            found.extend(event for event in self("drain()") if event[1] in (self.index, 0))
            return enough(found)

        eventually(some, "the events")
        return found

    def routes(self):
        """All routes of the device but the local table's, as comparable texts."""
        found = []
        for family in ("-4", "-6"):
            for route in self.console.ip(family, "route", "show", "table", "all"):
                if route.get("dev") == self.device and route.get("table") != "local":
                    route.pop("flags", None)
                    found.append(json.dumps(route, sort_keys=True))
        return sorted(found)


@pytest.fixture(params=list(COMMANDS))
def wan(request):
    """A Wan, on each interpreter."""
    with Lab() as lab:
        wan = Wan(lab, request.param)
        yield wan
        wan.console.close()


def test_the_carrier_is_told(wan):
    wan("watch = WanWatch(nl)")
    assert wan("drain()") == []
    assert wan(f"watch.is_up({wan.index})") and not wan("watch.is_up(9999)")
    peer = wan.link.device(wan.provider)
    for state, up in (("down", False), ("up", True)):
        wan.provider.ip("link", "set", "dev", peer, state)
        event = ("link", wan.index, up)
        wan.events(lambda found, event=event: event in found)
        assert wan(f"watch.is_up({wan.index})") is up
    # What is no change of that is not told.
    wan.ip("link", "set", "dev", wan.device, "mtu", "1400")
    wan.ip("link", "set", "dev", wan.device, "down")
    found = wan.events(lambda found: ("link", wan.index, False) in found)
    assert [event for event in found if event[0] == "link"] == [("link", wan.index, False)]


def test_the_poller_is_woken(wan):
    wan("watch = WanWatch(nl)")
    wan("came = []")
    wan("p = Poller()")
    wan("p.register(watch, lambda readable, writable: came.extend(drain()))")
    wan.ip("address", "add", "192.0.2.77/24", "dev", wan.device)
    wan("p.wait(10000)")
    assert wan("came") == [("address", wan.index, True)]


def test_addresses_are_told_once(wan):
    wan("watch = WanWatch(nl)")
    for address in ("198.51.100.7/24", "2001:db8:7::7/64"):
        for lifetime in ("forever", "1000", "2000"):
            wan.ip("address", "replace", address, "dev", wan.device, "valid_lft", lifetime,
                   "preferred_lft", lifetime)  # as when a lease is renewed
        wan.ip("address", "del", address, "dev", wan.device)
        added, removed = ("address", wan.index, True), ("address", wan.index, False)
        found = wan.events(lambda found, last=removed: last in found)
        assert [event for event in found if event[0] == "address"] == [added, removed]


def test_an_address_counts_once_it_may_be_used(wan):
    wan.gateway.call(
        Path(f"/proc/sys/net/ipv6/conf/{wan.device}/accept_dad").write_text, "1"
    )
    wan("watch = WanWatch(nl)")
    wan.ip("address", "add", "2001:db8:9::9/64", "dev", wan.device)
    # A removed one that was never usable is not told either.
    wan.ip("address", "add", "2001:db8:9::8/64", "dev", wan.device)
    wan.ip("address", "del", "2001:db8:9::8/64", "dev", wan.device)
    found = wan.events(lambda found: ("address", wan.index, True) in found)
    assert [event for event in found if event[0] == "address"] == [("address", wan.index, True)]
    assert "2001:db8:9::9" not in wan.gateway.ip("address", "show", "tentative")


def test_default_routes_are_told(wan):
    wan("watch = WanWatch(nl)")
    for family, via in (("-4", "192.0.2.1"), ("-6", "2001:db8::1")):
        other = "10.99.0.0/16" if family == "-4" else "2001:db8:99::/48"
        wan.ip(family, "route", "add", other, "via", via)
        wan.ip(family, "route", "add", "default", "via", via, "table", "99")
        wan.ip(family, "route", "del", "default")
        wan.ip(family, "route", "add", "default", "via", via)
        found = wan.events(lambda found: ("route", wan.index, True) in found)
        assert found == [("route", wan.index, False), ("route", wan.index, True)]


def test_more_than_the_kernel_keeps(wan):
    wan("watch = WanWatch(nl)")
    wan.ip("address", "add", "198.51.100.7/24", "dev", wan.device)
    wan.gateway.ip(batch=[
        f"route add 10.{i // 250}.{i % 250}.0/24 via 192.0.2.1" for i in range(3000)
    ])
    wan.ip("address", "add", "203.0.113.8/24", "dev", wan.device)
    wan.events(lambda found: ("lost", 0, True) in found)
    # What was lost is known all the same: these are no changes any more.
    wan.ip("address", "replace", "198.51.100.7/24", "dev", wan.device, "valid_lft", "1000",
           "preferred_lft", "1000")
    wan.ip("address", "replace", "203.0.113.8/24", "dev", wan.device, "valid_lft", "1000",
           "preferred_lft", "1000")
    wan.ip("address", "del", "198.51.100.7/24", "dev", wan.device)
    found = wan.events(lambda found: ("address", wan.index, False) in found)
    assert found == [("address", wan.index, False)]


def test_which_device_leads_to_a_server(wan):
    assert wan("towards('203.0.113.7')") == wan.index
    assert wan("towards('2001:db8:5::7')") == wan.index
    assert wan("towards('192.0.2.2')") is None  # its own address
    wan.ip("-4", "route", "del", "default")
    assert wan("towards('203.0.113.7')") is None
    wan.ip("-4", "route", "add", "blackhole", "203.0.113.0/24")
    assert wan.console.refused("towards('203.0.113.7')")[0] == 22


def _furnish(wan):
    """Gives the device what a bounce must bring back; returns its routes."""
    for line in (
        "-4 address add 198.51.100.7/24 dev {0} noprefixroute",
        "-6 address add 2001:db8:7::7/64 dev {0}",
        "-4 route add 198.51.100.0/24 dev {0} metric 5",
        "-4 route add 10.1.0.0/16 via 198.51.100.1 metric 7 mtu 1300",
        "-4 route add 10.2.0.0/16 via 192.0.2.1 src 192.0.2.2 proto static",
        "-4 route add 10.3.0.0/16 via 203.0.113.1 dev {0} onlink",
        "-4 route add default via 192.0.2.1 table 99",
        "-6 route add 2001:db8:70::/48 via 2001:db8:7::1 metric 33",
        "-6 route add default via 2001:db8::1 table 99",
    ):
        wan.ip(*line.format(wan.device).split())
    return wan.routes()


def _is_up(wan):
    (link,) = wan.console.ip("link", "show", "dev", wan.device)
    return "UP" in link["flags"]


def test_a_bounce_puts_back_what_the_kernel_dropped(wan):
    before = _furnish(wan)
    assert len(before) > 12
    wan(f"b = Bounce(nl, '{wan.device}')")
    assert wan("(b.done, b.next_timer(), b.record())") == (True, None, b"")
    wan("b.start(1000)")
    assert not _is_up(wan) and not any("192.0.2.1" in route for route in wan.routes())
    with pytest.raises(Exception, match="StateError"):
        wan("b.start(1000)")
    assert wan("b.next_timer()") == 4000
    wan("b.handle_timer(3999)")
    assert not _is_up(wan)
    wan("b.handle_timer(4000)")
    assert _is_up(wan) and not wan("b.done")
    assert "2001:db8:7::7" in wan.gateway.ip("-6", "address", "show", "dev", wan.device)
    wan("b.handle_timer(b.next_timer() - 1)")
    assert not any("192.0.2.1" in route for route in wan.routes())
    wan("b.handle_timer(b.next_timer())")
    assert wan("(b.done, b.notes, b.next_timer())") == (True, [], None)
    assert wan.routes() == before
    eventually(lambda: wan.gateway.ping("192.0.2.1").received, "an answer")


def test_only_what_did_not_come_back_is_put_back(wan):
    for line in (
        "10.1.0.0/16 via 192.0.2.1 proto dhcp",
        "10.2.0.0/16 via 192.0.2.1 proto 201",
        "10.3.0.0/16 via 192.0.2.1 proto ra",
        "10.4.0.0/16 via 192.0.2.1 proto boot",
    ):
        wan.ip("route", "add", *line.split())
    wan(f"b = Bounce(nl, '{wan.device}')")
    wan("b.start(0)")
    wan("b.handle_timer(3000)")
    # Somebody else is quicker, and knows another way.
    wan.ip("route", "add", "default", "via", "192.0.2.99")
    wan("b.handle_timer(5000)")
    assert wan("(b.done, b.notes)") == (True, [])
    found = {route["dst"]: route["gateway"]
             for route in wan.console.ip("-4", "route", "show") if "gateway" in route}
    assert found == {"default": "192.0.2.99", "10.4.0.0/16": "192.0.2.1"}


def test_a_route_that_has_to_wait(wan):
    wan(f"b = Bounce(nl, '{wan.device}')")
    wan("b.start(0)")
    wan.ip("address", "del", "192.0.2.2/24", "dev", wan.device)  # as a DHCP client does
    wan("b.handle_timer(3000)")
    wan("b.handle_timer(5000)")
    # A permanent address that went by another's hand while the link was down comes back, so the
    # route does: only take it away behind the bounce's back.
    assert wan("b.done") and wan("towards('203.0.113.7')") == wan.index
    wan("b.start(0)")
    wan("b.handle_timer(3000)")
    wan.ip("address", "del", "192.0.2.2/24", "dev", wan.device)
    now = 5000
    for _ in range(3):
        wan(f"b.handle_timer({now})")
        assert not wan("b.done")
        now += 1000
    wan.ip("address", "add", "192.0.2.2/24", "dev", wan.device)
    wan(f"b.handle_timer({now})")
    assert wan("(b.done, b.notes)") == (True, [])
    assert wan("towards('203.0.113.7')") == wan.index


def test_what_cannot_be_put_back_is_told(wan):
    wan(f"b = Bounce(nl, '{wan.device}')")
    wan("b.start(0)")
    wan("b.handle_timer(3000)")
    wan.ip("address", "del", "192.0.2.2/24", "dev", wan.device)
    wan("n = 0")
    wan("while not b.done: b.handle_timer(b.next_timer()); n += 1")
    assert wan("n") == 10
    (note,) = wan("b.notes")
    assert "put back a route" in note


def test_a_stop_in_between_finishes_the_bounce(wan):
    before = _furnish(wan)
    wan(f"b = Bounce(nl, '{wan.device}')")
    wan("b.start(0)")
    wan("b.finish(10)")
    assert wan("(b.done, b.notes)") == (True, [])
    assert _is_up(wan) and wan.routes() == before


def test_a_crash_in_between_is_made_good(wan):
    before = _furnish(wan)
    wan(f"b = Bounce(nl, '{wan.device}')")
    wan("b.start(0)")
    record = wan("b.record()")
    wan.begin()
    assert not _is_up(wan)
    for data in (b"", b"garbage", b"[1]", b"[1, 2, 3, 4, 5]", record.replace(b"-", b"+"),
                 record.replace(wan.device.encode(), b"absent")):
        wan(f"b = Bounce(nl, '{wan.device}')")
        wan(f"b.resume({data!r}, 0)")
        assert wan("b.done"), data
    wan(f"b.resume({record!r}, 0)")
    assert not wan("b.done")
    wan("while not b.done: b.handle_timer(b.next_timer())")
    assert wan("b.notes") == [] and _is_up(wan) and wan.routes() == before


def test_a_device_that_goes_away_during_the_bounce(wan):
    wan(f"b = Bounce(nl, '{wan.device}')")
    wan("b.start(0)")
    wan.ip("link", "del", "dev", wan.device)
    wan("b.handle_timer(3000)")
    assert wan("b.done") and "link #%d" % wan.index in wan("b.notes[0]")
    code, text = wan.console.refused("b.start(0)")
    assert code == 19 and wan.device in text


def test_more_routes_than_can_be_kept_are_left_alone(wan):
    wan.gateway.ip(batch=[f"route add 10.0.{i}.0/24 via 192.0.2.1" for i in range(256)])
    before = wan.routes()
    wan(f"b = Bounce(nl, '{wan.device}')")
    assert wan.console.refused("b.start(0)")[0] == 7
    assert _is_up(wan) and wan.routes() == before and wan("b.done")


def test_a_lab_restarts_no_machine(wan):
    # Should the check fail, these are what is called.
    wan("calls = []")
    wan("reboot._sync = lambda: calls.append('sync')")
    wan("reboot._restart = lambda command: calls.append(command) or 0")
    code, text = wan.console.refused("reboot.reboot()")
    assert code == 1 and "namespace" in text
    assert wan("calls") == []


def test_a_gateway_that_dies_does_not_stop_the_hardware_watchdog(wan, tmp_path):
    fifo = tmp_path / "watchdog"
    os.mkfifo(fifo)
    with open(os.open(fifo, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as device:
        wan(f"dog = HardwareWatchdog({str(fifo)!r}, 30)")
        assert wan("(dog.timeout_s, dog.note != '')") == (None, True)
        assert wan("dog.feed()") is True
        assert device.read(10) == b"\0"
        wan("dog.close()")
        assert device.read(10) == b"V"
        wan(f"dog = HardwareWatchdog({str(fifo)!r}, 30)")
        assert wan("dog.feed()") is True
        wan.begin()
        assert device.read(10) == b"\0"
        assert device.read(10) == b""
