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
        self._authority: Authority | None = None

    # ---- the CA ----

    def prepare_authority(self, encrypt: bool = False,
                          imported: Path | None = None) -> dict[str, str]:
        """The files that a new CA is kept in, not written yet; none if there is one already.

        Its own root, or an imported intermediate one.
        """
        key_path, chain_path = self.state.authority_files()
        if chain_path.exists():
            return {}
        if imported is not None:
            return {"ca/ca.crt": self._import(imported)}
        if key_path.exists():  # an interrupted run has left it
            key, made = self._open(key_path), {}
        else:
            locked = encrypt or self._passphrase.given() is not None
            key = ec.generate_private_key(ec.SECP256R1())
            text = authority.key_pem(key, self._passphrase.choose() if locked else None)
            made = {"ca/ca.key": text}
        return {**made, "ca/ca.crt": self._root(key)}

    def unlock(self, names: list[str] | None) -> None:
        """Open the CA's key if anything must be signed. Raises Refusal where it cannot be."""
        if self.state.authority_files()[1].exists() and (
                self.missing(names) or self._crl_is_old()):
            self.authority().key()

    def authority(self) -> Authority:
        """The CA that is there."""
        if self._authority is None:
            key_path, chain_path = self.state.authority_files()
            chain = authority.read_chain(chain_path.read_bytes(), str(chain_path))
            self._authority = Authority(chain, lambda: self._open(self._key_file or key_path))
        return self._authority

    def renew_authority(self) -> None:
        """A new certificate for the same key: what it has signed stays good."""
        if len(self.authority().chain) > 1:
            raise Refusal("the CA is an intermediate one", "have it issued anew by the root, and "
                          "replace state/ca/ca.crt")
        self.state.put("ca/ca.crt", self._root(self.authority().key()))
        self._authority = None

    def _root(self, key: ec.EllipticCurvePrivateKey) -> str:
        now, fleet = clock.now(), self.state.fleet
        until = now + datetime.timedelta(days=fleet.ca_days)
        return authority.pem(authority.self_signed(key, fleet.network, now, until))

    def _import(self, chain_file: Path) -> str:
        """The chain of a CA that was made elsewhere, under a root that stays offline."""
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
        return "".join(map(authority.pem, chain))

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
        for each in self.wanted():
            if self._has(each) is False:
                self.state.drop_credential(each.name)

    def missing(self, names: list[str] | None = None) -> list[Wanted]:
        """The credentials that are not there, less those of blocked members; with names, only of
        these, and of hubs."""
        fleet, record = self.state.fleet, self.state.record
        return [each for each in self.wanted() if each.member not in record.blocked
                and (not names or each.member in names or each.member in fleet.hubs)
                and not self._has(each)]

    def _has(self, wanted: Wanted) -> bool | None:
        """Whether a credential is good: False if it is revoked, None if there is none."""
        credential = self.state.credential(wanted.name)
        if credential is None:
            return None
        return credential.serial not in {each.serial for each in self.state.record.revoked}

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
        if not self._crl_is_old():
            return False
        text = self.authority().revocation_list(self.state.record.revoked, clock.now())
        return self.state.put("crl.pem", text)

    def _crl_is_old(self) -> bool:
        present = self.state.crl()
        wanted = {int(each.serial, 16) for each in self.state.record.revoked}
        return present is None or {each.serial_number for each in present} != wanted

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

