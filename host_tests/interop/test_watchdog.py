"""What the watchdog does beyond moving traffic: it keeps a journal, starts safely after crashes,
feeds the hardware, tells a fight for one certificate, and bears hubs that answer no probes."""

import json
import os
import signal
import threading
import time
import urllib.request

import pytest

from host_tests.interop.openvpn_support import (
    TUNNEL,
    assert_carries,
    connect,
    eventually,
    gateway,
)
from host_tests.lab import Gateway
from host_tests.lab.netns import Host

_LATER = 60.0


def _journal(running: Gateway) -> list[dict]:
    return running.fresh_status()["journal"]


def _events(running: Gateway) -> set[tuple[str, str]]:
    return {(entry["subject"], entry["event"]) for entry in _journal(running)}


def test_decisions_are_in_a_journal_that_survives_a_restart(pair):
    server = pair.server()
    running = connect(pair, server)
    running.wait_for(f"{TUNNEL} health up")
    server.process.signal(signal.SIGSTOP)
    running.wait_for(f"{TUNNEL} health down")
    server.process.signal(signal.SIGCONT)
    running.wait_for(f"{TUNNEL} health up", count=2)
    running.stop()
    running.start().wait_up()
    reasons = [entry["reason"] for entry in _journal(running)
               if (entry["subject"], entry["event"]) == (TUNNEL, "health")]
    assert any(reason.startswith("down: ") for reason in reasons), reasons
    assert [entry["event"] for entry in _journal(running)
            if entry["subject"] == "gateway"].count("start") == 2
    running.stop()


def test_after_three_crashes_a_start_is_a_safe_one(pair):
    server = pair.server()
    running = gateway(pair, pair.profile(server), routing={"protocol": "babel"})
    for _ in range(3):
        running.wait_up()
        running.kill()
        running.start()
    running.wait_for("gateway safe-mode")
    running.wait_up()
    status = running.fresh_status()
    assert status["safe_mode"] and "routing" not in status
    assert_carries(pair, server)
    asked = pair.branch.fetch("http://127.0.0.1:8086/api/v1/status")
    assert json.loads(asked)["safe_mode"]
    assert ("gateway", "safe-mode") in _events(running)
    assert running.process.stop() == 0
    # A stop in order is the end of it.
    running.start().wait_up()
    assert not running.fresh_status()["safe_mode"]
    assert running.process.stop() == 0


def test_a_hardware_watchdog_is_fed_and_let_go(pair):
    """A FIFO in place of the device: it takes no timeout, which the journal tells."""
    path = pair.branch.directory / "watchdog"
    os.mkfifo(path)
    taken = bytearray()

    def drain() -> None:
        with open(path, "rb", buffering=0) as fifo:
            while octets := fifo.read(64):
                taken.extend(octets)

    reader = threading.Thread(target=drain, daemon=True)
    reader.start()
    server = pair.server()
    running = connect(pair, server, watchdog={"device": str(path)})
    eventually(lambda: len(taken) >= 3, "it is fed")
    running.process.signal(signal.SIGSTOP)
    time.sleep(0.5)
    before = len(taken)
    time.sleep(2.5)
    assert len(taken) == before
    running.process.signal(signal.SIGCONT)
    eventually(lambda: len(taken) > before, "it is fed again")
    running.stop()
    reader.join(5)
    assert set(taken[:-1]) == {0} and taken[-1:] == b"V"


def test_a_missing_hardware_watchdog_is_told_and_the_rest_goes_on(pair):
    server = pair.server()
    running = connect(pair, server, watchdog={"device": "/dev/no-such-watchdog"})
    running.wait_for("gateway hardware-watchdog .*/dev/no-such-watchdog")
    assert_carries(pair, server)
    running.stop()


def _ignore_pings(host: Host, ignored: bool) -> None:
    def write() -> None:
        with open("/proc/sys/net/ipv4/icmp_echo_ignore_all", "w") as setting:
            setting.write(str(int(ignored)))

    host.call(write)


def test_a_hub_that_never_answers_probes_is_told_and_used(pair):
    server = pair.server()
    _ignore_pings(pair.hub, True)
    running = connect(pair, server)
    running.wait_for(f"{TUNNEL} health unknown: the hub does not answer probes", _LATER)
    time.sleep(6.0)  # longer than a dead session is left alone
    assert running.tunnel_status(TUNNEL)["health"]["state"] == "unknown"
    _ignore_pings(pair.hub, False)
    running.wait_for(f"{TUNNEL} health up")
    assert_carries(pair, server)
    assert running.log().count(f"{TUNNEL} up") == 1
    running.stop()


@pytest.mark.timeout(240)
@pytest.mark.takes(60)
def test_two_boards_with_one_certificate_are_told_apart_from_a_bad_path(pair, lab):
    """Each ends the other's session; they say so, and try so seldom that a session lives on. It
    begins with a session that is taken over before the hub has answered any probe."""
    server = pair.server(keepalive=(1, 120))
    profile = pair.profile(server)
    other = lab.host("twin")
    link = lab.link(pair.hub, other, "198.51.100.0/24")
    _ignore_pings(pair.hub, True)
    first = gateway(pair, profile)
    first.wait_up()
    second = Gateway(other, {TUNNEL: profile.replace(pair.remote(), link.address(pair.hub))})
    second.start()
    first.wait_for(f"{TUNNEL} health down: neither an answer nor anything else", _LATER)
    _ignore_pings(pair.hub, False)
    told = "another client with this certificate"
    eventually(lambda: told in first.log() or told in second.log(), "the fight is told", 120.0)
    teller = first if told in first.log() else second
    assert teller.tunnel_status(TUNNEL)["problem"]
    attempts = teller.tunnel_status(TUNNEL)["attempts"]
    time.sleep(10.0)
    assert teller.tunnel_status(TUNNEL)["attempts"] <= attempts + 1
    first.stop()
    second.stop()


def test_the_api_restarts_one_tunnel(pair):
    server = pair.server()
    running = connect(pair, server)

    def post() -> int:
        request = urllib.request.Request(
            f"http://127.0.0.1:8086/api/v1/tunnels/{TUNNEL}/restart", b"{}",
            {"Content-Type": "application/json"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=5) as answer:
            return answer.status

    assert pair.branch.call(post) == 202
    running.wait_up(count=2)
    assert_carries(pair, server)
    running.stop()
