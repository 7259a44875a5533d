"""Packet ids: numbering, the replay window and its long form."""

from array import array

from branchline.openvpn.packet_id import (
    LongReplayWindow,
    is_replay,
    last_id,
    nearly_used_up,
    new_sender,
    new_window,
    octets,
    packets_received,
    record,
    stamp,
)


def _receive(window, number):
    """Whether a packet of that id is taken."""
    wire = number.to_bytes(4, "big")
    nonce = bytearray(4)
    if is_replay(window, wire, 0, nonce):
        return False
    assert nonce == wire
    record(window, wire, 0, 10)
    return True


# (rule, [(id, taken)...]) with a window of 64
_SEQUENCES = (
    ("in order", [(1, True), (2, True), (3, True)]),
    ("0 is no id", [(0, False), (1, True), (0, False)]),
    ("a repetition", [(1, True), (1, False), (2, True), (1, False), (2, False)]),
    ("reordered", [(5, True), (3, True), (4, True), (3, False), (1, True), (2, True)]),
    ("63 behind", [(164, True), (101, True), (101, False)]),
    ("64 behind", [(164, True), (100, False)]),
    ("not delivered yet, after a step", [(10, True), (74, True), (11, True), (10, False)]),
    ("a jump forgets the bitmap", [(1, True), (66, True), (130, True), (67, True)]),
    ("a jump of the window", [(7, True), (71, True), (8, True), (7, False)]),
    ("a far jump", [(7, True), (1 << 20, True), ((1 << 20) - 63, True), (7, False)]),
    ("over 2^16", [(65535, True), (65537, True), (65536, True), (65535, False), (65537, False)]),
    ("over 2^31", [(0x7FFFFFFF, True), (0x80000001, True), (0x80000000, True),
                   (0x80000000, False)]),
    ("over all halves", [(1, True), (0xFFFFFFFF, True), (1, False), (0xFFFFFFC0, True),
                         (0xFFFFFFBF, False), (0xFFFFFFFE, True), (0xFFFFFFFF, False)]),
)  # fmt: skip


def test_replay_window():
    for rule, sequence in _SEQUENCES:
        window = new_window()
        for number, taken in sequence:
            assert _receive(window, number) is taken, (rule, number)
        taken = [number for number, good in sequence if good]
        assert last_id(window) == max(taken), rule
        assert (packets_received(window), octets(window)) == (len(taken), 10 * len(taken)), rule


def test_window_size_is_rounded_up_and_bounded():
    for size, real in ((0, 64), (64, 64), (65, 128), (1000, 1024), (1 << 20, 65536)):
        window = new_window(size)
        assert _receive(window, 200000)
        assert _receive(window, 200001 - real), size
        assert not _receive(window, 200000 - real), size


def test_checking_alone_moves_nothing():
    window = new_window()
    _receive(window, 5)
    before = array("I", window)
    for number in (1, 5, 6, 70000, 0xFFFFFFFF):
        is_replay(window, number.to_bytes(4, "big"), 0, bytearray(4))
        assert window == before


def _sender(last):
    """A sender whose last id was `last`, made with the window's own functions."""
    state = new_window()
    record(state, last.to_bytes(4, "big"), 0, 0)
    return state


_HEADER = bytes([4, 4]) + b"\x48\x00\x00\x05"


def test_stamp_writes_header_and_id():
    for last, number in ((0, 1), (255, 256), (0xFFFF, 0x10000), (0xFFFFFFFE, 0xFFFFFFFF)):
        wire, nonce = bytearray(10), bytearray(12)
        state = _sender(last) if last else new_sender()
        assert stamp(state, _HEADER, wire, nonce, 7) == 1
        assert wire == b"\x48\x00\x00\x05" + number.to_bytes(4, "big") + b"\0\0"
        assert nonce == number.to_bytes(4, "big") + bytes(8)
        assert (last_id(state), octets(state)) == (number, 7)


def test_ids_never_wrap():
    state = _sender(0xFFFFFFFF)
    wire = bytearray(10)
    for _ in range(2):
        assert stamp(state, _HEADER, wire, bytearray(12), 7) == 0
    assert wire == bytes(10)
    assert (last_id(state), octets(state)) == (0xFFFFFFFF, 0)


def test_a_new_key_is_wanted_well_before_the_last_id():
    for last, wanted in ((1, False), (0xFEFFFFFF, False), (0xFF000000, True), (0xFFFFFFFF, True)):
        assert nearly_used_up(_sender(last)) is wanted, last


def test_octets_are_counted_beyond_30_bits():
    state = new_window()
    for _ in range(5):
        stamp(state, _HEADER, bytearray(10), bytearray(12), (1 << 30) - 1)
    assert octets(state) == 5 * ((1 << 30) - 1)
    record(state, b"\0\0\0\1", 0, 1 << 29)
    assert octets(state) == 5 * ((1 << 30) - 1) + (1 << 29)


def test_long_form_begins_anew_with_a_later_start_time():
    window = LongReplayWindow()
    for number, seconds, taken in (
        (0, 1000, False),
        (1, 1000, True),
        (1, 1000, False),
        (5, 1000, True),
        (2, 1000, True),
        (6, 999, False),
        (1, 1001, True),
        (6, 1000, False),
        (2, 1001, True),
        (0xFFFFFFFF, 0xFFFFFFFF, True),
    ):
        assert window.accept(number, seconds) is taken, (number, seconds)
