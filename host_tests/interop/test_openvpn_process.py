"""The gateway as a process: signals in every phase, power loss, mistakes, and secrets."""

import json
import re
import signal
import socket
import time
from pathlib import Path

import pytest

from host_tests.interop.openvpn_support import TUNNEL, connect, eventually, gateway
from host_tests.lab import Gateway, UdpRelay

_ROOT = Path(__file__).resolve().parents[2]
_MICROPYTHON = _ROOT / ".toolchain/bin/micropython"
_PASSWORD = "correct-horse-42"


def _resolving(pair) -> Gateway:
    """A name server that never answers has got the question."""
    servers = re.findall(r"(?m)^nameserver (\d+\.\S+)", Path("/etc/resolv.conf").read_text())
    address = servers[0] if servers else "127.0.0.1"
    host = pair.branch if address.startswith("127.") else pair.hub
    if host is pair.hub:
        pair.hub.ip("address", "add", f"{address}/32", "dev", "lo")
        pair.branch.route("default", pair.remote())
    with host.call(socket.socket, socket.AF_INET, socket.SOCK_DGRAM) as name_server:
        name_server.bind((address, 53))
        name_server.settimeout(10)
        running = gateway(pair, pair.server().profile("lyon", "hub.example"))
        assert b"hub" in name_server.recv(1000)
    return running


def _connecting(pair) -> Gateway:
    running = gateway(pair, pair.server().profile("lyon", "192.0.2.66"))
    running.wait_for(f"{TUNNEL} connect")
    return running


def _connecting_tcp(pair) -> Gateway:
    running = gateway(pair, pair.server(proto="tcp").profile("lyon", "192.0.2.66"))
    running.wait_for(f"{TUNNEL} connect")
    return running


def _handshaking(pair) -> Gateway:
    """The server's machine hangs right after its first answer."""
    server = pair.server()
    relay = UdpRelay(pair.hub, pair.remote(), 2194, target=(pair.remote(), 1194))
    relay.down.choose = lambda packet: [packet] if packet[0] >> 3 == 8 else []
    running = gateway(pair, server.profile("lyon", relay.remote))
    eventually(lambda: len(relay.captured["up"]) > 2, "the TLS handshake has begun")
    return running


def _waiting(pair) -> Gateway:
    running = gateway(pair, pair.server(proto="tcp").profile("lyon", f"{pair.remote()} 4"))
    running.wait_for(f"{TUNNEL} down connect")
    return running


def _up(pair) -> Gateway:
    server = pair.server(push=("redirect-gateway def1", "route 10.66.0.0 255.255.0.0"))
    return connect(pair, server)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("phase", [_resolving, _connecting, _connecting_tcp, _handshaking,
                                   _waiting, _up], ids=lambda phase: phase.__name__[1:])
def test_a_signal_in_every_phase_leaves_nothing(pair, phase, number):
    running = phase(pair)
    if number != signal.SIGTERM:
        running.process.signal(number)
        assert running.process.wait() == 0
    running.stop()  # exit code 0, and the devices and routes of before
    running.wait_for(f"gateway stop {number.name}")


def test_a_killed_gateway_leaves_nothing_that_keeps_the_next_from_working(pair):
    running = _up(pair)
    before = running._before
    running.kill()
    eventually(lambda: pair.branch.devices() == before[0], "the device is gone")
    left = pair.branch.routes() - before[1]
    assert [line.split()[0] for line in left] == [pair.remote()]
    again = Gateway(pair.branch, running.profiles, name="again").start()
    again.wait_up()
    assert pair.branch.ping("10.8.0.1", 3).lost == 0
    again.wait_for("gateway sweep removed 1 ")
    assert again.process.stop() == 0
    assert (pair.branch.devices(), pair.branch.routes()) == before


def test_an_ignored_hangup_stays_ignored(pair):
    """As under nohup."""
    running = Gateway(pair.branch, {TUNNEL: pair.profile(pair.server())})
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        running.start()
    finally:
        signal.signal(signal.SIGHUP, before)
    running.wait_up()
    running.process.signal(signal.SIGHUP)
    assert pair.branch.ping("10.8.0.1", 3).lost == 0
    running.stop()
    assert "gateway reload" not in running.log()


def test_a_log_that_takes_nothing_keeps_no_tunnel_from_working(pair):
    folder = Gateway(pair.branch, {TUNNEL: pair.profile(pair.server())}).write()
    command = f"exec {_MICROPYTHON} {_ROOT}/firmware/main.py {folder} >/dev/full"
    running = pair.branch.spawn("sh", "-c", command,
                                env={"MICROPYPATH": f"{_ROOT}/firmware:.frozen"})
    eventually(lambda: pair.branch.ping("10.8.0.1").received, "the tunnel works")
    assert running.stop() == 0
    assert running.log() == ""


def test_a_status_file_that_cannot_be_written_is_told_once(pair):
    missing = pair.branch.directory / "none" / "status.json"
    running = connect(pair, pair.server(), env={"BRANCHLINE_STATUS": str(missing)})
    running.wait_for("gateway status cannot write .*none/status.json: .*ENOENT")
    time.sleep(1.5)  # it tries again every second
    assert pair.branch.ping("10.8.0.1", 3).lost == 0
    running.stop()
    assert running.log().count("cannot write") == 1


def test_a_device_that_somebody_deletes_is_made_again(pair):
    running = connect(pair, pair.server())
    pair.branch.ip("link", "delete", running.tunnel_status(TUNNEL)["device"])
    running.wait_for(f"{TUNNEL} down transport: the device tun0 was deleted")
    running.wait_up(count=2)
    assert pair.branch.ping("10.8.0.1", 3).lost == 0
    running.stop()


def test_files_that_a_profile_names_lie_beside_it(pair):
    server = pair.server()
    text = pair.profile(server)
    authority = re.search(r"(?s)<ca>\n(.*?)</ca>\n", text)
    running = Gateway(pair.branch, {TUNNEL: text.replace(authority[0], "ca keys/ca.crt\n")})
    running.config["tunnels"][0]["profile"] = "vpn/paris.ovpn"
    folder = running.write()
    (folder / "vpn" / "keys").mkdir(parents=True)
    (folder / "paris.ovpn").rename(folder / "vpn" / "paris.ovpn")
    (folder / "vpn" / "keys" / "ca.crt").write_text(authority[1])
    running.start().wait_up()
    running.stop()


@pytest.mark.parametrize("change, words", [
    ({"nmae": "x"}, ["nmae", "name"]),
    ({"tunnels": []}, ["tunnels"]),
    ({"tunnels": [{"name": "paris"}]}, ["tunnels[0].profile", "missing"]),
    ({"tunnels": [{"name": "a b", "profile": "paris.ovpn"}]}, ["tunnels[0].name"]),
    ({"tunnels": [{"name": "x", "profile": "missing.ovpn"}]}, ["missing.ovpn"]),
    ({"log": {"level": "loud"}}, ["log.level", "debug"]),
], ids=lambda value: value[0] if isinstance(value, list) else "")
def test_a_mistake_in_gateway_json(pair, change, words):
    running = Gateway(pair.branch, {TUNNEL: pair.server().profile("lyon", pair.remote())})
    running.config.update(change)
    assert running.start().process.wait() == 2
    for word in ["gateway.json", *words]:
        assert word in running.log()
    assert "Traceback" not in running.log()


def test_no_json_at_all(pair):
    running = Gateway(pair.branch, {})
    folder = running.write()
    (folder / "gateway.json").write_text('{"name": "x",\n "tunnels": [}\n')
    done = pair.branch.run(str(_MICROPYTHON), str(_ROOT / "firmware/main.py"), str(folder),
                           check=False)
    assert done.returncode == 2 and "gateway.json:2" in done.stdout


@pytest.mark.parametrize("line, words", [
    ("fragment 1300", ["fragment", "mssfix"]),
    ("http-proxy 192.0.2.9 8080", ["http-proxy", "proxies"]),
    ("no-such-directive 1", ["no-such-directive"]),
    ("ca missing.crt", ["missing.crt"]),
    ("comp-lzo yes", ["comp-lzo", "compression"]),
    ("reneg-sec soon", ["reneg-sec", "number"]),
    ("plugin x.so", ["plugin"]),
])
def test_a_mistake_in_a_profile(pair, line, words):
    """The error names the file, the line and the directive."""
    profile = f"dev tun\n{line}\n" + pair.server().profile("lyon", pair.remote())
    running = gateway(pair, profile)
    assert running.process.wait() == 2
    assert "paris.ovpn:2" in running.log(), running.log()
    for word in words:
        assert word in running.log()
    assert "Traceback" not in running.log()


def test_no_secret_shows(pair):
    """Neither in the log at its most talkative, nor in the status, nor in the arguments."""
    server = pair.server(wrap="tls-crypt-v2", users={"joe": _PASSWORD},
                         server_lines=("hand-window 2", "auth-gen-token"), reneg_sec=4)
    running = connect(pair, server, "reneg-sec 1", log={"level": "debug"})
    running.wait_event(TUNNEL, "rekeyed")
    status = running.fresh_status()
    pid = running.process.pid
    arguments = Path(f"/proc/{pid}/cmdline").read_text()
    running.stop()
    secrets = [_PASSWORD, "SESS_ID"]
    secrets += [line for line in running.profiles[TUNNEL].splitlines()
                if re.fullmatch(r"[A-Za-z0-9+/=]{40,}", line)]
    assert len(secrets) > 10
    shown = running.log() + json.dumps(status) + arguments
    assert [secret for secret in secrets if secret in shown] == []
    assert not re.search(r"[0-9a-fA-F]{32}", shown)


def test_the_status_file_is_valid_at_any_moment(pair):
    server = pair.server()
    running = connect(pair, server)
    assert running.status()["name"] == "branch"
    entry = running.tunnel_status(TUNNEL)
    assert entry["name"] == TUNNEL and entry["state"] == "up"
    assert entry["address"] and entry["device"] and entry["rx_octets"] >= 0
    running.stop()
