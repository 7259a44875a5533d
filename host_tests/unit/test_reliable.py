"""The reliability layer and the packet body of the control channel."""

from branchline.openvpn import opcodes
from branchline.openvpn.packet import MAX_BODY_HEADER, build_body, parse_body
from branchline.openvpn.reliable import Reliable
from branchline.wire.errors import ProtocolError, StateError
from branchline.wire.ticks import PERIOD, ticks_add
from support import raises

_SESSION = b"sessions"


# ---- sending ----


def test_the_send_window_has_four_messages():
    reliable = Reliable(500)
    for i in range(4):
        assert reliable.can_send()
        reliable.send(opcodes.CONTROL_V1, bytes([i]), 0)
    assert not reliable.can_send() and not reliable.idle()
    raises(StateError, reliable.send, opcodes.CONTROL_V1, b"", 0)
    sent = [reliable.next_due(0) for _ in range(5)]
    assert sent == [(opcodes.CONTROL_V1, i, bytes([i])) for i in range(4)] + [None]
    # Any acknowledgement makes room; ids go on, and unknown ones do not matter.
    for ack in (2, 2, 77, 0xFFFFFFFF):
        reliable.acknowledged(ack)
    assert reliable.can_send()
    reliable.send(opcodes.CONTROL_V1, b"e", 0)
    assert reliable.next_due(0) == (opcodes.CONTROL_V1, 4, b"e") and not reliable.can_send()
    for ack in (0, 1, 3, 4):
        reliable.acknowledged(ack)
    assert reliable.idle() and reliable.next_timer() is None and reliable.next_due(0) is None


def test_timeouts_double_up_to_eight_seconds():
    for start in (0, PERIOD - 700):
        reliable = Reliable(500)
        reliable.send(opcodes.CONTROL_V1, b"x", start)
        now = start
        assert reliable.next_timer() == start
        for timeout in (500, 1000, 2000, 4000, 4000, 4000, 4000):
            assert reliable.next_due(now) == (opcodes.CONTROL_V1, 0, b"x")
            assert reliable.next_due(now) is None
            due = ticks_add(now, timeout)
            assert reliable.next_timer() == due
            assert reliable.next_due(ticks_add(due, -1)) is None
            now = due
        assert reliable.retransmissions == 6


def test_the_earliest_message_is_the_timer():
    reliable = Reliable(500)
    reliable.send(opcodes.CONTROL_V1, b"a", PERIOD - 100)
    reliable.next_due(PERIOD - 100)
    reliable.send(opcodes.CONTROL_V1, b"b", 200)
    assert reliable.next_timer() == 200
    reliable.next_due(200)
    assert reliable.next_timer() == 400
    reliable.acknowledged(0)
    assert reliable.next_timer() == 700


# ---- receiving ----


def _drain(reliable):
    out = b""
    while (payload := reliable.next_in_order()) is not None:
        out += payload
    return out


def test_messages_come_out_in_order():
    reliable = Reliable(500)
    for message_id, payload, out in (
        (1, b"b", b""),
        (3, b"d", b""),
        (0, b"a", b"ab"),
        (2, b"c", b"cd"),
        (5, b"", b""),
        (4, b"e", b"e"),
        (6, b"g", b"g"),
    ):
        assert reliable.received(message_id, payload)
        assert _drain(reliable) == out


def test_duplicates_are_acknowledged_again_but_not_delivered():
    reliable = Reliable(500)
    for message_id, new in ((0, True), (0, False), (2, True), (2, False)):
        assert reliable.received(message_id, b"x") == new
        assert reliable.acks_pending() and message_id in reliable.take_acks()
        assert not reliable.acks_pending()
    assert _drain(reliable) == b"x"
    assert not reliable.received(0, b"x") and reliable.take_acks()[0] == 0


def test_the_receive_window_has_eight_messages():
    reliable = Reliable(500)
    for message_id in (8, 9, 1000, 0xFFFFFFFF):
        assert not reliable.received(message_id, b"x") and not reliable.acks_pending()
    assert reliable.received(7, b"h")
    for message_id in range(7):
        assert reliable.received(message_id, b"x")
    assert _drain(reliable) == b"xxxxxxxh"
    assert reliable.received(15, b"x") and not reliable.received(16, b"x")


def test_acknowledgements_ride_four_at_a_time_new_ones_first():
    reliable = Reliable(500)
    for message_id in range(6):
        reliable.received(message_id, b"")
    assert reliable.take_acks() == [0, 1, 2, 3] and reliable.acks_pending()
    assert reliable.take_acks() == [4, 5, 0, 1] and not reliable.acks_pending()
    # Recent ones are repeated, for a server that keeps no state.
    assert reliable.take_acks() == [4, 5, 0, 1]
    reliable.received(6, b"")
    assert reliable.take_acks() == [6, 4, 5, 0]
    reliable.received(0, b"")
    assert reliable.take_acks() == [0, 6, 4, 5]


def test_a_flood_of_duplicates_is_bounded():
    reliable = Reliable(500)
    for message_id in range(100):
        reliable.received(message_id, b"x")
        _drain(reliable)
    taken = []
    while reliable.acks_pending():
        taken += reliable.take_acks()
    assert len(taken) == 8


# ---- packet bodies ----

_BODIES = (
    (opcodes.CONTROL_V1, [], 7, b"payload"),
    (opcodes.CONTROL_V1, [1, 2, 3, 0xFFFFFFFF], 0x80000000, b""),
    (opcodes.ACK_V1, [9], None, b""),
    (opcodes.ACK_V1, list(range(8)), None, b""),
    (opcodes.SOFT_RESET_V1, [], 0, b""),
)


def test_bodies_go_there_and_back():
    for opcode, acks, message_id, payload in _BODIES:
        body = build_body(acks, _SESSION, message_id, payload)
        session = _SESSION if acks else None
        assert parse_body(opcode, bytes(body)) == (acks, session, message_id, payload)
    assert len(build_body([1, 2, 3, 4], _SESSION, 0, b"")) == MAX_BODY_HEADER
    assert build_body([2], _SESSION, 3, b"x") == b"\1\0\0\0\2sessions\0\0\0\3x"


def test_bodies_cut_short_at_every_octet():
    for opcode, acks, message_id, payload in _BODIES:
        body = bytes(build_body(acks, _SESSION, message_id, payload))
        for n in range(len(body) - len(payload)):
            raises(ProtocolError, parse_body, opcode, body[:n])


def test_more_than_eight_acknowledgements():
    for count in (9, 255):
        body = bytes([count]) + bytes(4 * 255 + 12)
        raises(ProtocolError, parse_body, opcodes.CONTROL_V1, body)
