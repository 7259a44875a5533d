"""openvpn.management and the engine `openvpn`: whatever the process says, nothing raises."""

from hypothesis import given
from hypothesis import strategies as st
from test_process import _ENTRIES, _ENV, Rig

from branchline.openvpn.management import Management
from branchline.tunnel.engine import DOWN, FATAL, NOTE
from branchline.tunnel.stock_profile import StockProfile

_WORDS = st.sampled_from([
    *(">" + word + ":" for word in (
        "HOLD", "REMOTE", "STATE", "LOG", "BYTECOUNT", "UPDOWN", "PASSWORD", "FATAL", "NEED-OK",
        "INFO", "ECHO", "CLIENT", "WHAT")),
    "SUCCESS:", "ERROR:", "END", "", "ENV,", "1,", "RECONNECTING,", "EXITING,", "CONNECTED,",
    "SUCCESS,", "tls-error", "hub,1194,udp", "far,1195,udp", "Need 'Auth'", "Verification Failed:",
    "UP", "DOWN", "['", "']", *_ENTRIES, *_ENV,
])
_LINES = st.lists(_WORDS, max_size=4).map("".join)
_STEPS = st.one_of(
    _LINES.map(lambda line: ("say", line.encode() + b"\r\n")),
    st.binary(max_size=60).map(lambda octets: ("say", octets)),
    st.sampled_from([("connect", 0), ("connect", 2), ("disconnect", 0), ("close", 0), ("open", 0),
                     ("boot", 0), ("exit", 1), ("exit", -9), ("up", 0)]),
    st.integers(1, 7000).map(lambda ms: ("run", ms)),
)


@given(st.lists(st.binary(max_size=3000), max_size=8), st.booleans())
def test_arbitrary_octets(parts, lines):
    management = Management()
    management.command("status 3", 0, lines)
    for part in parts:
        management.receive(part)
        while management.next_event():
            pass
    if management.broken is None:
        management.handle_timer(5000)
    assert management.broken or management.is_quiet()


@given(st.lists(_STEPS, max_size=30))
def test_any_conversation(steps):
    """Every attempt has one end, and after a close nothing is left."""
    rig = Rig()
    rig.ready()
    attempts = 0
    for name, value in steps:
        now = rig.system.now
        state = rig.engine.status()["state"]
        if name == "say" and rig.stream.open:
            rig.stream.waiting += value
            rig.wake()
        elif name == "connect" and state == "waiting":
            rig.engine.connect(value, bytes(4), now)
            attempts += 1
        elif name in ("disconnect", "close"):
            getattr(rig.engine, name)(now)
        elif name == "open" and state == "stopped":
            rig.engine.open(now)
        elif name == "boot" and rig.system.listeners[-1] in rig.system.poller.callbacks:
            rig.boot()
        elif name == "up" and rig.stream in rig.system.poller.callbacks:
            rig.come_up()
        elif name == "exit" and rig.child.status is None and not rig.child.told:
            rig.exit(value)
        elif name == "run":
            rig.run(value)
        for child in rig.system.children[:-1]:
            child.status = 0 if child.status is None else child.status
        rig.drain()
    ends = [event for event in rig.events if event[0] in (DOWN, FATAL)]
    rig.engine.close(rig.system.now)
    assert rig.system.settled() and rig.engine.next_timer() is None
    assert rig.engine.status()["attempts"] == attempts
    assert all(kind != NOTE for kind, _ in rig.events) and len(ends) <= attempts + len(steps)


@given(st.binary(max_size=400) | st.lists(st.sampled_from(
    [b"<ca>", b"</ca>", b"<connection>", b"verb 3", b"connect-retry x y", b"dev", b"dev-type \xff",
     b"--", b"<", b"\xef\xbb\xbf"]), max_size=12).map(b"\n".join))
def test_arbitrary_profiles(text):
    stock = StockProfile(text)
    assert stock.config.count(b"\n") == text.count(b"\n")
