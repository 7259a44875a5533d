"""wire.dns against arbitrary octets, and against answers that are right."""

from hypothesis import example, given
from hypothesis import strategies as st

from branchline.wire import dns
from branchline.wire.errors import ProtocolError

_LABEL = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=20)
_NAME = st.lists(_LABEL, min_size=1, max_size=6).map(".".join)
_KIND = st.sampled_from((dns.A, dns.AAAA))


def _query(ident, name, kind):
    out = bytearray(512)
    return bytes(out[: dns.write_query(out, ident, name, kind)])


def _answer_or_refusal(octets, name, kind):
    try:
        rcode, truncated, addresses = dns.read_answer(octets, len(octets), 7, name, kind)
    except ProtocolError:
        return None
    assert 0 <= rcode <= 15 and truncated in (False, True)
    assert {len(address) for address in addresses} <= {4 if kind == dns.A else 16}
    return addresses


@given(_NAME, _KIND, st.binary(max_size=500), st.integers(0, 80))
@example("a", dns.A, b"\xc0\x0c" * 200, 64)
def test_records_of_arbitrary_octets_are_read_or_refused(name, kind, records, count):
    query = _query(7, name, kind)
    header = query[:2] + b"\x81\x80\0\1" + count.to_bytes(2, "big") + bytes(4)
    _answer_or_refusal(header + query[12:] + records, name, kind)


@given(_NAME, _KIND, st.binary(max_size=600))
def test_arbitrary_datagrams_are_read_or_refused(name, kind, octets):
    _answer_or_refusal(octets, name, kind)


@given(_NAME, _KIND, st.lists(st.binary(min_size=16, max_size=16), max_size=20), st.data())
def test_answers_of_any_addresses_are_read(name, kind, addresses, data):
    size = 4 if kind == dns.A else 16
    query = _query(7, name, kind)
    head = b"\xc0\x0c" + kind.to_bytes(2, "big") + b"\0\1" + bytes(4) + size.to_bytes(2, "big")
    body = b"".join(head + a[:size] for a in addresses)
    header = query[:2] + b"\x81\x80\0\1" + len(addresses).to_bytes(2, "big") + bytes(4)
    whole = header + query[12:] + body
    assert _answer_or_refusal(whole, name, kind) == [a[:size] for a in addresses]
    cut = data.draw(st.integers(0, len(whole) - 1))
    assert _answer_or_refusal(whole[:cut], name, kind) is None
