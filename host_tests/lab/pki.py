"""A generated PKI: authorities, certificates good and bad, revocation lists, static keys."""

import dataclasses
import datetime
import functools
import ipaddress
import os
import subprocess
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from host_tests.lab.errors import LabError

_DAY = datetime.timedelta(days=1)
_PERIODS = {  # days from now
    "now": (-1, 30),
    "expired": (-30, -1),
    "future": (1, 30),
}
_PURPOSES = {
    "server": [ExtendedKeyUsageOID.SERVER_AUTH],
    "client": [ExtendedKeyUsageOID.CLIENT_AUTH],
    "both": [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH],
    None: [],
}
_KEY_USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
    "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)
_USUAL_USAGE = ("digital_signature", "key_encipherment")
_STATIC_KEY_OCTETS = 256


@functools.cache
def _private_key(kind: str, label: str):
    """One key for each kind and label in a run: RSA keys take long to make."""
    if kind.startswith("RSA-"):
        return rsa.generate_private_key(65537, int(kind[4:]))
    curves = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1, "P-521": ec.SECP521R1}
    return ec.generate_private_key(curves[kind]())


@dataclasses.dataclass(frozen=True)
class Credential:
    """A certificate and its private key: as files, and as text for inline blocks.

    `chain` is the leaf followed by its intermediate authorities.
    """

    certificate: x509.Certificate
    chain: str
    key: str = dataclasses.field(repr=False)
    chain_path: Path
    key_path: Path

    @property
    def common_name(self) -> str:
        names = self.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return names[0].value if names else ""


class Authority:
    """A certificate authority; made by Pki.authority(). `pem` and `path` hold its certificate.

    Within a run the same name means the same keys: an authority that is to be a wrong one needs
    a name of its own.
    """

    def __init__(self, pki: "Pki", name: str, key: str, parent: "Authority | None"):
        self.name = name
        self._pki = pki
        self._parent = parent
        self._kind = key
        self._subject = _name(name)
        self._key = _private_key(key, f"authority {name}")
        self.certificate = (parent or self)._sign(
            self._subject, self._key.public_key(), _PERIODS["now"],
            (x509.BasicConstraints(ca=True, path_length=None), True),
            (_key_usage(("key_cert_sign", "crl_sign")), True),
        )
        self.pem = _pem(self.certificate)
        self.path = pki.write(f"{name}.ca.crt", self.pem)

    def issue(self, name: str, purpose: str | None = None, *, key: str | None = None,
              period: str = "now", alternatives: tuple[str, ...] = (),
              usage: tuple[str, ...] | None = _USUAL_USAGE) -> Credential:
        """Issue a certificate with the common name `name`.

        purpose       "server", "client", "both", or None for no extended key usage
        key           "RSA-2048", "P-256", "P-384"...; the authority's kind by default
        period        "now", "expired", "future" (not yet valid)
        alternatives  subject alternative names: DNS names or IP addresses
        usage         key usage bits by their cryptography names, or None for no extension
        """
        key = key or self._kind
        private = _private_key(key, f"{purpose} {name}")
        extensions = [(x509.BasicConstraints(ca=False, path_length=None), True)]
        if usage is not None:
            extensions.append((_key_usage(usage), True))
        if purpose is not None:
            extensions.append((x509.ExtendedKeyUsage(_PURPOSES[purpose]), False))
        if alternatives:
            names = x509.SubjectAlternativeName([_general_name(text) for text in alternatives])
            extensions.append((names, False))
        certificate = self._sign(
            _name(name), private.public_key(), _PERIODS[period], *extensions,
        )
        chain = _pem(certificate) + self._intermediates()
        text = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()
        stem = f"{self.name}.{name}.{certificate.serial_number:x}"
        return Credential(
            certificate, chain, text, self._pki.write(stem + ".crt", chain),
            self._pki.write(stem + ".key", text),
        )

    def revocation_list(self, *revoked: Credential) -> str:
        """A CRL, as PEM, that revokes these certificates."""
        now = _now()
        builder = x509.CertificateRevocationListBuilder().issuer_name(self._subject)
        builder = builder.last_update(now - _DAY).next_update(now + 30 * _DAY)
        for credential in revoked:
            entry = x509.RevokedCertificateBuilder().revocation_date(now - _DAY)
            serial = credential.certificate.serial_number
            builder = builder.add_revoked_certificate(entry.serial_number(serial).build())
        return _pem(builder.sign(self._key, hashes.SHA256()))

    def _intermediates(self) -> str:
        return self.pem + self._parent._intermediates() if self._parent else ""

    def _sign(self, subject, public_key, period, *extensions) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._subject)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(_now() + period[0] * _DAY)
            .not_valid_after(_now() + period[1] * _DAY)
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        identifier = x509.SubjectKeyIdentifier.from_public_key(public_key)
        builder = builder.add_extension(identifier, critical=False)
        ours = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(ours, critical=False)
        return builder.sign(self._key, hashes.SHA256())


class Pki:
    """Files, all mode 0600, in a directory of mode 0700, made if it is missing."""

    def __init__(self, directory: Path):
        self.directory = directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def authority(self, name: str = "Lab CA", key: str = "P-256",
                  parent: Authority | None = None) -> Authority:
        """A new authority: a root, or an intermediate one under `parent`."""
        return Authority(self, name, key, parent)

    def static_key(self) -> str:
        """A new key for tls-auth or tls-crypt in the "OpenVPN Static key V1" format."""
        text = os.urandom(_STATIC_KEY_OCTETS).hex()
        lines = [text[start:start + 32] for start in range(0, len(text), 32)]
        begin, end = (f"-----{word} OpenVPN Static key V1-----" for word in ("BEGIN", "END"))
        return "\n".join([begin, *lines, end, ""])

    def tls_crypt_v2_server_key(self) -> str:
        """A new server key for tls-crypt-v2, made by openvpn."""
        return self._genkey("tls-crypt-v2-server")

    def tls_crypt_v2_client_key(self, server_key: str) -> str:
        """A client key wrapped with the server's."""
        path = self.write("tls-crypt-v2-server.key", server_key)
        return self._genkey("tls-crypt-v2-client", "--tls-crypt-v2", str(path))

    def write(self, name: str, text: str) -> Path:
        """Write a private file and return its path."""
        path = self.directory / name.replace(" ", "-").replace("/", "-")
        with open(os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w") as file:
            file.write(text)
        return path

    def _genkey(self, kind: str, *options: str) -> str:
        path = self.write(f"{kind}.new", "")
        done = subprocess.run(
            ["openvpn", *options, "--genkey", kind, str(path)], capture_output=True, text=True,
        )
        if done.returncode:
            raise LabError(f"openvpn --genkey {kind} failed: {done.stdout}{done.stderr}")
        return path.read_text()


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _name(common_name: str) -> x509.Name:
    return x509.Name([
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Branchline lab"),
        x509.NameAttribute(NameOID.COMMON_NAME, common_name),
    ])


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _key_usage(bits: tuple[str, ...]) -> x509.KeyUsage:
    return x509.KeyUsage(**{bit: bit in bits for bit in _KEY_USAGES})


def _pem(thing) -> str:
    return thing.public_bytes(serialization.Encoding.PEM).decode()
