"""The data-channel keys of a session."""

from branchline.openvpn.keyring import KeyRing


class Data:
    """A key that only counts."""

    def __init__(self, key_id):
        self.first_octet = 0x48 | key_id
        self.tx_packets = self.rx_packets = self.tx_octets = self.rx_octets = 0
        self.closed = False
        self.authentic = True

    def seal(self, slot, n):
        self.tx_packets += 1
        self.tx_octets += n
        return n + 24

    def open(self, slot, n):
        assert not self.closed
        if not self.authentic:
            return 0
        self.rx_packets += 1
        self.rx_octets += n - 24
        return n - 24

    def close(self):
        assert not self.closed
        self.closed = True


def _open(ring, data, n=124):
    return ring.open(None, n, data.first_octet)


def _ring(*keys, **settings):
    ring = KeyRing(settings.get("transition", 60))
    for key in keys:
        ring.add(key)
    return ring


def test_no_key():
    ring = KeyRing(60)
    assert ring.seal(None, 100) == 0 and ring.open(None, 100, 0x48) == -1
    assert ring.totals() == [0, 0, 0, 0]
    ring.tick(1)
    ring.close()


def test_the_first_key_is_used_at_once():
    key = Data(0)
    ring = _ring(key)
    assert ring.seal(None, 100) == 124 and _open(ring, key) == 100
    for octet in (0x49, 0x30, 0x4F, 0):
        assert ring.open(None, 124, octet) == -1


def test_the_next_key_seals_after_the_peers_first_packet_under_it():
    old, new = Data(0), Data(1)
    ring = _ring(old, new)
    ring.seal(None, 1)
    # A forged packet proves nothing.
    new.authentic = False
    assert _open(ring, new) == 0 and ring.current is old
    ring.seal(None, 1)
    new.authentic = True
    assert _open(ring, new) == 100 and ring.current is new and ring.old is old
    ring.seal(None, 1)
    assert (old.tx_packets, new.tx_packets) == (2, 1)
    # The old key goes on opening.
    assert _open(ring, old) == 100 and _open(ring, new) == 100 and ring.current is new


def test_the_next_key_seals_after_thirty_seconds():
    old, new = Data(0), Data(1)
    ring = _ring(old, new)
    ring.tick(29)
    assert ring.current is old
    ring.tick(1)
    assert ring.current is new and ring.next is None
    ring.seal(None, 1)
    assert new.tx_packets == 1 and _open(ring, old) == 100


def test_the_next_key_seals_when_another_negotiation_begins():
    old, new = Data(0), Data(1)
    ring = _ring(old, new)
    ring.use_next()
    assert (ring.old, ring.current, ring.next) == (old, new, None)
    ring.use_next()
    assert ring.current is new


def test_the_old_key_ends_with_the_transition_window():
    old, new = Data(0), Data(1)
    ring = _ring(old, new, transition=60)
    _open(ring, new)
    for _ in range(59):
        ring.tick(1)
    assert _open(ring, old) == 100 and not old.closed
    ring.tick(1)
    assert old.closed and ring.old is None
    assert _open(ring, old) == -1 and _open(ring, new) == 100


def test_a_key_for_which_there_is_no_room():
    keys = [Data(i) for i in range(4)]
    ring = _ring(*keys)
    # Each further key makes the one before it current, and ends the oldest.
    assert [key.closed for key in keys] == [True, False, False, False]
    assert (ring.old, ring.current, ring.next) == (keys[1], keys[2], keys[3])
    assert [_open(ring, key) for key in keys] == [-1, 100, 100, 100]


def test_key_ids_are_used_again():
    keys = [Data(i) for i in (0, 1, 2, 3, 4, 5, 6, 7, 1, 2)]
    ring = KeyRing(60)
    for i, key in enumerate(keys):
        ring.add(key)
        assert _open(ring, key) == 100 and ring.current is key
        ring.seal(None, 10)
        assert key.tx_packets == 1
        assert [k.closed for k in keys[: i + 1]] == [j < i - 1 for j in range(i + 1)]
    assert ring.totals() == [10, 10, 100, 1000]


def test_totals_outlive_the_keys():
    old, new = Data(0), Data(1)
    ring = _ring(old)
    ring.seal(None, 7)
    ring.add(new)
    assert ring.totals() == [1, 0, 7, 0]
    _open(ring, new)
    ring.tick(100)
    assert old.closed and ring.totals() == [1, 1, 7, 100]
    ring.close()
    assert new.closed and ring.totals() == [1, 1, 7, 100]
    assert ring.seal(None, 1) == 0 and _open(ring, new) == -1
    ring.close()
    assert ring.totals() == [1, 1, 7, 100]
