"""A hub's agent: whatever servers, clients' names and other hubs say, nothing raises or grows."""

from hypothesis import given
from hypothesis import strategies as st

from branchline.babel.prefix import prefix_key
from branchline.hub.arrivals import MAX_DATAGRAM, Arrivals, Claim, decode, encode
from branchline.hub.choice import Choice, Rules
from branchline.hub.clients import Server
from branchline.hub.status import Status
from branchline.wire.counters import Counters
from branchline.wire.errors import ProtocolError
from branchline.wire.ip import masked, parse_prefix
from branchline.wire.ticks import ticks_add, ticks_diff
from hub_words import ROUTES, answer, client

_names = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=64)
_keys = st.one_of(
    *[st.tuples(st.binary(min_size=size, max_size=size), st.integers(0, 8 * size))
      for size in (4, 16)]
).map(lambda pair: prefix_key(masked(*pair), pair[1]))
_ages = st.integers(0, 1 << 28)
_told = st.lists(st.tuples(_names, _ages, st.lists(_keys, max_size=64)), max_size=30)
_fields = st.sampled_from(
    ["CLIENT_LIST", "ROUTING_TABLE", "HEADER", "TIME", "anna", "10.100.0.50", "fe80::1/64",
     "Common Name", "Client ID", "Virtual Address", "Real Address", "7", "-1", "", "UNDEF",
     "00:ff:12:34:56:78", "10.0.0.9C", "x" * 300]
)  # fmt: skip
_lines = st.lists(_fields, max_size=14).map("\t".join) | st.sampled_from(
    [ROUTES, client("anna", 1, "10.100.0.50"), client("bob", 2, "10.100.0.51")])


@given(_told, st.integers(0, (1 << 30) - 1))
def test_arrivals_come_back(told, now):
    told = [(name, ticks_add(now, -age), keys) for name, age, keys in told]
    out = bytearray(MAX_DATAGRAM)
    start, found = 0, []
    while start < len(told):
        n, end = encode(told, start, now, out)
        assert end > start and n <= MAX_DATAGRAM
        found += decode(out, n)
        start = end
    assert found == [(ticks_diff(now, since), name, keys) for name, since, keys in told]


@given(st.binary(max_size=80) | st.binary(max_size=80).map(lambda octets: b"BLA\x01" + octets))
def test_any_datagram(octets):
    try:
        found = decode(octets, len(octets))
    except ProtocolError:
        found = None
    arrivals = Arrivals([("dublin", b"\n\0\0\2")], 0)
    arrivals.receive_datagram(b"\n\0\0\2", octets, len(octets), 0)
    assert arrivals.counters["malformed" if found is None else "heard"] == 1
    if found is not None:
        out = bytearray(MAX_DATAGRAM)
        told = [(name, ticks_add(0, -age), keys) for age, name, keys in found]
        n, _ = encode(told, 0, 0, out)
        assert bytes(out[:n]) == octets  # there is one way to say it


@given(st.lists(_lines, max_size=40))
def test_any_list_of_clients(lines):
    counters = Counters(("malformed", "overfull"))
    status = Status(counters)
    for line in lines:
        status.take(line)
    for cid, row in status.rows.items():
        assert row.cid == cid and 0 < len(row.name) <= 64 and row.name != "UNDEF"


_words = st.sampled_from(
    [b"SUCCESS: x\r\n", b"ERROR: no\r\n", b"SUCCESS: nclients=1,bytesin=2\r\n", b"END\r\n",
     b">CLIENT:ESTABLISHED,1\r\n", b">CLIENT:ESTABLISHED,2\r\n", b">INFO:x\r\n",
     b"ENTER PASSWORD:", answer(client("anna", 1, "10.100.0.50")),
     answer(client("anna", 1, "10.100.0.50"), client("anna", 2, "10.100.0.50")), answer()]
)  # fmt: skip
_steps = st.one_of(
    _words.map(lambda octets: ("say", octets)),
    st.binary(max_size=60).map(lambda octets: ("say", octets)),
    st.sampled_from([("lose", True), ("lose", False), ("connect", None), ("choose", None)]),
    st.integers(1, 20_000).map(lambda ms: ("wait", ms)),
)


@given(st.lists(_steps, max_size=40), st.booleans())
def test_any_conversation(steps, password):
    """Timers always lie ahead or make progress, and of one name one session is announced."""
    now, is_there = 1000, False
    server = Server("udp", "tun0", b"secret" if password else None, now)
    choice = Choice(Rules([parse_prefix("10.0.0.0/8")], [], [], []))
    claims = {"anna": Claim("dublin", 5000, [], 5000)}
    for step, value in steps:
        if step == "connect" and not is_there:
            server.connected(now)
            is_there = True
        elif step == "lose" and is_there:
            server.disconnected("lost", value, now)
            is_there = False
        elif step == "say" and is_there and not server.broken:
            server.receive(value, now)
            server.sent(len(server.next_octets()))
        elif step == "choose":
            choice.update(server.sessions.values(), claims)
            assert len({session.name for session in choice.routes.values()}) <= 1
            for session, _, _ in choice.ends:
                server.end(session, now)
        elif step == "wait":
            for _ in range(200):
                due = server.next_timer()
                if due is None or due > now + value:
                    break
                server.handle_timer(max(due, now))
                server.sent(len(server.next_octets())) if is_there else None
            else:
                raise AssertionError("it does not come to rest")
            now += value
        if server.broken:
            server.disconnected(server.broken, False, now)
            is_there = False
