"""A gateway from a bundle enforces the fleet's policy itself, and never runs without it."""

import json
import os
import signal
import socket

import pytest

from host_tests.interop.fleet_support import FleetNetwork
from host_tests.interop.openvpn_support import eventually

_SERVER, _DESK = "10.1.0.2", "192.168.11.2"


@pytest.fixture
def fleet(lab):
    """A hub without any policy, a data centre's server, and lyon with its desk."""
    network = FleetNetwork(lab, {"paris": "babeld"}).start()
    network.hosts["paris"].run("nft", "delete", "table", "inet", "branchline")
    network.hosts["lyon"].run("nft", "add", "table", "inet", "others")
    return network


def tables(host) -> list[str]:
    return sorted(host.run("nft", "list", "tables").stdout.split()[2::3])


def test_what_passes_and_what_is_dropped_at_the_branch_itself(fleet):
    host, desk, server = fleet.hosts["lyon"], fleet.desks["lyon"], fleet.servers["paris"]
    gateway = fleet.gateway("lyon").start()
    gateway.wait_up()
    eventually(lambda: desk.ping(_SERVER, timeout=0.5).received, "lyon reaches the server", 40)
    gateway.wait_event("paris", "health")
    assert gateway.fresh_status()["filter"] == {"state": "loaded", "spoofed": 0, "denied": 0}

    with desk.call(socket.create_server, (_DESK, 8080)), \
            server.call(socket.create_server, (_SERVER, 8080)):
        desk.call(socket.create_connection, (_SERVER, 8080), 5).close()
        with pytest.raises(OSError):
            server.call(socket.create_connection, (_DESK, 8080), 1)
    assert gateway.fresh_status()["filter"]["denied"] > 0
    desk.ip("address", "add", "198.51.100.1/32", "dev", "lo")
    desk.run("ping", "-c", "1", "-W", "1", "-I", "198.51.100.1", _SERVER, check=False)
    assert gateway.fresh_status()["filter"]["spoofed"] == 1

    # What SIGHUP takes up.
    path = gateway.folder / "gateway.json"
    config = json.loads(path.read_text())
    config["filter"]["rules"].append({"from": "hubs", "allow": ["tcp/8080"]})
    path.write_text(json.dumps(config))
    gateway.process.signal(signal.SIGHUP)
    gateway.wait_event("gateway", "reload")
    with desk.call(socket.create_server, (_DESK, 8080)):
        server.call(socket.create_connection, (_DESK, 8080), 5).close()

    # Whoever reloads a ruleset of his own empties all tables.
    host.run("nft", "flush", "ruleset")
    gateway.wait_event("gateway", "filter")
    assert gateway.fresh_status()["filter"]["state"] == "loaded"
    gateway.stop()
    assert tables(host) == []


def test_it_stays_after_a_crash_and_no_tunnel_comes_up_without_it(fleet):
    host = fleet.hosts["lyon"]
    gateway = fleet.gateway("lyon").start()
    gateway.wait_up()
    gateway.kill()
    host.run("nft", "add", "chain", "inet", "branchline", "former")
    assert tables(host) == ["branchline", "others"]

    folder = host.directory / "failing"
    folder.mkdir()
    (folder / "nft").write_text("#!/bin/sh\ncat >/dev/null; echo Error: not today >&2; exit 1\n")
    (folder / "nft").chmod(0o755)
    before = host.devices(), host.routes()
    failing = fleet.gateway("lyon", env={"PATH": f"{folder}:{os.environ['PATH']}"}).start()
    assert failing.process.wait() == 1
    failing.wait_for("nft refuses the filter: Error: not today")
    assert (host.devices(), host.routes()) == before
    assert "chain former" in host.run("nft", "list", "table", "inet", "branchline").stdout

    gateway.start().wait_up()
    assert "chain former" not in host.run("nft", "list", "table", "inet", "branchline").stdout
    gateway.kill()
    path = fleet.folder / "bundles" / "lyon" / "gateway.json"
    config = json.loads(path.read_text())
    del config["filter"]
    path.write_text(json.dumps(config))
    gateway.start().wait_for("gateway sweep removed the filter of an earlier run")
    assert tables(host) == ["others"]
    assert gateway.process.stop() == 0
