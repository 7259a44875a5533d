"""The state folder: what must be kept, opened by one branchctl at a time and checked first."""

import contextlib
import dataclasses
import datetime
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from branchctl import authority, clock, files, tls_crypt_v2
from branchctl.model import Fleet
from branchctl.problems import Refusal
from branchctl.record import Record

FOLDER = "state"
_RECORD, _CRL = "state.json", "crl.pem"
_CA_KEY, _CA_CHAIN = "ca/ca.key", "ca/ca.crt"
_RESTORE = "restore the whole folder from a backup"


@dataclasses.dataclass
class Credential:
    """A private key and its certificate."""

    text: str = dataclasses.field(repr=False)
    certificate: x509.Certificate

    @property
    def key(self) -> str:
        return self.text[:self._end]

    @property
    def cert(self) -> str:
        return self.text[self._end:]

    @property
    def _end(self) -> int:
        return self.text.index("-----BEGIN CERTIFICATE")

    @property
    def serial(self) -> str:
        return f"{self.certificate.serial_number:x}"


class State:
    """The folder beside fleet.toml. Only what the methods below write is ever written."""

    def __init__(self, fleet: Fleet):
        self.fleet = fleet
        self.folder = fleet.folder / FOLDER
        self.record = Record()
        self.exists = False

    @classmethod
    def peek(cls, fleet: Fleet) -> Record | None:
        """The record as it is, or None where nothing was made yet. Raises Refusal."""
        state = cls(fleet)
        state._read()
        return state.record if state.exists else None

    @classmethod
    @contextlib.contextmanager
    def open(cls, fleet: Fleet) -> Iterator["State"]:
        """The state, checked; nobody else can open it meanwhile. Raises Refusal."""
        state = cls(fleet)
        state._read()
        with state._locked():
            state._read()
            state.verify()
            yield state

    # ---- reading ----

    def _read(self) -> None:
        try:
            data = (self.folder / _RECORD).read_bytes()
        except FileNotFoundError:
            strays = [path for path in self.folder.rglob("*") if path.is_file()
                      and not files.is_leftover(path)]
            if strays:
                raise Refusal(f"{self.folder / _RECORD} is missing, but "
                              f"{strays[0].relative_to(self.folder)} is there",
                              f"{_RESTORE}, or move it away to begin anew") from None
            self.exists = False
            return
        except OSError as error:
            raise Refusal(f"{self.folder / _RECORD} cannot be read: {error.strerror}",
                          "run branchctl as the owner of the folder") from None
        try:
            self.record = Record.from_json(data)
        except (json.JSONDecodeError, UnicodeError):
            raise Refusal(f"{self.folder / _RECORD} is damaged", _RESTORE) from None
        except ValueError as error:
            raise Refusal(f"{self.folder / _RECORD} cannot be used: {error}",
                          f"use the branchctl that made it, or {_RESTORE}") from None
        self.exists = True
        if self.record.network != self.fleet.network:
            raise Refusal(
                f"{self.folder} belongs to the network {self.record.network}, but "
                f"{self.fleet.file} describes {self.fleet.network}",
                "keep each fleet in a folder of its own; a network keeps its name")

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self.fleet.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise Refusal(f"another branchctl works in {self.fleet.folder}",
                          "wait until it has ended") from None
        try:
            yield
        finally:
            os.close(descriptor)

    def verify(self) -> None:
        """Raises Refusal unless everything that is there is whole and fits together."""
        latest, what = None, ""
        chain = None
        if (self.folder / _CA_CHAIN).exists():
            chain = authority.read_chain(self._bytes(_CA_CHAIN), f"{FOLDER}/{_CA_CHAIN}")
            latest, what = _made(chain[0]), "the CA's certificate"
        for path in self._files("credentials", "*.pem"):
            credential = self.credential(path.stem)
            self._check_issuer(path, credential, chain)
            if latest is None or _made(credential.certificate) > latest:
                latest, what = _made(credential.certificate), f"{path.stem}'s certificate"
        for path in self._files("tls-crypt-v2", "SERVER-*.key"):
            try:
                tls_crypt_v2.check_server_key(path.read_text())
            except ValueError as error:
                raise self._damaged(path, str(error)) from None
        for path in (*self._files("babel", "*.key"), *self._files("mesh", "*.key"),
                     *self._files("tls-crypt-v2", "*.key")):
            if path.stat().st_size < 32:
                raise self._damaged(path, "it is cut short")
        clock.check(latest, what)

    def check_authority(self, chain: list[x509.Certificate]) -> None:
        """Raises Refusal if a certificate of the chain has expired."""
        for certificate in chain:
            end = certificate.not_valid_after_utc
            if clock.now() >= end:
                raise Refusal(
                    f"the CA's certificate expired on {end:%Y-%m-%d}; nothing it signs is "
                    "accepted", "branchctl renew --ca makes another for the same key" if
                    len(chain) == 1 else "have it issued anew, and replace state/ca/ca.crt")

    def _check_issuer(self, path: Path, credential: Credential, chain) -> None:
        if chain is None:
            raise Refusal(f"{FOLDER}/{_CA_CHAIN} is missing, but there are certificates",
                          _RESTORE)
        if not authority.is_issued(credential.certificate, chain[0]):
            raise self._damaged(path, "the CA of this folder has not signed it")

    def _files(self, folder: str, pattern: str) -> list[Path]:
        return sorted(path for path in (self.folder / folder).glob(pattern)
                      if not files.is_leftover(path))

    def _damaged(self, path: Path, why: str) -> Refusal:
        return Refusal(f"{path} cannot be used: {why}", f"{_RESTORE}, or remove that file to have "
                       "it made anew")

    def _bytes(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    # ---- what is kept ----

    def save(self) -> bool:
        """Write the record; False if it says the same already. It is the first file of all."""
        self.exists = True
        files.make_folder(self.folder)
        files.remove_leftovers(self.folder)
        return files.write(self.folder / _RECORD, self.record.to_json())

    def secret(self, name: str, make=None) -> str:
        """The text of a secret file; made by `make` where it is missing."""
        path = self.folder / name
        if make is not None and not path.exists():
            self.put(name, make())
        return path.read_text()

    def put(self, name: str, text: str) -> bool:
        """Write a file of the state folder."""
        path = self.folder / name
        files.make_folder(path.parent)
        return files.write(path, text.encode())

    def names(self, folder: str) -> list[str]:
        """The names of the secrets in a folder, for secret() and remove()."""
        return [f"{folder}/{path.name}" for path in self._files(folder, "*.key")]

    def remove(self, name: str) -> None:
        """Remove a file of the state folder."""
        files.remove(self.folder / name)

    def credential(self, name: str) -> Credential | None:
        """The credential kept under a name (a member's, or "paris.mesh"). Raises Refusal."""
        path = self.folder / "credentials" / f"{name}.pem"
        try:
            text = path.read_text()
        except FileNotFoundError:
            return None
        try:
            certificate = x509.load_pem_x509_certificate(text.encode())
            key = load_pem_private_key(text.encode(), None)
        except (ValueError, TypeError):
            raise self._damaged(path, "it is no key with a certificate") from None
        if key.public_key() != certificate.public_key():
            raise self._damaged(path, "key and certificate do not belong together")
        return Credential(text, certificate)

    def drop_credential(self, name: str) -> bool:
        """Remove a credential from the folder."""
        return files.remove(self.folder / "credentials" / f"{name}.pem")

    def crl(self) -> x509.CertificateRevocationList | None:
        """The revocation list that was signed last."""
        try:
            return x509.load_pem_x509_crl(self._bytes(_CRL))
        except FileNotFoundError:
            return None
        except ValueError:
            raise self._damaged(self.folder / _CRL, "it is no revocation list") from None

    def authority_files(self) -> tuple[Path, Path]:
        """Where the CA's key and chain are."""
        return self.folder / _CA_KEY, self.folder / _CA_CHAIN


def _made(certificate: x509.Certificate) -> datetime.datetime:
    return certificate.not_valid_before_utc + clock.LEEWAY
