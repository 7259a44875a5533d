"""The lab itself: what the other tests stand on, with stock openvpn at both ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from host_tests.interop.openvpn_support import eventually
from host_tests.lab import Client, Lab, LabError, Server, TcpRelay, UdpRelay, namespaces
from host_tests.lab.babel import MacKey
from host_tests.lab.run_directory import remove_leftovers
from host_tests.lab.topology import DAEMONS, Network
from host_tests.lab.trace import trace

_ROOT = Path(__file__).resolve().parents[2]
_OWNER = """
import signal, sys
from host_tests.lab import Lab
with Lab() as lab:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b, "192.0.2.0/24")
    inside = a.spawn("sleep", "1000")
    print(lab.tag, lab.directory, inside.pid, flush=True)
    signal.pause()
"""


def test_routed_hosts_reach_each_other_over_both_families(lab):
    internet = lab.internet()
    a, b = lab.host("a"), lab.host("b")
    internet.attach(a)
    link = internet.attach(b)
    for version in (4, 6):
        assert a.ping(link.address(b, version), 3).lost == 0


def test_a_cut_link_carries_nothing_until_it_is_restored(pair):
    address = pair.link.address(pair.hub)
    routes = pair.branch.routes()
    pair.link.cut()
    assert pair.branch.ping(address, 3, timeout=0.1).received == 0
    assert pair.branch.routes() == routes
    pair.link.restore()
    assert pair.branch.ping(address, 3).lost == 0


def test_loss_takes_its_share_in_the_chosen_direction(pair):
    address = pair.link.address(pair.hub)
    pair.link.loss(25, toward=pair.hub)
    one_way = pair.branch.ping(address, 800, interval=0.001, timeout=0.2).lost
    pair.link.loss(25)
    both_ways = pair.branch.ping(address, 800, interval=0.001, timeout=0.2).lost
    # Five standard deviations around 25 % and 43.75 % of 800.
    assert 139 < one_way < 261 and 280 < both_ways < 420, (one_way, both_ways)


@pytest.mark.parametrize("proto", ["udp", "tcp", "udp6", "tcp6"])
@pytest.mark.parametrize("wrap", ["none", "tls-auth", "tls-crypt", "tls-crypt-v2"])
def test_stock_client_and_server_carry_pings(pair, proto, wrap):
    server = pair.server(proto=proto, wrap=wrap, network6="fd00:8::/64")
    client = Client(pair.branch, pair.profile(server)).start()
    client.wait_up()
    assert pair.branch.ping(server.address, 5).lost == 0
    assert pair.branch.ping(server.address6, 5).lost == 0
    assert [row["Common Name"] for row in server.clients()] == ["lyon"]


@pytest.mark.parametrize("options", [
    {"dev": "tap"},
    {"topology": "net30"},
    {"users": {"joe": "a secret"}},
    {"wrap": "tls-crypt-v2", "cookie": "force-cookie"},
    {"key": "RSA-2048", "tls_max": "1.2"},
    {"key": "P-384", "tls_min": "1.3"},
    {"data_ciphers": "AES-256-CBC", "auth": "SHA256"},
], ids=lambda options: " ".join(f"{key}={value}" for key, value in options.items()))
def test_server_options_have_matching_profiles(pair, options):
    server = pair.server(**options)
    Client(pair.branch, pair.profile(server)).start().wait_up()
    assert pair.branch.ping(server.address, 3).lost == 0


def test_server_refuses_a_wrong_password(pair):
    server = pair.server(users={"joe": "right"})
    profile = pair.profile(server).replace("right", "wrong")
    client = Client(pair.branch, profile).start()
    client.process.wait_for("AUTH_FAILED")
    assert [row["Virtual Address"] for row in server.clients()] == [""]


def test_revoked_expired_and_foreign_certificates_are_refused(pair):
    server = Server(pair.hub, pair.pki)
    authority = server.authority
    foreign = pair.pki.authority("foreign").issue("foreigner", "client")
    revoked = authority.issue("revoked", "client")
    expired = authority.issue("expired", "client", period="expired")
    crl = pair.pki.write("crl.pem", authority.revocation_list(revoked))
    server.options.server_lines = (f"crl-verify {crl}",)
    server.start()
    for credential, reason in (
        (foreign, "unable to get"), (revoked, "certificate revoked"),
        (expired, "certificate has expired"),
    ):
        client = Client(pair.branch, pair.profile(server, credential),
                        name=credential.common_name).start()
        server.wait_for(f"VERIFY ERROR.*{reason}.*CN={credential.common_name}")
        client.process.kill()


def test_udp_relay_loses_damages_delays_and_replays(pair):
    # Without a wrapping, garbage from the client's address keeps a stock server from floating it.
    server = pair.server(wrap="tls-crypt")
    relay = UdpRelay(pair.hub, pair.remote(), 2194, target=(pair.remote(), 1194))
    profile = server.profile("lyon", relay.remote)
    Client(pair.branch, profile).start().wait_up()
    ping = pair.branch.ping

    relay.up.delay_ms = 30
    assert ping(server.address, 3).rtt >= 30
    relay.restore()
    relay.down.choose = lambda packet: []
    assert ping(server.address, 3, timeout=0.1).received == 0
    relay.restore()
    relay.up.corrupt = 1
    assert ping(server.address, 3, timeout=0.1).received == 0
    server.wait_for("Authenticate/Decrypt packet error: packet HMAC|cipher final failed|tag")
    relay.restore()
    assert relay.replay("up", list(relay.captured["up"])[-5:]) == 5
    server.wait_for("bad packet ID")
    relay.garbage("up", 100)
    relay.rebind()
    assert ping(server.address, 5).lost == 0


def test_tcp_relay_resegments_and_resets(pair):
    server = pair.server(proto="tcp")
    relay = TcpRelay(pair.hub, pair.remote(), 2194, target=(pair.remote(), 1194), segment=1)
    client = Client(pair.branch, server.profile("lyon", relay.remote)).start()
    client.wait_up()
    assert pair.branch.ping(server.address, 3).lost == 0
    relay.reset()
    client.process.wait_for("Connection reset")


def test_a_name_moves_to_another_address_while_programs_run(pair):
    pair.branch.name_address("hub.example", "192.0.2.1")
    watcher = pair.branch.spawn(
        "sh", "-c", "while :; do getent hosts hub.example; sleep 0.05; done", name="watcher",
    )
    watcher.wait_for("^192.0.2.1 ")
    pair.branch.name_address("hub.example", "192.0.2.77")
    watcher.wait_for("^192.0.2.77 ")


def test_data_centres_serve_their_pages_to_a_branch(lab):
    network = Network(lab, {"paris": "babeld", "dublin": "bird"})
    network.start()
    branch = network.branches["lyon"]
    for centre in network.centres.values():
        centre.serve()
        profile = network.profiles("lyon", (f"route 10.{centre.number}.0.0 255.255.255.0",))
        Client(branch.gateway, profile[centre.name], name=centre.name,
               device=f"tun-{centre.name}").start().wait_up()
        # Without Babel the hub must be told by hand.
        centre.hub.route(branch.lan, f"10.8.{centre.number}.{branch.number}")
        assert branch.desk.fetch(centre.url).decode() == centre.greeting


def test_a_trace_names_every_router_and_the_longest_silence_is_measured(pair, lab):
    target = lab.host("target")
    link = lab.link(pair.hub, target, "198.51.100.0/24")
    pair.branch.route("198.51.100.0/24", pair.link.address(pair.hub))
    target.route("default", link.address(pair.hub))
    address = link.address(target)
    assert trace(pair.branch, address) == [pair.link.address(pair.hub), address]
    with pair.branch.pinger(address, timeout=0.1) as pinger:
        eventually(lambda: pinger.result.received, "the first reply")
        link.cut()
        eventually(lambda: pinger.result.lost > 10, "some are lost")
        link.restore()
        count = pinger.result.received
        eventually(lambda: pinger.result.received > count, "replies come again")
    assert pinger.result.gap > 0.15
    link.cut()
    assert trace(pair.branch, address, 0.1) == [pair.link.address(pair.hub), "*", "*"]


@pytest.mark.parametrize("a, b", [("babeld", "babeld"), ("bird", "bird"), ("babeld", "bird")])
def test_stock_babel_daemons_exchange_prefixes_by_a_key(pair, a, b):
    key, daemons = MacKey(), []
    for number, (kind, host) in enumerate(((a, pair.hub), (b, pair.branch)), start=1):
        host.ip("route", "add", f"10.201.{number}.0/24", "dev", "lo", "proto", "static")
        link = {pair.link.device(host): "wired"}
        daemons.append(DAEMONS[kind](host, link, number=number, keys=(key,)).start())
    for daemon, prefix in zip(daemons, ("10.201.2.0/24", "10.201.1.0/24")):
        eventually(lambda d=daemon, p=prefix: [r.prefix for r in d.routes() if r.selected] == [p],
                   f"{daemon.version()} learns {prefix}")
        assert [neighbour.usable for neighbour in daemon.neighbours()] == [True]
    for daemon in daemons:
        daemon.stop()


def test_a_program_that_ends_is_reported_with_its_log(lab):
    process = lab.host("a").spawn("sh", "-c", "echo last words; exit 3", name="talker")
    with pytest.raises(LabError, match="(?s)talker on a ended with code 3.*last words"):
        process.wait_for("never said")


def test_a_missing_program_is_named(lab):
    with pytest.raises(LabError, match="no-such-program is missing"):
        lab.host("a").spawn("no-such-program")


def test_nothing_is_left_after_an_exception():
    before = set(namespaces.existing(""))
    with pytest.raises(ZeroDivisionError), Lab() as lab:
        sleeper = lab.host("a").spawn("sleep", "1000")
        raise ZeroDivisionError
    assert not sleeper.running
    assert not lab.directory.exists()
    assert namespaces.existing(f"bl-{lab.tag}-") == []
    assert set(namespaces.existing("")) <= before | _others(lab.tag)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_nothing_is_left_after_a_signal(number):
    owner, tag, directory, inside = _start_owner()
    assert len(namespaces.existing(f"bl-{tag}-")) == 2
    owner.send_signal(number)
    owner.wait(10)
    assert namespaces.existing(f"bl-{tag}-") == []
    assert not directory.exists()
    assert not _alive(inside)


def test_what_a_crashed_run_left_is_removed_and_what_a_living_one_owns_is_not(lab):
    lab.host("living")
    owner, tag, directory, inside = _start_owner()
    owner.kill()
    owner.wait(10)
    assert len(namespaces.existing(f"bl-{tag}-")) == 2
    assert f"bl-{tag}-a" in remove_leftovers()
    assert namespaces.existing(f"bl-{tag}-") == []
    assert not directory.exists()
    assert not _alive(inside)
    assert namespaces.existing(f"bl-{lab.tag}-") == [f"bl-{lab.tag}-living"]


def test_the_machine_itself_is_left_alone(pair):
    settings = ("net/ipv4/ip_forward", "net/ipv4/conf/all/rp_filter")
    inside = [pair.hub.call(Path("/proc/sys", name).read_text).strip() for name in settings]
    assert inside == ["1", "0"]
    assert pair.link.device(pair.hub) not in os.listdir("/sys/class/net")


def _start_owner():
    """A lab in a process of its own: the process, the tag, the directory, a pid inside."""
    owner = subprocess.Popen([sys.executable, "-c", _OWNER], cwd=_ROOT, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    tag, directory, inside = owner.stdout.readline().split()
    return owner, tag, Path(directory), int(inside)


def _alive(pid: int) -> bool:
    """Whether the process runs; a zombie that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _others(tag: str) -> set[str]:
    """Namespaces that other runs on this machine have made meanwhile."""
    return {name for name in namespaces.existing("") if not name.startswith(f"bl-{tag}-")}
