"""Makes the certificates and keys of the TLS and X.509 unit tests, fresh, in build/testpki/.

MicroPython cannot make certificates, and keys are not committed: run this before the unit tests
(`python host_tests/unit/make_pki.py`). It does nothing while what it made is less than a day old.
"""

import datetime
import ipaddress
import os
import shutil
import tempfile
import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

FOLDER = Path(__file__).resolve().parents[2] / "build" / "testpki"
_MAX_AGE = 86400  # seconds
_NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
_DAY = datetime.timedelta(days=1)
_CURRENT = (_NOW - _DAY, _NOW + 30 * _DAY)
_SERVER = [ExtendedKeyUsageOID.SERVER_AUTH]
_CLIENT = [ExtendedKeyUsageOID.CLIENT_AUTH]
_DNS = [x509.DNSName("hub.example"), x509.DNSName("hub2.example")]
_KEY_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def _p256():
    return ec.generate_private_key(ec.SECP256R1())


def _p384():
    return ec.generate_private_key(ec.SECP384R1())


def _rsa():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _name(common_name):
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "KG"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example Ö"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            x509.NameAttribute(NameOID.EMAIL_ADDRESS, "me@example.org"),
        ]
    )


def _usage(*names):
    return x509.KeyUsage(**{usage: usage in names for usage in _KEY_USAGES})


class _Issuer:
    """A certificate authority: signs end certificates, further authorities and CRLs."""

    def __init__(self, common_name, issuer=None):
        self.key = _p256()
        self.name = _name(common_name)
        issuer = issuer or self
        self.certificate = (
            _builder(self.name, issuer.name, self.key, _CURRENT)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage("key_cert_sign", "crl_sign"), critical=True)
            .sign(issuer.key, hashes.SHA256())
        )

    def issue(self, key, common_name, usage, extended, alternatives=(), validity=_CURRENT):
        """An end certificate; usage and extended: None leaves the extension out."""
        builder = _builder(_name(common_name), self.name, key, validity)
        builder = builder.add_extension(x509.BasicConstraints(False, None), critical=True)
        if usage is not None:
            builder = builder.add_extension(_usage(*usage), critical=True)
        if extended is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
        if alternatives:
            names = x509.SubjectAlternativeName(alternatives)
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def crl(self, serials, next_update):
        """A revocation list of those serials, made ten days before today."""
        made = _NOW - 10 * _DAY
        builder = x509.CertificateRevocationListBuilder(self.name, made, next_update)
        for serial in serials:
            revoked = x509.RevokedCertificateBuilder(serial, made)
            builder = builder.add_revoked_certificate(revoked.build())
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM)


def _builder(subject, issuer, key, validity):
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(validity[0])
        .not_valid_after(validity[1])
    )


def _pem(certificate):
    return certificate.public_bytes(Encoding.PEM)


def _private(key, form=PrivateFormat.PKCS8, encryption=None):
    return key.private_bytes(Encoding.PEM, form, encryption or NoEncryption())


def _servers(ca, other, middle):
    """(file name, certificate, key) of every kind of server certificate."""
    sign = ("digital_signature",)
    both = sign + ("key_encipherment",)
    past = (_NOW - 20 * _DAY, _NOW - 5 * _DAY)
    future = (_NOW + 5 * _DAY, _NOW + 20 * _DAY)
    address = [x509.IPAddress(ipaddress.ip_address("192.0.2.1"))]
    mail = [x509.RFC822Name("me@example.org")]
    for name, issuer, make, *rest in (
        ("server", ca, _p256, "hub one", sign, _SERVER, _DNS),
        ("server-rsa", ca, _rsa, "hub-rsa", both, _SERVER),
        ("server-p384", ca, _p384, "hub-p384", sign, _SERVER, address),
        ("server-mail", ca, _p256, "hub-mail", sign, _SERVER, mail),
        ("server-middle", middle, _p256, "hub-middle", sign, _SERVER, _DNS),
        ("server-other", other, _p256, "hub one", sign, _SERVER, _DNS),
        ("server-expired", ca, _p256, "hub one", sign, _SERVER, _DNS, past),
        ("server-future", ca, _p256, "hub one", sign, _SERVER, _DNS, future),
        ("server-renamed", ca, _p256, "hub two", sign, _SERVER),
        ("server-revoked", ca, _p256, "hub one", sign, _SERVER, _DNS),
        ("server-no-usage", ca, _p256, "hub one", None, _SERVER, _DNS),
        ("server-no-purpose", ca, _p256, "hub one", sign, None, _DNS),
        ("server-as-client", ca, _p256, "hub one", sign, _CLIENT, _DNS),
    ):
        key = make()
        yield name, issuer.issue(key, *rest), key


def _files():
    """(file name, octets) of everything there is."""
    ca, other = _Issuer("test CA"), _Issuer("other CA")
    middle = _Issuer("middle CA", ca)
    serials = {}
    yield "ca.crt", _pem(ca.certificate)
    yield "other-ca.crt", _pem(other.certificate)
    yield "middle-ca.crt", _pem(middle.certificate)
    for name, certificate, key in _servers(ca, other, middle):
        serials[name] = certificate.serial_number
        yield name + ".crt", _pem(certificate)
        yield name + ".key", _private(key)
    for name, make, issuer in (
        ("client", _p256, ca),
        ("client-rsa", _rsa, ca),
        ("client-middle", _p256, middle),
        ("client-other", _p256, other),
    ):
        key = make()
        certificate = issuer.issue(key, name, ("digital_signature",), _CLIENT)
        yield name + ".crt", _pem(certificate)
        yield name + ".key", _private(key)
        yield name + ".traditional.key", _private(key, PrivateFormat.TraditionalOpenSSL)
        secret = BestAvailableEncryption(b"secret")
        yield name + ".encrypted.key", _private(key, encryption=secret)
    revoked = [x509.random_serial_number(), serials["server-revoked"]]
    yield "crl.pem", ca.crl(revoked, _NOW + 20 * _DAY)
    yield "crl-empty.pem", ca.crl([], _NOW + 20 * _DAY)
    yield "crl-expired.pem", ca.crl(revoked, _NOW - _DAY)
    yield "crl-other.pem", other.crl(revoked, _NOW + 20 * _DAY)


def _is_fresh():
    try:
        made = FOLDER.stat().st_mtime
    except FileNotFoundError:
        return False
    return time.time() - made < _MAX_AGE and made > Path(__file__).stat().st_mtime


def main():
    """Makes the folder, or leaves a fresh one as it is."""
    if _is_fresh():
        return
    FOLDER.parent.mkdir(exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=FOLDER.parent))
    for name, data in _files():
        (scratch / name).write_bytes(data)
    shutil.rmtree(FOLDER, ignore_errors=True)
    os.rename(scratch, FOLDER)


if __name__ == "__main__":
    main()
