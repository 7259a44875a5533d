"""Hostile certificates and lists: an answer or the parser's own error, and nothing else."""

from base64 import b64encode
from datetime import UTC, datetime, timedelta

from cryptography import x509 as reference
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from branchline.crypto import crl, x509
from branchline.openvpn.verify import check_peer
from branchline.wire.calendar import date_text
from branchline.wire.errors import ProtocolError, TlsError
from host_tests.unit import make_pki

make_pki.main()
_CERTIFICATES = sorted(make_pki.FOLDER.glob("*.crt"))
_LISTS = sorted(make_pki.FOLDER.glob("crl*.pem"))
_DER = [
    reference.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER)
    for path in _CERTIFICATES
]
_LIST_DER = [
    reference.load_pem_x509_crl(path.read_bytes()).public_bytes(Encoding.DER) for path in _LISTS
]


class _Profile:
    verify_x509_name = ("hub", "name-prefix")
    remote_cert_ku = ()
    remote_cert_eku = "1.3.6.1.5.5.7.3.1"
    crl = _LISTS[0].read_bytes()


def _altered(originals):
    """An original with octets replaced, inserted or removed."""

    def alter(case):
        data, edits = bytearray(case[0]), case[1]
        for at, removed, inserted in edits:
            at %= len(data) + 1
            data[at : at + removed] = inserted
        return bytes(data)

    edit = st.tuples(st.integers(0, 4095), st.integers(0, 4), st.binary(max_size=4))
    return st.tuples(st.sampled_from(originals), st.lists(edit, min_size=1, max_size=4)).map(alter)


@given(st.binary() | _altered(_DER), st.integers(0, 2**33))
def test_certificates(data, unix_time):
    try:
        certificate = x509.Certificate(data)
    except ProtocolError:
        pass
    else:
        assert isinstance(certificate.subject, str)
        assert isinstance(certificate.common_name, str)
    try:
        x509.hostname(data)
    except ProtocolError:
        pass
    try:
        check_peer(_Profile, data, unix_time, 0)
    except TlsError:
        pass


@given(st.binary() | _altered(_LIST_DER), st.binary(max_size=20))
def test_lists(data, serial):
    try:
        crl.Crl(data).revokes(serial)
    except ProtocolError:
        pass


@given(st.binary(), st.integers(0, 2**33))
def test_list_files(data, unix_time):
    class Profile(_Profile):
        crl = b"-----BEGIN X509 CRL-----\n" + data + b"\n-----END X509 CRL-----\n"

    try:
        check_peer(Profile, _DER[0], unix_time, 0)
    except TlsError:
        pass


@given(st.sampled_from(_CERTIFICATES))
def test_fields_agree_with_the_reference(path):
    expected = reference.load_pem_x509_certificate(path.read_bytes())
    found = x509.Certificate(expected.public_bytes(Encoding.DER))
    assert int.from_bytes(found.serial, "big") == expected.serial_number
    assert found.not_before == expected.not_valid_before_utc.timestamp()
    assert found.not_after == expected.not_valid_after_utc.timestamp()
    assert found.issuer == expected.issuer.public_bytes()[-len(found.issuer) :]
    names = expected.subject.get_attributes_for_oid(reference.NameOID.COMMON_NAME)
    assert found.common_name == names[-1].value


@given(st.integers(-(2**31), 2**33))
def test_dates_agree_with_the_reference(unix_time):
    expected = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=unix_time)
    assert date_text(unix_time) == expected.strftime("%Y-%m-%d")


def test_base64_of_the_lists_is_read():
    for path, expected in zip(_LISTS, _LIST_DER, strict=True):
        (data,) = crl.decode(path.read_bytes())
        assert b64encode(data) == b64encode(expected)
