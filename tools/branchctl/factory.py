"""Keys and certificates of the fleet: whatever is missing is made, what is there stays."""

import dataclasses
import datetime
import ipaddress
import re
import secrets
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from branchctl import authority, clock, tls_crypt_v2
from branchctl.authority import CLIENT, MESH, SERVER, Authority
from branchctl.babel_conf import Key
from branchctl.passphrase import Passphrase
from branchctl.problems import Refusal
from branchctl.record import Issued, Revoked
from branchctl.state import Credential, State

_BABEL_OCTETS = 16  # written in hexadecimal: 32 octets for BIRD, which takes the text


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A credential that a member is to have: under which name it is kept, and what for."""

    member: str
    kind: str

    @property
    def name(self) -> str:
        return f"{self.member}.{MESH}" if self.kind == MESH else self.member


class Factory:
    """Makes what is missing in an open state folder.

    Serial numbers are put on record before anything is signed, so that whatever was ever issued
    can be revoked.
    """

    def __init__(self, state: State, passphrase: Passphrase, ca_key: Path | None = None,
                 tell: Callable[[str], None] = lambda text: None):
        self.state = state
        self._passphrase = passphrase
        self._key_file = ca_key
        self._tell = tell

    # ---- the CA ----

    def make_authority(self, encrypt: bool = False, imported: Path | None = None) -> Authority:
        """The CA, made on the first call: its own root, or an imported intermediate one."""
        key_path, chain_path = self.state.authority_files()
        if not chain_path.exists():
            if imported is not None:
                self._import(imported)
            else:
                self._make_root(key_path, encrypt)
        return self.authority()

    def authority(self) -> Authority:
        """The CA that is there."""
        key_path, chain_path = self.state.authority_files()
        chain = authority.read_chain(chain_path.read_bytes(), str(chain_path))
        return Authority(chain, lambda: self._open(self._key_file or key_path))

    def renew_authority(self) -> None:
        """A new certificate for the same key: what it has signed stays good."""
        key_path, chain_path = self.state.authority_files()
        chain = authority.read_chain(chain_path.read_bytes(), str(chain_path))
        if len(chain) > 1:
            raise Refusal("the CA is an intermediate one", "have it issued anew by the root, and "
                          "replace state/ca/ca.crt")
        now, days = clock.now(), self.state.fleet.ca_days
        key = Authority(chain, lambda: self._open(self._key_file or key_path)).key()
        made = authority.self_signed(key, self.state.fleet.network, now,
                                     now + datetime.timedelta(days=days))
        self.state.put("ca/ca.crt", authority.pem(made))

    def _make_root(self, key_path: Path, encrypt: bool) -> None:
        if not key_path.exists():
            locked = encrypt or self._passphrase.given() is not None
            text = authority.key_pem(ec.generate_private_key(ec.SECP256R1()),
                                     self._passphrase.choose() if locked else None)
            self.state.put("ca/ca.key", text)
        now = clock.now()
        root = authority.self_signed(
            self._open(key_path), self.state.fleet.network, now,
            now + datetime.timedelta(days=self.state.fleet.ca_days))
        self.state.put("ca/ca.crt", authority.pem(root))

    def _import(self, chain_file: Path) -> None:
        """An intermediate CA, made elsewhere under a root that stays offline."""
        try:
            text = chain_file.read_bytes()
        except OSError as error:
            raise Refusal(f"{chain_file} cannot be read: {error.strerror}",
                          "--ca-cert names the CA's certificate and those above it") from None
        chain = authority.read_chain(text, str(chain_file))
        self.state.check_authority(chain)
        if self._key_file is None:
            raise Refusal("the key of the imported CA is missing", "name it with --ca-key")
        Authority(chain, lambda: self._open(self._key_file)).key()
        self.state.put("ca/ca.crt", "".join(map(authority.pem, chain)))

    def _open(self, path: Path) -> ec.EllipticCurvePrivateKey:
        try:
            text = path.read_bytes()
        except OSError as error:
            raise Refusal(f"the CA's key {path} cannot be read: {error.strerror}",
                          "name it with --ca-key if it is kept elsewhere") from None
        return authority.read_key(text, self._passphrase.ask, str(path))

    # ---- credentials ----

    def wanted(self) -> list[Wanted]:
        """All credentials that the fleet's members are to have."""
        fleet = self.state.fleet
        found = [Wanted(name, SERVER) for name in fleet.hubs]
        if len(fleet.hubs) > 1:
            found += [Wanted(name, MESH) for name in fleet.hubs]
        return found + [Wanted(name, CLIENT) for name in (*fleet.branches, *fleet.clients)]

    def issue(self, wanted: list[Wanted]) -> list[str]:
        """New keys and certificates, also where there are some; the names of the members."""
        record, fleet = self.state.record, self.state.fleet
        if not wanted:
            return []
        ca = self.authority()
        self.state.check_authority(ca.chain)
        ca.key()  # asks for the passphrase before anything is on record
        now = clock.now()
        until = min(now + datetime.timedelta(days=fleet.days),
                    *(each.not_valid_after_utc for each in ca.chain))
        serials = [x509.random_serial_number() for _ in wanted]
        record.issued = [each for each in record.issued
                         if datetime.datetime.fromisoformat(each.until) > now]
        record.issued += [Issued(each.member, each.kind, f"{serial:x}", until.isoformat())
                          for each, serial in zip(wanted, serials)]
        self.state.save()
        for each, serial in zip(wanted, serials):
            self._tell(each.name)
            text = ca.issue(each.member, each.kind, fleet.network, serial,
                            self._alternatives(each), now, until)
            self.state.put(f"credentials/{each.name}.pem", text)
        return list(dict.fromkeys(each.member for each in wanted))

    def _alternatives(self, wanted: Wanted) -> list[x509.GeneralName]:
        """The names by which a member goes: a hub's hosts, too."""
        names = [x509.DNSName(wanted.member)]
        if wanted.kind == SERVER:
            hosts = [each.host for each in self.state.fleet.hubs[wanted.member].endpoints]
            names += [_general_name(host) for host in dict.fromkeys(hosts)
                      if host != wanted.member]
        return names

    def drop_revoked(self) -> None:
        """Remove credentials that are on the list of revoked ones."""
        revoked = {each.serial for each in self.state.record.revoked}
        for each in self.wanted():
            credential = self.state.credential(each.name)
            if credential is not None and credential.serial in revoked:
                self.state.drop_credential(each.name)

    def missing(self) -> list[Wanted]:
        """The credentials that are not there, less those of blocked members."""
        return [each for each in self.wanted() if each.member not in self.state.record.blocked
                and self.state.credential(each.name) is None]

    def adopt(self) -> bool:
        """Put certificates on record that an older state.json does not know."""
        record = self.state.record
        known = {each.serial for each in (*record.issued, *record.revoked)}
        found = []
        for each in self.wanted():
            credential: Credential | None = self.state.credential(each.name)
            if credential is not None and credential.serial not in known:
                until = credential.certificate.not_valid_after_utc
                found.append(Issued(each.member, each.kind, credential.serial, until.isoformat()))
        record.issued += found
        return bool(found)

    # ---- revocation ----

    def revoke(self, name: str) -> int:
        """Put all of a member's certificates that have not expired on the list; how many."""
        record, now = self.state.record, clock.now()
        chosen = [each for each in record.issued if each.name == name]
        record.issued = [each for each in record.issued if each.name != name]
        record.revoked += [Revoked(**dataclasses.asdict(each), at=now.isoformat())
                           for each in chosen]
        if name not in record.blocked:
            record.blocked.append(name)
        return len(chosen)

    def make_crl(self) -> bool:
        """Sign the revocation list, if what it must say has changed."""
        wanted = {int(each.serial, 16) for each in self.state.record.revoked}
        present = self.state.crl()
        if present is not None and {each.serial_number for each in present} == wanted:
            return False
        text = self.authority().revocation_list(self.state.record.revoked, clock.now())
        return self.state.put("crl.pem", text)

    # ---- other secrets ----

    def make_secrets(self) -> None:
        """Keys of tls-crypt-v2, of the links between hubs, and of Babel."""
        record, fleet = self.state.record, self.state.fleet
        for generation in sorted(set(record.server_keys[name] for name in fleet.hubs)):
            self.server_key(generation)
        for name in (*fleet.branches, *fleet.clients):
            for hub in fleet.hubs:
                self.client_key(name, hub)
        for pair in record.mesh:
            self.mesh_key(pair)
        for key in record.babel:
            self.babel_key(key)

    def server_key(self, generation: int) -> str:
        return self.state.secret(_server_key_file(generation), tls_crypt_v2.server_key)

    def client_key(self, name: str, hub: str) -> str:
        """A member's key toward a hub: one for each server key and each turn of its own."""
        return self.state.secret(
            self._client_key_file(name, hub),
            lambda: tls_crypt_v2.client_key(
                self.server_key(self.state.record.server_keys[hub]),
                int(clock.now().timestamp())))

    def remove_former(self) -> None:
        """Remove keys that nobody is given any more. Members that are no longer in the fleet keep
        theirs, in case they come back."""
        record, fleet = self.state.record, self.state.fleet
        used = {f"babel/{key}.key" for key in record.babel}
        used |= {_server_key_file(number) for number in record.server_keys.values()}
        members = [*fleet.branches, *fleet.clients]
        used |= {self._client_key_file(name, hub) for name in members for hub in fleet.hubs}
        ours = re.compile("babel/.*|tls-crypt-v2/(SERVER|" +
                          "|".join(map(re.escape, members)) + r")-[0-9.]+\.key")
        for folder in ("babel", "tls-crypt-v2"):
            for name in self.state.names(folder):
                if name not in used and ours.fullmatch(name):
                    self.state.remove(name)

    def _client_key_file(self, name: str, hub: str) -> str:
        record = self.state.record
        return f"tls-crypt-v2/{name}-{record.server_keys[hub]}.{record.client_keys.get(name, 1)}" \
               ".key"

    def mesh_key(self, pair: str) -> str:
        return self.state.secret(f"mesh/{pair.replace(' ', '+')}.key", tls_crypt_v2.static_key)

    def babel_key(self, name: str) -> Key:
        return Key(name, self.state.secret(f"babel/{name}.key",
                                           lambda: secrets.token_hex(_BABEL_OCTETS)))


def _server_key_file(generation: int) -> str:
    # Names of members are in small letters: none is taken for this.
    return f"tls-crypt-v2/SERVER-{generation}.key"


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)

