"""wire.dns: queries as RFC 1035 4 has them, and answers that a hostile server may send."""

from branchline.wire import dns
from branchline.wire.errors import ProtocolError
from support import raises, unhex

_QUESTION = "03 687562 07 6578616d706c65 00 0001 0001"  # hub.example A IN
_AAAA_QUESTION = "03 687562 07 6578616d706c65 00 001c 0001"
_ADDRESS = "c00c 0001 0001 0000003c 0004 c0000201"  # 192.0.2.1 for the question's name


def _header(flags="8180", questions=1, answers=1, ident="1234"):
    return "%s %s %04x %04x 0000 0000 " % (ident, flags, questions, answers)


def _read(text, kind=dns.A, name="hub.example"):
    octets = unhex(text)
    return dns.read_answer(octets, len(octets), 0x1234, name, kind)


def test_query_octets():
    out = bytearray(512)
    n = dns.write_query(out, 0x1234, "hub.example", dns.A)
    assert bytes(out[:n]) == unhex("1234 0100 0001 0000 0000 0000" + _QUESTION)


def test_query_for_what_is_no_name():
    out = bytearray(512)
    for name in ("", ".", "a..b", "a." + 64 * "b", 250 * "a." + "b", "h b", "h\u00fcb"):
        raises(ValueError, dns.write_query, out, 1, name, dns.A)


def test_answers():
    second = "c00c 0001 0001 0000003c 0004 c0000202"
    alias = "c00c 0005 0001 0000003c 0004 01 62 c010"  # hub.example is b.example
    of_alias = "01 62 c010 0001 0001 0000003c 0004 c0000203"
    of_other = "01 63 c010 0001 0001 0000003c 0004 c0000204"
    v6 = "c00c 001c 0001 0000003c 0010 20010db8000000000000000000000001"
    chaos = "c00c 0001 0003 0000003c 0004 c0000205"
    upper = "03 485542 07 4558414d504c45 00 0001 0001 0000003c 0004 c0000201"
    one = b"\xc0\x00\x02\x01"
    for name, flags, answers, expected in (
        ("one address", "8180", (_ADDRESS,), (0, False, [one])),
        ("two addresses", "8180", (_ADDRESS, second), (0, False, [one, b"\xc0\x00\x02\x02"])),
        ("CNAME and its address", "8180", (alias, of_alias), (0, False, [b"\xc0\x00\x02\x03"])),
        ("CNAME behind its address", "8180", (of_alias, alias), (0, False, [b"\xc0\x00\x02\x03"])),
        ("CNAME alone", "8180", (alias,), (0, False, [])),
        ("a name that nobody asked for", "8180", (of_other,), (0, False, [])),
        ("another class", "8180", (chaos,), (0, False, [])),
        ("another kind", "8180", (v6, _ADDRESS), (0, False, [one])),
        ("case does not count", "8180", (upper,), (0, False, [one])),
        ("truncated", "8380", (_ADDRESS,), (0, True, [one])),
        ("no such name", "8183", (), (3, False, [])),
        ("server failure", "8182", (), (2, False, [])),
    ):
        text = _header(flags, 1, len(answers)) + _QUESTION + " ".join(answers)
        assert _read(text) == expected, name


def test_answer_with_ipv6_address():
    record = "c00c 001c 0001 0000003c 0010 20010db8000000000000000000000001"
    answer = _read(_header() + _AAAA_QUESTION + record, dns.AAAA)
    assert answer == (0, False, [unhex("20010db8 00000000 00000000 00000001")])


def test_answers_that_are_refused():
    looping = "c00c 0005 0001 0000003c 0004 01 62 c0"  # its offset follows
    for name, text in (
        ("empty", ""),
        ("short header", "1234 8180"),
        ("a query", _header("0100", 1, 0) + _QUESTION),
        ("another opcode", _header("a180", 1, 0) + _QUESTION),
        ("another id", _header(ident="1235") + _QUESTION + _ADDRESS),
        ("no question", _header("8180", 0, 0)),
        ("another question", _header("8180", 1, 0) + "01 62 00 0001 0001"),
        ("another kind", _header("8180", 1, 0) + _AAAA_QUESTION),
        ("a record too few", _header("8180", 1, 2) + _QUESTION + _ADDRESS),
        ("a cut record", _header() + _QUESTION + _ADDRESS[:-2]),
        ("length past the end", _header() + _QUESTION + "c00c 0001 0001 00000000 0005 c0000201"),
        ("a pointer to itself", _header() + _QUESTION + "c01d 0001 0001 00000000 0000"),
        ("a pointer forward", _header() + _QUESTION + "c0ff 0001 0001 00000000 0000"),
        ("a pointer into the header", _header() + _QUESTION + "c004 0001 0001 00000000 0000"),
        ("two names that point at each other", _header() + _QUESTION + looping + "29"),
        ("a label of reserved kind", _header() + _QUESTION + "40 00 0001 0001 00000000 0000"),
        ("a name without end", _header() + _QUESTION + 5 * ("3f" + 63 * "61")),
        ("many records", _header("8180", 1, 65) + _QUESTION + 65 * _ADDRESS),
    ):
        try:
            _read(text)
        except ProtocolError:
            continue
        raise AssertionError(name)


def test_cname_loop_ends():
    loop = "c00c 0005 0001 0000003c 0002 c00c"
    assert _read(_header() + _QUESTION + loop) == (0, False, [])
