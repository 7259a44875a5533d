"""Whatever happens to a session, in whatever state, nothing escapes from it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from branchline.openvpn import opcodes
from branchline.openvpn import session as ovpn
from branchline.openvpn.reliable import Reliable
from branchline.wire.ticks import PERIOD
from openvpn_link import PUSH, STATIC_KEY, Faults, Link

_WRAPS = (
    {},
    {"tls_wrap": "auth", "tls_key": STATIC_KEY, "key_direction": 1},
    {"tls_wrap": "crypt", "tls_key": STATIC_KEY},
)
_OPCODES = st.integers(0, 31)
_KEY_IDS = st.integers(0, 7)

# What the server may say that the session understands, or nearly.
words = st.sampled_from(
    (b"PUSH_REPLY", b"AUTH_PENDING", b"AUTH_FAILED", b"RESTART", b"INFO", b"INFO_PRE", b"CR_TEXT")
)
messages = st.one_of(
    st.binary(max_size=80),
    st.builds(lambda word, rest: word + b"," + rest, words, st.binary(max_size=40)),
    st.sampled_from(
        (
            PUSH,
            PUSH + b",push-continuation 2",
            b"PUSH_REPLY,cipher \xff",
            b"PUSH_REPLY,ifconfig 1 2",
            b"AUTH_PENDING,timeout 0",
            b"INFO,\xff\0\1",
        )
    ),
).map(lambda text: text.replace(b"\0", b""))

events = st.one_of(
    st.tuples(st.just("noise"), st.binary(max_size=300)),
    st.tuples(st.just("headed"), _OPCODES, _KEY_IDS, st.binary(max_size=200)),
    st.tuples(st.just("forged"), _OPCODES, _KEY_IDS, st.binary(max_size=120), st.booleans()),
    st.tuples(st.just("length"), st.integers(0, 1800)),
    st.tuples(st.just("data"), st.binary(min_size=1, max_size=64)),
    st.tuples(st.just("send"), st.binary(min_size=1, max_size=64)),
    st.tuples(st.just("say"), messages),
    st.tuples(st.just("rekey")),
    st.tuples(st.just("run"), st.integers(0, 200)),
    st.tuples(st.just("run"), st.integers(0, 40_000)),
    st.tuples(st.just("stop")),
    st.tuples(st.just("close")),
)


def _play(link, event):
    kind, *args = event
    server = link.server
    if kind == "noise":
        link.inject(args[0])
    elif kind == "headed":
        link.inject(bytes([args[0] << 3 | args[1]]) + args[2])
    elif kind == "forged":
        opcode, key_id, body, known = args
        session_id = None if known else bytes(8)
        link.inject(server.forge(opcode, body, session_id, key_id))
    elif kind == "length":
        link.inject(bytes([opcodes.DATA_V2 << 3]) + bytes(args[0]))
    elif kind == "data" and server.data:
        link.send_down(args[0])
    elif kind == "send":
        link.send(args[0])
    elif kind == "say" and server.data:
        server.say(args[0], link.now())
    elif kind == "rekey" and server.data:
        server.rekey(link.now())
    elif kind == "run":
        link.run(args[0])
    elif kind == "stop":
        link.session.stop()
        link.session.needs_drain = True
    elif kind == "close":
        link.session.close()


@settings(max_examples=150)
@given(
    st.sampled_from(_WRAPS),
    st.sampled_from((0, PERIOD - 50, PERIOD - 20_000)),
    st.integers(0, 1000),
    st.sampled_from((0, 25)),
    st.lists(events, max_size=30),
)
def test_nothing_that_happens_raises(wrap, start, seed, loss, happenings):
    push = (PUSH + b",ping 3,ping-restart 30",)
    link = Link(Faults(seed, loss), start=start, push=push, reneg_sec=20, **wrap)
    for event in happenings:
        _play(link, event)
    link.run(200)
    kinds = link.kinds()
    # One end at most, and nothing after it.
    assert ovpn.DOWN not in kinds[:-1]


@settings(max_examples=50)
@given(st.sampled_from(_WRAPS[1:]), st.integers(0, 1000), st.lists(events, max_size=20))
def test_who_has_no_key_does_not_disturb_the_tunnel(wrap, seed, happenings):
    link = Link(Faults(seed, 10), **wrap)
    for event in happenings:
        if event[0] in ("noise", "headed", "length", "run"):
            _play(link, event if event[0] != "run" else ("run", event[1] % 200))
    link.come_up()
    link.send(b"E up")
    link.send_down(b"E down")
    assert link.down() is None


@given(st.integers(0, 2**32), st.integers(0, 60), st.lists(st.binary(max_size=9), max_size=40))
def test_reliable_delivers_all_in_order(seed, loss, payloads):
    """Two ends over a line that loses, doubles and reorders."""
    faults = Faults(seed % 1000, loss=loss, double=20, delay=60)
    ends = (Reliable(100), Reliable(100))
    out = ([], [])
    queued = [list(payloads), list(reversed(payloads))]
    flying = []
    now = PERIOD - 1000
    for ms in range(0, 2_000_000, 10):
        now = (PERIOD - 1000 + ms) % PERIOD
        for side, end in enumerate(ends):
            while queued[side] and end.can_send():
                end.send(opcodes.CONTROL_V1, queued[side].pop(0), now)
            while (due := end.next_due(now)) or end.acks_pending():
                _, message_id, payload = due or (opcodes.ACK_V1, None, b"")
                packet = (1 - side, end.take_acks(), message_id, payload)
                flying += [(ms + wait, packet) for wait, packet in faults.deliveries(packet)]
        arrived = [packet for due, packet in flying if due <= ms]
        flying = [(due, packet) for due, packet in flying if due > ms]
        for side, acks, message_id, payload in arrived:
            for ack in acks:
                ends[side].acknowledged(ack)
            if message_id is not None:
                ends[side].received(message_id, payload)
            while (message := ends[side].next_in_order()) is not None:
                out[side].append(message)
        if not (queued[0] or queued[1]) and ends[0].idle() and ends[1].idle():
            break
    assert out == (list(reversed(payloads)), list(payloads))
