"""From fleet and state to kits, bundles and profiles: whatever differs is written."""

import dataclasses
from collections.abc import Callable, Iterator

from branchctl import files
from branchctl.authority import SERVER, pem
from branchctl.babel_conf import Key
from branchctl.bundle import gateway_json
from branchctl.clock import LEEWAY
from branchctl.factory import Factory
from branchctl.hub_kit import HubKit
from branchctl.kit_names import mesh_links
from branchctl.model import Branch, Client, Fleet, Hub
from branchctl.output import Folder, check_file
from branchctl.profile import branch_profile, client_profile, heading
from branchctl.rotation import board_keys, hub_keys
from branchctl.state import State

KITS, BUNDLES, CLIENTS = "kits", "bundles", "clients"


@dataclasses.dataclass
class Product:
    """Something made for a member: where, and whether it changed."""

    name: str
    path: str
    changed: bool


class Production:
    """Everything that is handed out, from an open state folder."""

    def __init__(self, state: State, factory: Factory):
        self.state = state
        self.fleet: Fleet = state.fleet
        self.record = state.record
        self._factory = factory

    def check(self) -> None:
        """Raises Refusal if anything that is not this fleet's is in the way."""
        identity = self.record.fleet
        for name in (*self.fleet.hubs, *self.fleet.branches):
            self._folder(name).check()
        for name in self.fleet.clients:
            check_file(self._client_path(name), identity)

    def make(self, names: list[str] | None, tell: Callable[[str], None]) -> list[Product]:
        """Write all that differs; of branches and clients only the named ones, if any are."""
        products = []
        for name in self.fleet.members:
            if name in self.fleet.hubs or names is None or name in names:
                tell(name)
                products += self._make(name)
        return products

    def _make(self, name: str) -> Iterator[Product]:
        """One product, or none for who has no credentials."""
        member = self.fleet.members[name]
        ready = self.state.credential(name) is not None
        if isinstance(member, Client):
            path = self._client_path(name)
            files.make_folder(path.parent)
            files.remove_leftovers(path.parent)
            changed = files.write(path, self._client(member).encode()) if ready \
                else files.remove(path)
        else:
            folder = self._folder(name)
            path = folder.path
            if ready:
                content = self._kit(member) if isinstance(member, Hub) else self._bundle(member)
                what = "kit" if isinstance(member, Hub) else "bundle"
                changed = folder.write(heading(self.fleet, self.record.fleet, name, what), content)
            else:
                changed = folder.clear()
        if ready or changed:
            yield Product(name, str(path.relative_to(self.fleet.folder)), changed)

    def _folder(self, name: str) -> Folder:
        kind = KITS if name in self.fleet.hubs else BUNDLES
        return Folder(self.fleet.folder / kind / name, self.record.fleet)

    def _client_path(self, name: str):
        return self.fleet.folder / CLIENTS / f"{name}.ovpn"

    def _kit(self, hub: Hub) -> dict[str, str | bytes]:
        state, ca = self.state, self._factory.authority()
        credential = state.credential(hub.name)
        keys = {
            "ca.crt": ca.pem, "crl.pem": state.secret("crl.pem"),
            "hub.crt": credential.cert + self._intermediates(), "hub.key": credential.key,
            "tls-crypt-v2.key": self._factory.server_key(self.record.server_keys[hub.name]),
        }
        made = max(each.not_valid_before_utc
                   for each in (ca.certificate, credential.certificate))
        for link in mesh_links(self.fleet, self.record, hub):
            pair = self.record.pair(hub.name, link.peer)
            keys[f"mesh-{link.peer}.key"] = self._factory.mesh_key(pair)
            mesh = state.credential(f"{hub.name}.mesh")
            keys |= {"mesh.crt": mesh.cert + self._intermediates(), "mesh.key": mesh.key}
            made = max(made, mesh.certificate.not_valid_before_utc)
        return HubKit(self.fleet, self.record, hub, keys, self._babel(hub_keys(self.record, hub)),
                      made + LEEWAY).files()

    def _bundle(self, branch: Branch) -> dict[str, str]:
        credential = self.state.credential(branch.name)
        keys = [{"id": key.id, "algorithm": "hmac-sha256", "secret": key.hex}
                for key in self._babel(board_keys(self.record))]
        content = {"gateway.json": gateway_json(self.fleet, self.record, branch, keys)}
        for hub in self.fleet.hubs.values():
            content[f"{hub.name}.ovpn"] = branch_profile(
                self._title(branch.name, f"profile for {hub.name}"), hub,
                self._factory.authority().pem, credential.cert + self._intermediates(),
                credential.key, self._factory.client_key(branch.name, hub.name), self._crl())
        return content

    def _client(self, client: Client) -> str:
        credential = self.state.credential(client.name)
        hubs = [self.fleet.hubs[name] for name in client.hubs]
        return client_profile(
            self._title(client.name, "profile"), hubs, self._factory.authority().pem,
            credential.cert + self._intermediates(), credential.key,
            {hub.name: self._factory.client_key(client.name, hub.name) for hub in hubs},
            self._crl())

    def _title(self, name: str, what: str) -> str:
        return heading(self.fleet, self.record.fleet, name, what)

    def _babel(self, names: list[str]) -> list[Key]:
        return [self._factory.babel_key(name) for name in names] if self.fleet.signed else []

    def _intermediates(self) -> str:
        """What goes with each certificate where the CA is under a root."""
        chain = self._factory.authority().chain
        return "".join(pem(each) for each in chain[:-1])

    def _crl(self) -> str | None:
        """The revocation list for those who dial: only once it says something about a hub."""
        hubs_revoked = any(each.kind == SERVER for each in self.record.revoked)
        return self.state.secret("crl.pem") if hubs_revoked else None
