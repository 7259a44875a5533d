"""The policy in the kernel: when it is loaded, what is refused, and what is left as it is."""

from branchline.app.firewall import Firewall
from branchline.app.settings import Tunnel
from branchline.filter.prefixes import pack
from branchline.filter.table import Table
from branchline.hal.clock import ticks
from branchline.hal.linux.child import run
from branchline.wire.errors import ConfigError
from branchline.wire.ip import parse_prefix
from support import raises, unhex


def _table():
    peers = {
        "hubs": pack([parse_prefix("10.1.0.0/16"), parse_prefix("fd00:1::/64")]),
        "nice": pack([parse_prefix("192.168.12.0/24")]),
    }
    rules = [
        (True, "hubs", unhex("000000ffff 110035 0035")),
        (False, "nice", unhex("010000ffff 0600500050 0613881392 060000ffff")),
    ]
    return Table(pack([parse_prefix("192.168.11.0/24")]), peers, rules)


class _Kernel:
    def __init__(self, system):
        self._system = system

    def owner(self):
        return self._system.table

    def dropped(self):
        return (3, 4) if self._system.table == "ours" else None

    def sweep(self):
        self._system.table = None


class _System:
    """A kernel and an nft that do what the test says."""

    def __init__(self, table=None, answer=(0, [])):
        self.table = table
        self.answer = answer
        self.text = None
        self.logged = []

    def log(self, *entry):
        self.logged.append(entry)

    def ask(self, question):
        return question(_Kernel(self))

    def run(self, argv, standard_input):
        assert argv == ("nft", "-f", "-")
        if isinstance(self.answer, OSError):
            raise self.answer
        self.text = standard_input.decode()
        if not self.answer[0]:
            self.table = "ours"
        return self.answer


def _firewall(system, device="bl-paris"):
    return Firewall(_table(), [Tunnel("paris", "paris.ovpn", device)], system, system.log)


def test_the_rules_in_the_words_of_nft():
    system = _System()
    _firewall(system).load(0)
    lines = [line.strip() for line in system.text.split("\n")]
    assert lines[:3] == [
        "table inet branchline", "delete table inet branchline", "table inet branchline {"]
    start = lines.index("chain allowed {") + 1
    hubs, hubs_back = [
        "ip saddr @%s_4 ip daddr @%s_4" % ends for ends in (("own", "to_hubs"), ("to_hubs", "own"))
    ]
    nice, nice_back = [
        "ip saddr @%s_4 ip daddr @%s_4" % ends for ends in (("to_nice", "own"), ("own", "to_nice"))
    ]
    goes_on = " tcp flags & (fin | syn | rst | ack) != syn accept"
    assert lines[start : lines.index("}", start)] == [
        hubs + " accept",
        hubs_back + goes_on,
        hubs + " udp dport 53 accept",
        hubs_back + " udp sport 53 accept",
        nice + " meta l4proto icmp accept",
        nice + " tcp dport 80 accept",
        nice_back + " tcp sport 80" + goes_on,
        nice + " tcp dport 5000-5010 accept",
        nice_back + " tcp sport 5000-5010" + goes_on,
        nice + " meta l4proto tcp accept",
        nice_back + " meta l4proto tcp" + goes_on,
    ]
    assert "set to_hubs_6 { type ipv6_addr; flags interval; elements = { fd00:1::/64 }; }" in lines
    assert "set to_nice_6 { type ipv6_addr; flags interval; }" in lines
    assert 'iifname != { "bl-paris" } oifname != { "bl-paris" } accept' in lines


def test_an_earlier_runs_table_is_replaced_and_ours_is_removed():
    for before in (None, "ours"):
        system = _System(before)
        firewall = _firewall(system)
        assert firewall.status() == {"state": "missing"} and firewall.next_timer() is None
        firewall.load(0)
        assert firewall.status() == {"state": "loaded", "spoofed": 3, "denied": 4}
        firewall.unload()
        assert system.table is None
        system.table = "ours"
        firewall.unload()
        assert system.table, "it is somebody else's by now"


def test_what_fails_leaves_the_kernel_as_it_is():
    missing = OSError(2, "nft: No such file or directory")
    late = OSError(110, "nft: Connection timed out")
    complaint = [b"/dev/stdin:5:1: Error: no such\x1b[31m thing", b"^^^"]
    for name, before, answer, words in (
        ("no nft", None, missing, ("nft is missing", "install nftables")),
        ("nft hangs", "ours", late, ("timed out",)),
        ("nft refuses", "ours", (1, complaint), ("Error: no such?[31m thing", "CAP_NET_ADMIN")),
        ("a hub's table", "theirs", (0, []), ("not a gateway's", "nft delete table")),
    ):
        system = _System(before, answer)
        firewall = _firewall(system)
        error = raises(OSError, firewall.load, 0)
        for word in words:
            assert word in str(error.args[-1]), (name, error.args)
        firewall.unload()
        assert system.table == before, name


def test_a_table_that_goes_away_is_loaded_again():
    system = _System()
    firewall = _firewall(system)
    firewall.load(100)
    firewall.handle_timer(firewall.next_timer() - 1)
    system.table = None
    firewall.handle_timer(firewall.next_timer() - 1)
    assert system.table is None, "not looked at yet"
    due = firewall.next_timer()
    firewall.handle_timer(due)
    assert system.table == "ours" and len(system.logged) == 1
    assert firewall.next_timer() > due
    system.table, system.answer = None, (1, [b"Error: x"])
    raises(OSError, firewall.handle_timer, firewall.next_timer())


def test_another_table_takes_its_place_while_tunnels_go_on():
    system = _System()
    firewall = _firewall(system)
    firewall.load(0)
    fresh = _table()
    fresh.rules = fresh.rules[:1]
    tunnels = [Tunnel("paris", "paris.ovpn", "bl-other"), Tunnel("a", "a.ovpn", "bl-paris")]
    firewall.reload(fresh, tunnels, 5)
    # A tunnel keeps its former device for a while.
    assert 'iifname { "bl-paris", "bl-other" }' in system.text and "@to_nice" not in system.text
    before = system.text
    firewall.reload(fresh, tunnels, 6)
    assert system.text is before, "nothing has changed"
    system.answer = (1, [b"Error: x"])
    raises(OSError, firewall.reload, _table(), tunnels, 7)
    system.answer, system.table = (0, []), None
    firewall.handle_timer(firewall.next_timer())
    assert system.text == before, "what was refused is not loaded later"
    system.text = None
    firewall.reload(None, tunnels[1:], 8)
    assert system.text is None, "a filter goes away by a restart alone"
    raises(ConfigError, firewall.reload, fresh, [Tunnel("paris", "paris.ovpn", None)], 9)


def test_each_tunnel_needs_its_device():
    error = raises(ConfigError, _firewall, _System(), None)
    assert error.where == "gateway.json: tunnels[0].device"


def test_a_program_is_run_to_its_end():
    assert run(ticks, ("sh", "-c", "cat; exit 3"), b"text\n", 10_000) == (3, [b"text"])
    assert raises(OSError, run, ticks, ("no-such-program",), b"", 1000).args[0] == 2
    assert raises(OSError, run, ticks, ("sleep", "60"), b"", 100).args[0] == 110
