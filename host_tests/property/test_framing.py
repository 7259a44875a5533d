"""openvpn.framing: whatever a stream's cuts, the packets are those that were sent."""

from hypothesis import given
from hypothesis import strategies as st

from branchline.openvpn.framing import Framing
from branchline.wire.errors import ProtocolError

_CAPACITY = 64
_PACKETS = st.lists(st.binary(min_size=1, max_size=_CAPACITY), max_size=20)


class _Stream:
    """Gives and takes what the plan says, one number of octets each call; 0 is "not now"."""

    def __init__(self, data, plan):
        self.data = data
        self.plan = plan
        self.out = b""

    def _step(self, n):
        return min(n, self.plan.pop(0)) if self.plan else n

    def readinto(self, view, n, start=0):
        n = min(self._step(n), len(self.data))
        view[start : start + n] = self.data[:n]
        self.data = self.data[n:]
        return n or None

    def write(self, view, n, start=0):
        n = self._step(n)
        self.out += bytes(view[start : start + n])
        return n or None


def _drain(framing, stream):
    view = memoryview(bytearray(_CAPACITY + 2))
    found = []
    while stream.data or stream.plan:
        n = framing.readinto(view)
        if n is not None:
            found.append(bytes(view[:n]))
    return found


@given(_PACKETS, st.lists(st.integers(0, 70), max_size=60))
def test_reading(packets, plan):
    stream = _Stream(b"".join(len(p).to_bytes(2, "big") + p for p in packets), plan)
    assert _drain(Framing(stream, _CAPACITY), stream) == packets


@given(_PACKETS, st.lists(st.integers(0, 70), max_size=60))
def test_writing(packets, plan):
    stream = _Stream(b"", plan)
    framing = Framing(stream, _CAPACITY)
    taken = b""
    for packet in packets:
        view = memoryview(bytearray(2) + packet)
        if framing.write(view, len(packet)) is not None:
            taken += len(packet).to_bytes(2, "big") + packet
        framing.flush()
    while not framing.flush():
        pass
    assert stream.out == taken


@given(st.binary(max_size=600), st.lists(st.integers(0, 70), max_size=60))
def test_arbitrary_octets(octets, plan):
    stream = _Stream(octets, plan)
    try:
        found = _drain(Framing(stream, _CAPACITY), stream)
    except ProtocolError:
        return
    assert all(0 < len(packet) <= _CAPACITY for packet in found)
