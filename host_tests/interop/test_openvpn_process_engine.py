"""The engine `openvpn` on MicroPython: a stock client under our eyes against stock servers."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from host_tests.interop.openvpn_support import eventually
from host_tests.lab import LabError, Pki

_ROOT = Path(__file__).resolve().parents[2]
_MICROPYTHON = os.environ.get("BRANCHLINE_MICROPYTHON", str(_ROOT / ".toolchain/bin/micropython"))
_TIMEOUT = 20.0


class Engine:
    """engine_console.py on a host, its events and its openvpn process."""

    def __init__(self, host, profile: str, **settings):
        self.host = host
        self.folder = host.directory / "engine"
        files = Pki(self.folder)
        path = files.write("paris.ovpn", profile)
        self.socket = self.folder / "sockets" / "paris"
        settings = {"name": "paris", "profile": str(path), "socket": str(self.socket), **settings}
        self._settings = json.dumps(settings)
        self._log = self.folder / "console.log"
        self._seen = 0
        self.process = None
        self.start()

    def start(self) -> "Engine":
        """Start the console; the log of an earlier one goes."""
        self._seen = 0
        with open(self._log, "wb") as log:
            self.process = self.host.call(
                subprocess.Popen,
                [_MICROPYTHON, str(Path(__file__).with_name("engine_console.py")), self._settings],
                stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT,
                env={**os.environ, "MICROPYPATH": f"{_ROOT / 'firmware'}:.frozen"},
                start_new_session=True,
            )
        return self

    def __call__(self, *command) -> None:
        """Give the console a command."""
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        self.process.stdin.flush()

    def lines(self) -> list[dict]:
        """All that the console has printed."""
        text = self._log.read_text(errors="replace")
        complete = text[: text.rfind("\n") + 1].splitlines()
        try:
            return [json.loads(line) for line in complete]
        except ValueError:
            raise LabError(f"the console says:\n{text}") from None

    def next(self, timeout: float = _TIMEOUT):
        """The next line that is no note."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            for line in self.lines()[self._seen :]:
                self._seen += 1
                if line.get("event") != "NOTE":
                    return line
            time.sleep(0.01)
        raise LabError(f"no event within {timeout:g} s; so far: {self.lines()}")

    def wait(self, kind: str, timeout: float = _TIMEOUT):
        """The next event, which must be of that kind; its detail."""
        line = self.next(timeout)
        assert line.get("event") == kind, (line, self.notes())
        return line["detail"]

    def ask(self, command: str):
        """The answer to a question."""
        self(command)
        return self.next()["answer"]

    def notes(self) -> list[list[str]]:
        """All notes: level, event, text."""
        return [line["detail"] for line in self.lines() if line.get("event") == "NOTE"]

    def ready(self) -> "Engine":
        """Open it and wait for READY."""
        self("open")
        self.wait("READY")
        return self

    def up(self, address: str, index: int = 0) -> dict:
        """Connect; the Link."""
        self("connect", index, address)
        return self.wait("UP")

    def clients(self) -> list[int]:
        """The ids of all openvpn processes that belong to the socket, zombies included."""
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and str(self.socket) in (entry / "cmdline").read_text():
                    found.append(int(entry.name))
        return [pid for pid in found if pid != self.process.pid]

    def client(self) -> int:
        """The id of the one openvpn process."""
        (pid,) = self.clients()
        return pid

    def stop(self) -> int:
        """End of standard input; the exit code."""
        self.process.stdin.close()
        return self.process.wait(_TIMEOUT)

    def kill(self) -> None:
        """As a crash of the gateway."""
        self.process.kill()
        self.process.wait()


@pytest.fixture
def engine(pair):
    """Makes Engines on the branch; none of their processes outlives the test."""
    made = []

    def make(profile, **settings):
        made.append(Engine(pair.branch, profile, **settings))
        return made[-1]

    yield make
    for engine in made:
        engine.kill()
        for pid in engine.clients():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _ignores(pid, number):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"SigIgn:\s*(\w+)", status)[1], 16) >> (number - 1) & 1


def _carries(pair, server, count=3):
    assert pair.branch.ping(server.address, count).lost == 0


def test_up_and_traffic(pair, engine):
    server = pair.server(network6="fd00:8::/64", push=("route 10.66.0.0 255.255.0.0",))
    running = engine(pair.profile(server), device="tun-paris", rank=7)
    running("open")
    assert running.wait("READY") == [[pair.remote(), 1194, "udp"]]
    link = running.up(pair.remote())
    assert link == {
        "device": "tun-paris", "addresses": ["10.8.0.2/24", "fd00:8::1000/64"], "mtu": 1500,
        "gateway": "10.8.0.1", "gateway_ipv6": "fd00:8::1", "server": pair.remote(),
    }
    _carries(pair, server)
    assert "metric 7" in pair.branch.ip("route", "show", "10.66.0.0/16")
    rp_filter = "/proc/sys/net/ipv4/conf/tun-paris/rp_filter"
    assert pair.branch.run("cat", rp_filter).stdout.strip() == "2"
    status = eventually(
        lambda: (s := running.ask("status")) and s["tx_octets"] and s["rx_octets"] and s,
        "octets are counted")
    assert (status["state"], status["device"]) == ("up", "tun-paris")
    assert status["remote"] == f"{pair.remote()}:1194/udp"
    assert status["address"] == "10.8.0.2/24,fd00:8::1000/64"
    assert status["cipher"] == "AES-256-GCM" and status["tls"].startswith("TLSv1.3 TLS_")
    assert status["pid"] == running.client() and status["counters"] == {}
    sent, received = running.ask("traffic")
    assert sent >= status["tx_octets"] and received >= status["rx_octets"]
    assert running.stop() == 0
    assert running.clients() == [] and "tun-paris" not in pair.branch.devices()


def test_remotes_by_index_and_address(pair, engine):
    """The names resolve nowhere: the gateway says where they are."""
    udp = pair.server()
    tcp = pair.server(name="tcp", proto="tcp", network="10.9.0.0/24")
    remotes = ("nowhere.example 5", "paris.example", "paris.example 1194 tcp", "far.example 1 tcp")
    running = engine(udp.profile("lyon", *remotes))
    running("open")
    assert running.wait("READY") == [
        ["nowhere.example", 5, "udp"], ["paris.example", 1194, "udp"],
        ["paris.example", 1194, "tcp"], ["far.example", 1, "tcp"],
    ]
    pid = running.client()
    for index, server in ((2, tcp), (1, udp), (2, tcp), (2, tcp), (1, udp)):
        link = running.up(pair.remote(), index)
        assert link["gateway"] == server.address
        _carries(pair, server)
        running("disconnect")
        assert running.wait("DOWN") == ["stopped", ""]
        assert link["device"] not in pair.branch.devices()
    assert pid == running.client()


def test_remotes_in_connection_blocks(pair, engine):
    """Blocks may differ in anything, so the process itself has to go to the right one."""
    server = pair.server()
    blocks = "".join(
        f"<connection>\nremote {host}.example 1194 udp\nlport {port}\n</connection>\n"
        for host, port in (("one", 5001), ("two", 5002), ("three", 5003)))
    profile = server.profile("lyon").replace("\nnobind\n", "\n")
    running = engine(blocks + profile).ready()
    for index, port in ((1, 5002), (0, 5001), (2, 5003), (1, 5002)):
        running.up(pair.remote(), index)
        assert server.clients()[0]["Real Address"].endswith(f":{port}")
        running("disconnect")
        running.wait("DOWN")


def test_ipv6(pair, engine):
    server = pair.server(proto="udp6")
    running = engine(pair.profile(server)).ready()
    assert running.up(pair.remote(6))["server"] == pair.remote(6)
    _carries(pair, server)


def test_tap(pair, engine):
    server = pair.server(dev="tap")
    running = engine(pair.profile(server), device="tap-paris").ready()
    link = running.up(pair.remote())
    assert (link["device"], link["addresses"]) == ("tap-paris", ["10.8.0.2/24"])
    _carries(pair, server)


def test_an_address_that_changes_is_followed(pair, engine):
    """The stock client would keep to the address that worked."""
    server = pair.server(server_lines=("multihome",))
    running = engine(pair.profile(server)).ready()
    pair.hub.ip("address", "add", "192.0.2.77/24", "dev", pair.link.device(pair.hub))
    running.up(pair.remote())
    server.kill()
    assert running.wait("DOWN")[0] == "ping-restart"
    server.start()
    running.up("192.0.2.77")
    assert running.ask("status")["remote"] == "192.0.2.77:1194/udp"
    _carries(pair, server)


def test_a_silent_server_can_be_given_up(pair, engine):
    server = pair.server()
    running = engine(pair.profile(server)).ready()
    for _ in range(2):
        running("connect", 0, "192.0.2.66")
        eventually(lambda: running.ask("status")["state"] == "connecting", "it connects")
        running("disconnect")
        assert running.wait("DOWN") == ["stopped", ""]
    running("connect", 0, "192.0.2.66")
    time.sleep(1.2)  # by then it has heard where to connect
    running("disconnect")
    assert running.wait("DOWN") == ["stopped", ""]
    running.up(pair.remote())


def test_no_tcp_server(pair, engine):
    running = engine(pair.profile(pair.server(proto="tcp"))).ready()
    running.up(pair.remote())
    running("disconnect")
    running.wait("DOWN")
    running("connect", 0, pair.link.address(pair.branch))
    assert running.wait("DOWN")[0] == "connect"


@pytest.mark.parametrize("proto, expected", [("udp", "ping-restart"), ("tcp", "transport")])
def test_a_server_that_is_killed(pair, engine, proto, expected):
    server = pair.server(proto=proto)
    running = engine(pair.profile(server)).ready()
    device = running.up(pair.remote())["device"]
    server.kill()
    assert running.wait("DOWN")[0] == expected
    assert device not in pair.branch.devices()
    server.start()
    running.up(pair.remote())
    _carries(pair, server)


def test_a_server_that_leaves(pair, engine):
    server = pair.server(exit_notify=True)
    running = engine(pair.profile(server)).ready()
    running.up(pair.remote())
    server.stop()
    assert running.wait("DOWN")[0] == "server-restart"


def test_persist_tun_leaves_no_device(pair, engine):
    server = pair.server(client_lines=("persist-tun", "persist-remote-ip"))
    running = engine(pair.profile(server)).ready()
    device = running.up(pair.remote())["device"]
    server.kill()
    running.wait("DOWN")
    assert device not in pair.branch.devices()
    assert "persist-tun" in " ".join(text for _, _, text in running.notes())


def test_a_process_that_is_killed(pair, engine):
    server = pair.server()
    running = engine(pair.profile(server)).ready()
    device = running.up(pair.remote())["device"]
    os.kill(running.client(), signal.SIGKILL)
    reason, text = running.wait("DOWN")
    assert reason == "exited" and "signal 9" in text
    assert device not in pair.branch.devices() and running.clients() == []
    running.up(pair.remote())
    _carries(pair, server)


def test_a_process_that_is_killed_while_nothing_is_wanted_of_it(pair, engine):
    server = pair.server()
    running = engine(pair.profile(server)).ready()
    os.kill(running.client(), signal.SIGKILL)
    eventually(lambda: running.clients() == [], "it is reaped")
    running.up(pair.remote())
    _carries(pair, server)


def test_a_process_that_is_stopped(pair, engine):
    server = pair.server()
    running = engine(pair.profile(server)).ready()
    running.up(pair.remote())
    pid = running.client()
    os.kill(pid, signal.SIGSTOP)
    assert running.wait("DOWN")[0] == "management"
    eventually(lambda: pid not in running.clients(), "it is gone")
    running.up(pair.remote())
    _carries(pair, server)


def test_a_process_that_is_stopped_before_it_connects(pair, engine):
    running = engine(pair.profile(pair.server())).ready()
    pid = running.client()
    os.kill(pid, signal.SIGSTOP)
    running("connect", 0, pair.remote())
    assert running.wait("DOWN")[0] == "management"
    running.up(pair.remote())
    assert pid not in running.clients()


def test_a_gateway_that_slept_does_not_blame_the_process(pair, engine):
    running = engine(pair.profile(pair.server())).ready()
    running.up(pair.remote())
    pid = running.client()
    running.process.send_signal(signal.SIGSTOP)
    time.sleep(7)
    running.process.send_signal(signal.SIGCONT)
    time.sleep(2)
    assert running.ask("status")["state"] == "up" and running.client() == pid


def test_a_gateway_that_is_killed_leaves_no_process(pair, engine):
    running = engine(pair.profile(pair.server())).ready()
    device = running.up(pair.remote())["device"]
    running.kill()
    eventually(lambda: running.clients() == [], "no openvpn is left")
    assert device not in pair.branch.devices()


def test_a_stopped_process_of_an_earlier_run_is_replaced(pair, engine):
    server = pair.server()
    running = engine(pair.profile(server), device="tun-paris")
    running.socket.parent.mkdir()
    earlier = pair.branch.spawn(
        "openvpn", "--config", str(running.folder / "paris.ovpn"), "--disable-dco",
        "--dev", "tun-paris", "--dev-type", "tun", "--management", str(running.socket), "unix")
    earlier.wait_for("Initialization Sequence Completed")
    earlier.signal(signal.SIGSTOP)
    running.ready()
    assert not earlier.running
    assert [event for _, event, _ in running.notes()].count("replaced") == 1
    assert running.up(pair.remote())["device"] == "tun-paris"
    _carries(pair, server)


def test_a_process_of_an_earlier_run_that_does_not_listen_is_replaced(pair, engine):
    running = engine(pair.profile(pair.server()))
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    earlier = pair.branch.spawn(
        sys.executable, "-c", deaf, "--management", str(running.socket), "unix")
    eventually(lambda: _ignores(earlier.pid, signal.SIGTERM), "it is deaf")
    running.ready()
    assert not earlier.running


def test_closed_and_opened_again(pair, engine):
    server = pair.server(client_lines=("explicit-exit-notify 1",))
    running = engine(pair.profile(server), device="tun-paris").ready()
    running.up(pair.remote())
    running("close")
    running("open")  # its predecessor is still taking leave
    running.wait("READY")
    server.wait_for("remote-exit|CC-EEN exit message|exit-notification")
    running.up(pair.remote())
    _carries(pair, server)
    assert len(running.clients()) == 1


@pytest.mark.parametrize("line, words", [
    ("no-such-directive 1", ["no-such-directive", "paris.ovpn:1"]),
    ("remote-cert-tls", ["remote-cert-tls", "paris.ovpn:1"]),
    ("tls-crypt missing.key", ["missing.key"]),
])
def test_a_mistake_in_the_profile(pair, engine, line, words):
    running = engine(f"{line}\n" + pair.profile(pair.server()))
    running("open")
    reason, text = running.wait("FATAL")
    assert reason == "options-error"
    for word in words:
        assert word in text, text
    assert running.clients() == []


def test_a_profile_without_a_remote(pair, engine):
    running = engine(pair.server().profile("lyon"))
    running("open")
    assert running.wait("FATAL")[0] == "options-error"


def test_a_profile_that_runs_as_a_daemon_is_watched_all_the_same(pair, engine):
    lines = ("daemon", "log /nowhere/log", "writepid /nowhere/pid", "management 127.0.0.1 7505")
    server = pair.server(client_lines=lines)
    running = engine(pair.profile(server)).ready()
    running.up(pair.remote())
    assert running.ask("status")["pid"] == running.client()


def test_a_missing_program(pair, engine):
    running = engine(pair.profile(pair.server()), program="no-openvpn-here")
    running("open")
    reason, text = running.wait("FATAL")
    assert reason == "exited" and "install openvpn" in text
    running("open")  # nothing of the attempt is in the way
    running.wait("FATAL")


@pytest.mark.parametrize("program, expected", [
    ("exit 3", ("DOWN", "exited", "code 3")),
    ("echo I know why; exit 1", ("DOWN", "exited", "I know why")),
    ("kill -SEGV $$", ("DOWN", "exited", "signal 11")),
])
def test_a_program_that_ends_at_once(pair, engine, program, expected):
    script = pair.branch.directory / "program"
    script.write_text(f"#!/bin/sh\n{program}\n")
    script.chmod(0o700)
    running = engine(pair.profile(pair.server()), program=str(script))
    for _ in range(2):
        running("open")
        reason, text = running.wait(expected[0])
        assert reason == expected[1] and expected[2] in text


_PEER = """#!/usr/bin/env python3
import socket, sys, time
peer = socket.socket(socket.AF_UNIX)
peer.connect(sys.argv[sys.argv.index("--management") + 1])
{}
time.sleep(60)
"""


@pytest.mark.parametrize("behaviour, words", [
    ("", "says nothing"),
    ('peer.send(b">HOLD:Waiting\\n")', "no answer to state"),
    ('peer.sendall(b"x" * 20000)', "8192"),
    ('peer.sendall(b">WHAT:\\n" * 5000 + b"x" * 9000 + b"\\n")', "8192"),
    ('peer.close()', "does not end"),
], ids=["silent", "deaf", "endless line", "noise", "mute"])
def test_a_program_that_talks_nonsense(pair, engine, behaviour, words):
    script = pair.branch.directory / "program"
    script.write_text(_PEER.format(behaviour))
    script.chmod(0o700)
    running = engine(pair.profile(pair.server()), program=str(script))
    running("open")
    reason, text = running.wait("DOWN")
    assert reason == "management" and words in text
    eventually(lambda: running.clients() == [], "the program is killed")


def test_refused_credentials(pair, engine):
    server = pair.server(users={"anna": "correct-horse-42"})
    profile = pair.profile(server)
    running = engine(profile.replace("correct-horse-42", "wrong-horse-43")).ready()
    for _ in range(2):
        running("connect", 0, pair.remote())
        reason, text = running.wait("DOWN")
        assert reason == "auth-failed" and "refused" in text
    assert "horse" not in json.dumps(running.lines())
    running.kill()
    again = engine(profile).ready()
    again.up(pair.remote())
    assert b"horse" not in Path(f"/proc/{again.client()}/cmdline").read_bytes()


def test_credentials_that_nobody_can_type(pair, engine):
    server = pair.server(users={"anna": "correct-horse-42"})
    text = pair.profile(server)
    start, end = text.index("<auth-user-pass>"), text.index("</auth-user-pass>\n")
    running = engine(text[:start] + "auth-user-pass\n" + text[end + 18 :])
    running("open")
    reason, text = running.wait("FATAL")
    assert reason == "auth-failed" and "<auth-user-pass>" in text


def test_a_device_that_is_taken(pair, engine):
    server = pair.server()
    pair.branch.ip("link", "add", "taken", "type", "veth", "peer", "name", "other")
    running = engine(pair.profile(server), device="taken").ready()
    running("connect", 0, pair.remote())
    reason, _ = running.wait("DOWN")
    assert reason == "device"
    pair.branch.ip("link", "delete", "taken")
    running.up(pair.remote())
