"""init and check: a good fleet passes; each mistake is told with its line, key and a fix."""

import json
import socket

import pytest

from branchctl.positions import Positions
from host_tests.tools.fleets import SMALL, branchctl, write


def test_what_init_writes_is_a_good_fleet(tmp_path):
    assert branchctl(tmp_path, "init", tmp_path / "Our Fleet").code == 0
    run = branchctl(tmp_path / "Our Fleet", "check")
    assert (run.code, run.err) == (0, "")
    assert "2 hubs, 2 branches, 1 clients, 3 rules" in run.out
    assert 'network = "our-fleet"' in (tmp_path / "Our Fleet" / "fleet.toml").read_text()


def test_init_overwrites_nothing(tmp_path):
    write(tmp_path, "mine")
    run = branchctl(tmp_path, "init", tmp_path)
    assert run.code == 1
    assert "is there already" in run.err
    assert (tmp_path / "fleet.toml").read_text() == "mine"


LYON = 'lyon = { lans = ["192.168.11.0/24"], address = "10.100.0.11" }'
NICE = 'nice = { lans = { eth1 = "192.168.12.0/24" } }'
MISTAKES = [
    # the rule, what is replaced in SMALL, by what, line, key, parts of the message
    ("unknown key at the top", "mesh =", "mash =", 3, "mash", ["did you mean mesh?"]),
    ("unknown key of a hub", "tunnels = \"10.8.2", "tunnel = \"10.8.2", 12, "hubs.dublin.tunnel",
     ["unknown key", "did you mean tunnels?"]),
    ("unknown board", NICE, 'nice = { board = "rpi_pico2" }', 18, "branches.nice.board",
     ["did you mean rpi_pico2_w?"]),
    ("unknown daemon", '"bird"', '"brid"', 14, "hubs.dublin.babel", ["did you mean bird?"]),
    ("a daemon that is near another", '"bird"', '"branchlin"', 14, "hubs.dublin.babel",
     ["did you mean branchline?"]),
    ("missing key", 'tunnels = "10.8.2.0/24"\n', "", 10, "hubs.dublin.tunnels",
     ["is missing", 'add tunnels = "10.8.1.0/24"']),
    ("wrong kind", '"10.100.0.0/24"', "7", 2, "virtual", ["must be text in quotes"]),
    ("a LAN within a data centre", "192.168.12.0/24", "10.1.7.0/24", 18,
     "branches.nice.lans.eth1", ["overlaps hubs.paris.prefixes[0] = 10.1.0.0/16 (line 8)"]),
    ("tunnels of two hubs", "10.8.2.0/24", "10.8.1.128/25", 12, "hubs.dublin.tunnels",
     ["overlaps hubs.paris.tunnels = 10.8.1.0/24 (line 7)"]),
    ("the same prefix at two hubs", '"10.2.0.0/16"', '"10.1.0.0/16"', 13,
     "hubs.dublin.prefixes[0]", ["overlaps", "anycast"]),
    ("two LANs of one branch", '{ eth1 = "192.168.12.0/24" }',
     '{ eth1 = "192.168.12.0/24", eth2 = "192.168.12.0/25" }', 18, "branches.nice.lans.eth2",
     ["overlaps branches.nice.lans.eth"]),
    ("host bits", "10.2.0.0/16", "10.2.0.1/16", 13, "hubs.dublin.prefixes[0]",
     ['write "10.2.0.0/16"']),
    ("everything", "10.2.0.0/16", "0.0.0.0/0", 13, "hubs.dublin.prefixes[0]",
     ["is everything"]),
    ("never routed", "10.2.0.0/16", "127.0.0.0/8", 13, "hubs.dublin.prefixes[0]",
     ["is never routed"]),
    ("duplicate address", "anna = {}", 'anna = { address = "10.100.0.11" }', 21,
     "clients.anna.address", ["is also lyon's (line 17)"]),
    ("address outside", "10.100.0.11", "10.101.0.11", 17, "branches.lyon.address",
     ["within virtual = 10.100.0.0/24"]),
    ("the network's own address", "10.100.0.11", "10.100.0.255", 17, "branches.lyon.address",
     ["cannot be a virtual address"]),
    ("no address", "10.100.0.11", "10.100.0", 17, "branches.lyon.address",
     ["is not an IPv4 address"]),
    ("a hub's name for a client", "anna = {}", "anna = {}\nparis = {}", 22, "clients.paris",
     ["hubs.paris (line 5) has this name, too"]),
    ("a name given twice", NICE, "lyon = {}", 18, "", ["not TOML", "described once"]),
    ("not a DNS label", NICE, '"Nice_2" = {}', 18, "branches.Nice_2",
     ["is not a DNS label", ": nice-2"]),
    ("a name of many", NICE, "hubs = {}", 18, "branches.hubs", ["choose another name"]),
    ("endpoint without a port", "udp://dublin.example.com:1194", "udp://dublin.example.com", 11,
     "hubs.dublin.endpoints[0]", ["names no port"]),
    ("endpoint of another kind", "udp://dublin.example.com:1194", "dublin.example.com:1194", 11,
     "hubs.dublin.endpoints[0]", ["udp://HOST:PORT"]),
    ("one endpoint for two hubs", "udp://dublin.example.com:1194", "udp://paris.example.com:1194",
     11, "hubs.dublin.endpoints[0]", ["stands in line 6, too"]),
    ("an endpoint among the mesh's ports", "dublin.example.com:1194", "dublin.example.com:1510",
     11, "hubs.dublin.endpoints[0]", ["among the mesh's 1500 to 1755"]),
    ("an endpoint at the agents' port", "dublin.example.com:1194", "dublin.example.com:6697",
     11, "hubs.dublin.endpoints[0]", ["port 6697 is the hubs' agents'"]),
    ("mesh ports with Babel's among them", 'babel = "bird"', "mesh_port = 6500", 14,
     "hubs.dublin.mesh_port", ["6500 to 6755 hold 6696, which is Babel's"]),
    ("no mesh for two hubs", 'mesh = "10.8.0.0/24"\n', "", 1, "mesh", ["is missing"]),
    ("mesh too small", 'mesh = "10.8.0.0/24"', 'mesh = "10.8.0.0/31"', 3, "mesh",
     ["too small"]),
    ("tunnels too small", '"10.8.2.0/24"', '"10.8.2.0/28"', 12, "hubs.dublin.tunnels",
     ["too small"]),
    ("unknown name in the policy", 'to = "lyon"', 'to = "lion"', 33, "policy[1].to",
     ["lion is not known", "did you mean lyon?"]),
    ("unknown service", '"tcp/22", ', '"ssh", ', 34, "policy[1].allow[0]",
     ["is not a service"]),
    ("ports backwards", "5000-5010", "5010-5000", 34, "policy[1].allow[1]", ["names no ports"]),
    ("unknown name in a group", '["anna"]', '["ana"]', 24, "groups.admins[0]",
     ["did you mean anna?"]),
    ("unknown hub of a client", "anna = {}", 'anna = { hubs = ["pariss"] }', 21,
     "clients.anna.hubs[0]", ["did you mean paris?"]),
    ("interface name too long", "eth1 =", "a-very-long-interface =", 18,
     "branches.nice.lans.a-very-long-interface", ["cannot be a network interface"]),
    ("syntax", 'virtual = "10.100.0.0/24"', "virtual = ", 2, "", ["not TOML"]),
]


@pytest.mark.parametrize("old,new,line,key,parts", [each[1:] for each in MISTAKES],
                         ids=[each[0] for each in MISTAKES])
def test_each_mistake_is_told(tmp_path, old, new, line, key, parts):
    assert old in SMALL
    write(tmp_path, SMALL.replace(old, new, 1))
    run = branchctl(tmp_path, "check", "--json")
    assert run.code == 2
    found = json.loads(run.out)["problems"]
    place = [each for each in found if (each["line"], each["key"]) == (line, key)]
    assert place, found
    text = place[0]["what"] + "; " + place[0]["fix"]
    assert [part for part in parts if part not in text] == []
    assert not (tmp_path / "state").exists()


def test_all_mistakes_are_told_at_once_in_the_files_order(tmp_path):
    write(tmp_path, SMALL.replace('"bird"', '"x"').replace("anna = {}", "Anna = {}"))
    run = branchctl(tmp_path, "check")
    assert run.code == 2
    lines = [int(line.split(":")[1]) for line in run.err.splitlines()]
    assert lines == sorted(lines) and len(lines) >= 2


def test_a_prefix_that_several_hubs_offer_is_no_overlap(tmp_path):
    write(tmp_path, SMALL.replace('prefixes = [', 'anycast = ["10.0.0.53/32"]\nprefixes = ['))
    assert branchctl(tmp_path, "check").code == 0


def test_a_missing_file_is_told(tmp_path):
    run = branchctl(tmp_path, "check")
    assert run.code == 2 and "branchctl init" in run.err


def test_online_finds_who_does_not_answer(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener, \
            socket.create_server(("127.0.0.1", 0)) as closed:
        port, dead = listener.getsockname()[1], closed.getsockname()[1]
        closed.close()
        text = SMALL.replace("tcp://paris.example.com:443", f"tcp://127.0.0.1:{port}")
        text = text.replace("udp://paris.example.com:1194", f"tcp://127.0.0.1:{dead}")
        text = text.replace("dublin.example.com", "dublin.invalid")
        write(tmp_path, text)
        run = branchctl(tmp_path, "check", "--online", "--json")
    found = {each["key"]: each["what"] for each in json.loads(run.out)["problems"]}
    assert run.code == 3
    assert set(found) == {"hubs.paris.endpoints[0]", "hubs.dublin.endpoints[0]"}
    assert "does not answer" in found["hubs.paris.endpoints[0]"]
    assert "does not resolve" in found["hubs.dublin.endpoints[0]"]


def test_positions_of_keys_and_elements():
    text = ('a = 1\n# b\n[t]\nlist = [\n  "x",\n  "y", "z",\n]\nlong = """\n[no]\n"""\n'
            '[[r]]\nk = 1\n[[r]]\nk = 2\n"d.e".f = 3\n')
    positions = Positions(text)
    for path, line in [(("a",), 1), (("t",), 3), (("t", "list"), 4), (("t", "list", 0), 5),
                       (("t", "list", 2), 6), (("r", 0, "k"), 12), (("r", 1), 13),
                       (("r", 1, "k"), 14), (("r", 1, "d.e", "f"), 15), (("t", "missing"), 3),
                       (("nothing",), 1)]:
        assert positions.line(path) == line, path
