"""The policy: what explain says of it, and the rules that it becomes."""

import json
import re

import pytest

from branchctl import allocation, firewall
from branchctl.fleet import load
from branchctl.record import Record
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


def rules(folder, kind, name):
    fleet, report = load(folder / "fleet.toml")
    record = Record()
    allocation.allocate(fleet, record, report)
    make = {"hubs": firewall.hub_rules, "branches": firewall.branch_rules}[kind]
    return make(fleet, record, getattr(fleet, kind)[name], "# title")


def chain(text, name):
    return text.partition(f"chain {name} {{\n")[2].partition("\n  }")[0].splitlines()


def test_services_become_requests_and_answers(folder):
    lines = [line.strip() for line in chain(rules(folder, "hubs", "paris"), "allowed")]
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


def test_a_branch_has_only_rules_that_concern_it(folder):
    lines = chain(rules(folder, "branches", "nice"), "allowed")
    assert [line.strip() for line in lines if "# rule" in line] == [
        "# rule 1: branches, admins to hubs"]


def test_everything_ends_in_a_drop(folder):
    for kind, name in (("hubs", "paris"), ("branches", "lyon")):
        text = rules(folder, kind, name)
        for hook in ("forward", "input"):
            assert chain(text, hook)[-1].strip() == "counter drop"
