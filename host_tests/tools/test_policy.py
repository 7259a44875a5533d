"""The policy: what explain says of it, and the rules that it becomes."""

import ipaddress
import json
import re

import pytest

from branchctl import allocation, firewall
from branchctl import gateway_filter as branchctl_filter
from branchctl.fleet import load
from branchctl.gateway_filter import gateway_filter
from branchctl.record import Record
from branchline.app import filter_config
from branchline.app.config import load_config
from host_tests.tools.fleets import SMALL, branchctl, write

POLICY = SMALL.partition("[[policy]]")[0] + """\
[[policy]]
from = ["branches", "admins"]
to = "hubs"
allow = "any"

[[policy]]
from = "admins"
to = "lyon"
allow = ["tcp/22", "tcp/20-25", "tcp/26", "udp", "icmp"]
"""


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path, POLICY)


@pytest.mark.parametrize("a,b,there,back", [
    ("anna", "lyon", ["tcp/22", "tcp/20-25", "tcp/26", "udp", "icmp"], []),
    ("lyon", "paris", ["any"], []),
    ("dublin", "nice", [], ["any"]),
    ("lyon", "nice", [], []),
    ("192.168.11.7", "10.2.3.4", ["any"], []),
    ("10.100.0.11", "anna", [], ["tcp/22", "tcp/20-25", "tcp/26", "udp", "icmp"]),
])
def test_explain(folder, a, b, there, back):
    run = branchctl(folder, "policy", "explain", a, b, "--json")
    answer = json.loads(run.out)
    assert [[each["service"] for each in way["allowed"]] for way in answer] == [there, back]


def test_explain_names_rule_and_line(folder):
    out = branchctl(folder, "policy", "explain", "anna", "lyon").out
    line = POLICY[:POLICY.rindex("[[policy]]")].count("\n") + 1
    assert f"anna -> lyon: tcp/22 (rule 2, {folder}/fleet.toml:{line})" in out
    assert "lyon -> anna: nothing; no rule allows it" in out


@pytest.mark.parametrize("name", ["lion", "10.9.9.9"])
def test_explain_knows_only_members(folder, name):
    run = branchctl(folder, "policy", "explain", name, "lyon")
    assert run.code == 2
    assert ("did you mean lyon?" if name == "lion" else "nobody in the fleet") in run.err


def known(folder):
    fleet, report = load(folder / "fleet.toml")
    record = Record()
    allocation.allocate(fleet, record, report)
    return fleet, record, report


def chain(text, name):
    return text.partition(f"chain {name} {{\n")[2].partition("\n  }")[0].splitlines()


def test_services_become_requests_and_answers(folder):
    fleet, record, _ = known(folder)
    text = firewall.hub_rules(fleet, record, fleet.hubs["paris"], "# title")
    lines = [line.strip() for line in chain(text, "allowed")]
    second = lines[lines.index("# rule 2: admins to lyon") + 1:][:5]
    source, target = re.findall(r"@(s\d+)_4", second[0])
    there = f"ip saddr @{source}_4 ip daddr @{target}_4"
    back = f"ip saddr @{target}_4 ip daddr @{source}_4"
    assert second == [
        f"{there} meta l4proto icmp accept",
        f"{there} tcp dport {{ 20-26 }} accept",
        f"{back} tcp sport {{ 20-26 }} tcp flags & (fin | syn | rst | ack) != syn accept",
        f"{there} meta l4proto udp accept",
        f"{back} meta l4proto udp accept",
    ]
    for hook in ("forward", "input"):
        assert chain(text, hook)[-1].strip() == "counter drop"


def test_a_branch_has_only_rules_that_concern_it(folder):
    fleet, record, _ = known(folder)
    hubs = ["10.1.0.0/16", "10.2.0.0/16", *sorted(f"{record.addresses[n]}/32" for n in fleet.hubs)]
    found = gateway_filter(fleet, record, fleet.branches["lyon"])
    assert found["rules"] == [
        {"to": "hubs", "allow": ["any"]},
        {"from": "admins", "allow": ["icmp", "tcp/20-26", "udp"]},
    ]
    assert sorted(found["peers"]) == ["admins", "hubs"]
    prefixes = [ipaddress.ip_network(each) for each in found["peers"]["hubs"]]
    assert all(any(ipaddress.ip_network(hub).subnet_of(each) for each in prefixes) for hub in hubs)
    found = gateway_filter(fleet, record, fleet.branches["nice"])
    assert found["rules"] == [{"to": "hubs", "allow": ["any"]}]
    assert list(found["peers"]) == ["hubs"]


def test_a_gateway_takes_what_a_bundle_says(folder):
    """Also on boards without Linux, and without a file for nft."""
    text = (folder / "fleet.toml").read_text()
    write(folder, text.replace('address = "10.100.0.11"', 'board = "qemu_mps2"'))
    assert branchctl(folder, "provision").code == 0
    for name in ("lyon", "nice"):
        bundle = folder / "bundles" / name
        config = load_config(lambda file, at=bundle: (at / file).read_bytes())
        assert [rule[1] for rule in config.filter.rules][0] == "hubs"
        assert not (bundle / "policy.nft").exists()


def test_limits_are_the_gateways():
    for name in ("MAX_PEERS", "MAX_PREFIXES", "MAX_RULES", "MAX_SERVICES"):
        assert getattr(branchctl_filter, name) == getattr(filter_config, name)


def test_forty_branches_that_reach_each_other_take_little(tmp_path):
    lans = "\n".join(f'b{n} = {{ lans = ["192.168.{3 * n}.0/24"] }}' for n in range(1, 41))
    head = SMALL.partition("[branches]")[0]
    rule = '[[policy]]\nfrom = "branches"\nto = "branches"\nallow = ["icmp", "tcp/443"]\n'
    fleet, record, report = known(write(tmp_path, f"{head}[branches]\n{lans}\n{rule}"))
    branchctl_filter.check(fleet, record, report)
    assert not report.problems
    text = json.dumps(gateway_filter(fleet, record, fleet.branches["b7"]))
    assert len(text) < 1500


@pytest.mark.parametrize("lans,rules,word", [
    ([f"172.{net}.{n}.0/24" for net in range(16, 20) for n in range(0, 256, 2)],
     [("nice", "any")], "513 prefixes"),
    (["192.168.12.0/24"], [("nice", f"tcp/{n}") for n in range(10, 540, 2)], "265 services"),
])
def test_what_a_gateway_does_not_take_is_refused(tmp_path, lans, rules, word):
    head = SMALL.partition("[branches]")[0]
    text = f'{head}[branches]\nlyon = {{}}\nnice = {{ lans = {json.dumps(lans)} }}\n'
    text += "".join(f'[[policy]]\nfrom = "lyon"\nto = "{to}"\nallow = "{allow}"\n'
                    for to, allow in rules)
    run = branchctl(write(tmp_path, text), "provision")
    assert run.code == 2
    assert word in run.err and "lyon" in run.err
    assert not (tmp_path / "bundles").exists()
