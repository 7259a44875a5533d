"""The fleet's certificate authority: certificates and the revocation list (RFC 5280)."""

import datetime
from collections.abc import Callable, Iterable

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from branchctl.clock import LEEWAY
from branchctl.problems import Refusal
from branchctl.record import Revoked

_USAGES = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
           "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
SERVER, CLIENT, MESH = "server", "client", "mesh"
_PURPOSES = {SERVER: ExtendedKeyUsageOID.SERVER_AUTH, CLIENT: ExtendedKeyUsageOID.CLIENT_AUTH,
             MESH: ExtendedKeyUsageOID.CLIENT_AUTH}


class Authority:
    """A CA: its certificate, those above it, and its private key, asked for when it must sign."""

    def __init__(self, chain: list[x509.Certificate],
                 key: Callable[[], ec.EllipticCurvePrivateKey]):
        self.chain = chain
        self.certificate = chain[0]
        self._open = key
        self._key: ec.EllipticCurvePrivateKey | None = None

    @property
    def pem(self) -> str:
        """The chain, for `ca` in OpenVPN's configurations."""
        return "".join(map(pem, self.chain))

    def issue(self, name: str, kind: str, network: str, serial: int,
              alternatives: Iterable[x509.GeneralName], now: datetime.datetime,
              until: datetime.datetime) -> str:
        """A new private key and its certificate, as one PEM text; `kind` is what it is for."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _begin(_subject(network, name), key.public_key(), serial, now, until)
            .issuer_name(self.certificate.subject)
            .add_extension(x509.BasicConstraints(False, None), True)
            .add_extension(_usage("digital_signature"), True)
            .add_extension(x509.ExtendedKeyUsage([_PURPOSES[kind]]), False)
            .add_extension(x509.SubjectAlternativeName(list(alternatives)), False)
            .add_extension(self._identifier(), False)
        )
        return key_pem(key) + pem(builder.sign(self.key(), hashes.SHA256()))

    def revocation_list(self, revoked: Iterable[Revoked], now: datetime.datetime) -> str:
        """The CRL, as PEM. It is brought to the hubs by hand, so it lasts as long as the CA."""
        revoked = list(revoked)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(now - LEEWAY)
            .next_update(self.certificate.not_valid_after_utc)
            .add_extension(x509.CRLNumber(len(revoked) + 1), False)
            .add_extension(self._identifier(), False)
        )
        for each in revoked:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(int(each.serial, 16))
                .revocation_date(datetime.datetime.fromisoformat(each.at)).build())
        return pem(builder.sign(self.key(), hashes.SHA256()))

    def key(self) -> ec.EllipticCurvePrivateKey:
        """The private key. Raises Refusal where it is missing, locked, or another's."""
        if self._key is None:
            key = self._open()
            if key.public_key() != self.certificate.public_key():
                raise Refusal("the CA's key and certificate do not belong together",
                              "restore both from the same backup of state/, or name the right "
                              "key with --ca-key")
            self._key = key
        return self._key

    def _identifier(self) -> x509.AuthorityKeyIdentifier:
        ours = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ours.value)


def self_signed(key: ec.EllipticCurvePrivateKey, network: str, now: datetime.datetime,
                until: datetime.datetime) -> x509.Certificate:
    """A root certificate for a key; made again for the same key, it replaces the earlier one."""
    name = _subject(network, f"{network} CA")
    ours = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        _begin(name, key.public_key(), x509.random_serial_number(), now, until)
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(True, 0), True)
        .add_extension(_usage("key_cert_sign", "crl_sign"), True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ours), False)
        .sign(key, hashes.SHA256())
    )


def read_chain(text: bytes, where: str) -> list[x509.Certificate]:
    """A CA's certificate and those above it. Raises Refusal unless it can sign certificates."""
    try:
        chain = x509.load_pem_x509_certificates(text)
        extensions = chain[0].extensions
        constraints = extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = extensions.get_extension_for_class(x509.KeyUsage).value
        extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        good = constraints.ca and usage.key_cert_sign and usage.crl_sign
    except (ValueError, TypeError, x509.ExtensionNotFound) as error:
        raise Refusal(f"{where} is not a CA's chain: {error}", "it begins with the CA's own "
                      "certificate, then come those above it; or restore it from a "
                      "backup") from None
    for lower, upper in zip(chain, [*chain[1:], chain[-1]]):
        if not is_issued(lower, upper):
            raise Refusal(f"{where}: a certificate is not signed by the next one",
                          "put them in order, the CA's own first, the root last")
    if not good:
        raise Refusal(f"{where} may not sign certificates and revocation lists",
                      "issue it with CA:TRUE, keyCertSign and cRLSign")
    return chain


def is_issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the issuer has signed the certificate."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def read_key(text: bytes, passphrase: Callable[[], str | None], where: str):
    """A private key from PEM; the passphrase is asked for only if it is locked."""
    try:
        try:
            key = serialization.load_pem_private_key(text, None)
        except TypeError:
            given = passphrase()
            if not given:
                raise Refusal(f"{where} is locked", "give its passphrase: at the prompt, with "
                              "--ca-passphrase-file, or in BRANCHCTL_CA_PASSPHRASE") from None
            key = serialization.load_pem_private_key(text, given.encode())
    except ValueError as error:
        wrong = "password" in str(error).lower() or b"ENCRYPTED" in text
        raise Refusal(f"{where} cannot be opened" + (": wrong passphrase" if wrong else ""),
                      "try again" if wrong else "restore it from a backup of state/") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Refusal(f"{where} is not an elliptic-curve key", "use a P-256 key")
    return key


def key_pem(key, passphrase: str | None = None) -> str:
    """A private key as PKCS #8, locked with the passphrase if there is one."""
    lock = serialization.BestAvailableEncryption(passphrase.encode()) if passphrase \
        else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             lock).decode()


def pem(thing) -> str:
    """A certificate or a revocation list as PEM."""
    return thing.public_bytes(serialization.Encoding.PEM).decode()


def _begin(name, public_key, serial, now, until) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .public_key(public_key)
        .serial_number(serial)
        .not_valid_before(now - LEEWAY)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), False)
    )


def _subject(network: str, name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, network),
                      x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(*bits: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{bit: bit in bits for bit in _USAGES})
