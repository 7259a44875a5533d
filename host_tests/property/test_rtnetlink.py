"""hal.linux.rtnetlink: any route survives being written and read; any octets are bearable."""

from hypothesis import given
from hypothesis import strategies as st

from branchline.hal.linux import rtnetlink as rt
from branchline.wire.errors import ProtocolError

_FOUR = st.binary(min_size=4, max_size=4)
_SIXTEEN = st.binary(min_size=16, max_size=16)
_U32 = st.integers(0, 0xFFFFFFFF)


@st.composite
def _routes(draw):
    address = draw(st.sampled_from((_FOUR, _SIXTEEN)))
    plen = draw(st.integers(0, 8 * len(draw(address))))
    dst = draw(address)
    if not plen:
        dst = bytes(len(dst))
    via = st.none() | (address if len(dst) == 16 else _FOUR | _SIXTEEN)
    return rt.make_route(
        dst, plen, via=draw(via), dev=draw(_U32), metric=draw(_U32),
        source=draw(st.none() | address), kind=draw(st.sampled_from((rt.UNICAST, rt.UNREACHABLE))),
        onlink=draw(st.booleans()), table=draw(st.integers(1, 0xFFFFFFFF)),
        protocol=draw(st.integers(0, 255)),
    )


@given(_routes())
def test_routes_survive(route):
    message = rt.request(rt.NEWROUTE, 0, 1, rt.route_body(route))
    ((_, _, _, start, end),) = rt.messages(message, len(message))
    assert rt.read_route(message, start, end) == route
    assert rt.route_text(route)


@given(st.binary(max_size=200))
def test_arbitrary_octets_are_read_or_refused(octets):
    for read in (
        lambda: [rt.attributes(octets, m[3], m[4]) for m in rt.messages(octets, len(octets))],
        lambda: rt.attributes(octets, 0, len(octets)),
        lambda: rt.read_error(octets, 0x200, 0, len(octets)),
        lambda: rt.read_link(octets, 0, len(octets)),
        lambda: rt.read_link_state(octets, 0, len(octets)),
        lambda: rt.read_address(octets, 0, len(octets)),
        lambda: rt.read_route(octets, 0, len(octets)),
    ):
        try:
            read()
        except ProtocolError:
            pass


@given(st.lists(st.tuples(st.integers(1, 0x3FFF), st.binary(max_size=40)), max_size=8))
def test_attributes_survive(pairs):
    octets = b"".join(rt.attribute(kind, value) for kind, value in pairs)
    assert rt.attributes(octets, 0, len(octets)) == dict(pairs)
