"""DER, certificates and revocation lists, and OpenVPN's checks of a server's certificate."""

from binascii import a2b_base64

from branchline.crypto import crl, der, x509
from branchline.openvpn.verify import check_peer
from branchline.wire import calendar
from branchline.wire.cursor import Reader
from branchline.wire.errors import ProtocolError, TlsError
from support import raises, unhex
from tls_support import pem

_SUBJECT = "C=KG, O=Example Ö, CN=hub one, emailAddress=me@example.org"
_SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
_DAY = 86400


def certificate(name):
    """A test certificate in DER."""
    return a2b_base64(b"".join(pem(name + ".crt").split(b"\n")[1:-2]))


def leaf(name):
    return x509.Certificate(certificate(name))


def now():
    """A time at which the current test certificates are valid."""
    return leaf("server").not_before + 2 * _DAY


class Profile:
    """The part of a profile that check_peer reads."""

    verify_x509_name = remote_cert_ku = remote_cert_eku = crl = None

    def __init__(self, **settings):
        for name in settings:
            setattr(self, name, settings[name])


SERVER_ONLY = {"remote_cert_ku": (), "remote_cert_eku": _SERVER_AUTH}


def test_elements_that_der_forbids():
    for _, octets in (
        ("empty", ""),
        ("no length", "30"),
        ("long tag", "1f8101 00"),
        ("indefinite length", "3080 0000"),
        ("reserved length", "30ff"),
        ("long form of a short length", "308101 00"),
        ("leading zero in a length", "30820080" + "00" * 128),
        ("too many length octets", "308400000080" + "00" * 128),
        ("past the end", "3003 0000"),
    ):
        raises(ProtocolError, der.element, Reader(unhex(octets)))


def test_elements():
    reader = Reader(unhex("020101 0400 308180" + "44" * 128))
    assert der.optional(reader, der.OCTET_STRING) is None
    assert der.expect(reader, der.INTEGER).rest() == b"\1"
    assert der.optional(reader, der.OCTET_STRING).rest() == b""
    assert der.expect(reader, der.SEQUENCE).remaining() == 128
    assert der.optional(reader, der.INTEGER) is None
    raises(ProtocolError, der.document, unhex("3000 00"))
    raises(ProtocolError, der.document, unhex("3100"))


def test_object_identifiers():
    for octets, expected in (
        ("550403", "2.5.4.3"),
        ("2b06010505070301", _SERVER_AUTH),
        ("2a864886f70d010901", "1.2.840.113549.1.9.1"),
        ("883703", "2.999.3"),
        ("00", "0.0"),
    ):
        assert der.oid(Reader(unhex(octets))) == expected
    for octets in ("", "80", "8001", "2b86", "2bffffffffff7f"):
        raises(ProtocolError, der.oid, Reader(unhex(octets)))


def test_times():
    for tag, text, expected in (
        (0x17, b"700101000000Z", 0),
        (0x17, b"491231235959Z", 2524607999),
        (0x17, b"500101000000Z", -631152000),
        (0x17, b"240229120000Z", 1709208000),
        (0x18, b"20500101000000Z", 2524608000),
        (0x18, b"21000301000000Z", 4107542400),
        (0x18, b"20260101000001Z", 1767225601),
    ):
        assert der.time(Reader(bytes((tag, len(text))) + text)) == expected, text
    for tag, text in (
        (0x17, b"7001010000Z"),
        (0x17, b"700101000000+"),
        (0x17, b"701301000000Z"),
        (0x17, b"700100000000Z"),
        (0x17, b"700101240000Z"),
        (0x17, b"70010100000-Z"),
        (0x17, b"20500101000000Z"),
        (0x18, b"700101000000Z"),
        (0x18, b""),
        (0x02, b"700101000000Z"),
    ):
        raises(ProtocolError, der.time, Reader(bytes((tag, len(text))) + text))


def test_dates():
    for unix_time, expected in (
        (0, "1970-01-01"),
        (951782399, "2000-02-28"),
        (951782400, "2000-02-29"),
        (951868800, "2000-03-01"),
        (1767225599, "2025-12-31"),
        (1767225600, "2026-01-01"),
        (4107542399, "2100-02-28"),
        (-1, "1969-12-31"),
    ):
        assert calendar.date_text(unix_time) == expected


def test_server_certificates():
    for name, common_name, hostname, usage, purposes in (
        ("server", "hub one", "hub.example", 0x80, [_SERVER_AUTH]),
        ("server-rsa", "hub-rsa", "hub-rsa", 0xA0, [_SERVER_AUTH]),
        ("server-p384", "hub-p384", "192.0.2.1", 0x80, [_SERVER_AUTH]),
        ("server-mail", "hub-mail", None, 0x80, [_SERVER_AUTH]),
        ("server-no-usage", "hub one", "hub.example", None, [_SERVER_AUTH]),
        ("server-no-purpose", "hub one", "hub.example", 0x80, None),
    ):
        found = leaf(name)
        assert found.common_name == common_name
        assert found.hostname == hostname == x509.hostname(certificate(name))
        assert found.key_usage == usage, name
        assert found.purposes == purposes
        assert not found.is_ca
        assert found.not_after - found.not_before == 31 * _DAY
    assert leaf("server").subject == _SUBJECT
    assert leaf("ca").is_ca and leaf("ca").key_usage == 0x06
    assert leaf("server").issuer == leaf("server-rsa").issuer != leaf("server-other").issuer


def test_certificates_cut_short_or_altered():
    whole = certificate("server")
    for size in range(len(whole)):
        raises(ProtocolError, x509.Certificate, whole[:size])
    raises(ProtocolError, x509.Certificate, whole + b"\0")


def name_of(*rdns):
    """The parsed name of RDNs, each a list of (type in hex, tag, octets)."""

    def tlv(tag, content):
        return bytes((tag, len(content))) + content

    octets = b""
    for rdn in rdns:
        parts = b"".join(
            tlv(0x30, tlv(6, unhex(kind)) + tlv(tag, text)) for kind, tag, text in rdn
        )
        octets += tlv(0x31, parts)
    found = leaf("server")
    found._subject = x509._name(Reader(octets))
    return found


def test_one_line_subjects():
    cn, o = "550403", "55040a"
    for name, rdns, expected in (
        ("two parts", ([(o, 0x13, b"A")], [(cn, 0x0C, b"b")]), "O=A, CN=b"),
        ("joined", ([(o, 0x13, b"A"), (cn, 0x13, b"b")],), "O=A + CN=b"),
        ("control characters", ([(cn, 0x0C, b"a\nb\x7f")],), "CN=a\\0Ab\\7F"),
        ("unknown type", ([("2a03", 0x0C, b"x")],), "1.2.3=x"),
        ("Latin 1", ([(cn, 0x14, b"\xe9")],), "CN=é"),
        ("BMPString", ([(cn, 0x1E, b"\x20\xac")],), "CN=€"),
        ("nothing", (), ""),
    ):
        assert name_of(*rdns).subject == expected, name
    for _, tag, text in (
        ("UTF-8", 0x0C, b"\xc3"),
        ("half a BMPString", 0x1E, b"\x20"),
        ("UniversalString", 0x1C, b"\x7f\0\0\0"),
    ):
        raises(ProtocolError, name_of, [(cn, tag, text)])


def test_common_names():
    cn = "550403"
    assert name_of([(cn, 0x0C, b"first")], [(cn, 0x0C, b"last")]).common_name == "last"
    assert name_of([(cn, 0x0C, b"a\nb")]).common_name == "a_b"
    assert name_of([("55040a", 0x0C, b"A")]).common_name == ""


def test_servers_that_pass():
    for name, settings in (
        ("server", {}),
        ("server", SERVER_ONLY),
        ("server-no-usage", {}),
        ("server-no-purpose", {}),
        ("server-rsa", {"remote_cert_ku": (0x08, 0xA0)}),
        ("server-rsa", {"remote_cert_ku": (0x20,)}),
        ("server-as-client", {"remote_cert_eku": "1.3.6.1.5.5.7.3.2"}),
        ("server", {"verify_x509_name": (_SUBJECT, "subject")}),
        ("server", {"verify_x509_name": ("hub one", "name")}),
        ("server", {"verify_x509_name": ("hub ", "name-prefix")}),
        ("server", {"crl": pem("crl.pem")}),
        ("server", {"crl": pem("crl-empty.pem")}),
        ("server", {"crl": pem("crl-other.pem")}),
        ("server-revoked", {"crl": pem("crl-empty.pem")}),
    ):
        check_peer(Profile(**settings), certificate(name), now(), 0)


def test_servers_that_fail():
    for name, settings, words in (
        ("server-no-usage", SERVER_ONLY, "no key usage"),
        ("server-no-purpose", SERVER_ONLY, "extended key usage"),
        ("server-as-client", SERVER_ONLY, "extended key usage"),
        ("server", {"remote_cert_ku": (0xA0, 0x88)}, "key usage 80"),
        ("server", {"remote_cert_ku": (0,)}, "key usage 80"),
        ("server", {"verify_x509_name": ("C=KG", "subject")}, _SUBJECT),
        ("server", {"verify_x509_name": ("Hub one", "name")}, "not for 'Hub one'"),
        ("server", {"verify_x509_name": ("hub", "name")}, "'hub one'"),
        ("server", {"verify_x509_name": ("one", "name-prefix")}, "not for 'one...'"),
        ("server-expired", {}, "has expired (valid until"),
        ("server-future", {}, "not valid yet"),
        ("server-revoked", {"crl": pem("crl.pem")}, "revoked"),
        ("server-revoked", {"crl": pem("crl-other.pem") + pem("crl.pem")}, "revoked"),
        ("server", {"crl": pem("crl-expired.pem")}, "list has expired"),
        ("server", {"crl": b"nothing"}, "cannot be read"),
    ):
        error = raises(TlsError, check_peer, Profile(**settings), certificate(name), now(), 0)
        assert words in str(error), str(error)
    assert "cannot be read" in str(raises(TlsError, check_peer, Profile(), b"0", now(), 0))


def test_the_clock():
    current, expired = certificate("server"), certificate("server-expired")
    check = lambda data, *times: raises(TlsError, check_peer, Profile(), data, *times)  # noqa: E731
    unset = str(check(current, 0, 0))
    assert "the clock says 1970-01-01" in unset and "set the clock" in unset
    check_peer(Profile(), current, 0, now())
    late = str(check(expired, 0, now()))
    assert "the clock says 1970-01-01" in late
    assert "set the clock" in str(check(current, now() + 100 * _DAY, 0))
    profile = Profile(crl=pem("crl.pem"))
    made = crl.Crl(list(crl.decode(profile.crl))[0]).this_update
    old = leaf("server-expired").not_before + 1
    assert old < made
    error = raises(TlsError, check_peer, profile, expired, old, 0)
    assert "set the clock" in str(error)


def test_revocation_lists():
    revoked, current = leaf("server-revoked").serial, leaf("server").serial
    (data,) = crl.decode(b"text before\n" + pem("crl.pem"))
    assert crl.Crl(data).revokes(revoked)
    assert not crl.Crl(data).revokes(current)
    assert crl.Crl(data).issuer == leaf("server").issuer
    assert crl.Crl(data).next_update - crl.Crl(data).this_update == 30 * _DAY
    assert len(list(crl.decode(pem("crl.pem") + pem("crl-other.pem")))) == 2
    for text in (b"", b"-----BEGIN X509 CRL-----", 17 * pem("crl-empty.pem")):
        raises(ProtocolError, list, crl.decode(text))


def test_revocation_lists_cut_short():
    (data,) = crl.decode(pem("crl.pem"))
    for size in range(len(data)):
        raises(ProtocolError, crl.Crl, data[:size])
