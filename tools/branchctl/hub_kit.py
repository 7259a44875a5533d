"""A hub's kit: the installer, and under files/ what it puts in place."""

import datetime
from importlib import resources

from branchctl import babel_conf, firewall, hub_agent, openvpn_conf, sources
from branchctl.kit_names import Instance, MeshLink, instances, mesh_links
from branchctl.model import BABELD, BIRD, BRANCHLINE, Fleet, Hub
from branchctl.profile import heading
from branchctl.record import Record

_OURS, _OPENVPN, _UNITS = "etc/branchline", "etc/openvpn/server", "etc/systemd/system"
_KEYS = f"{_OPENVPN}/{openvpn_conf.FOLDER}"
_SCRIPTS = "usr/local/lib/branchline"
_NETWORK = f"{_SCRIPTS}/hub-network"
_SYSCTL = "etc/sysctl.d/90-branchline.conf"
_FIRMWARE = "usr/local/lib/branchline/firmware.tar"
_AGENT = f"{_OURS}/agent/gateway.json"
_NETWORK_UNIT = "branchline-network.service"
_BABEL_UNIT = "branchline-babel.service"
_AGENT_UNIT = "branchline-agent.service"
_RUN = "@ROOT@/run/branchline"
_COMMANDS = {
    BABELD: f"/usr/sbin/babeld -c @ROOT@/{_OURS}/babeld-keys.conf "
              f"-c @ROOT@/{_OURS}/babeld.conf -I {_RUN}/babeld.pid "
              f"-S @ROOT@/var/lib/branchline/babel-state -G {_RUN}/babeld.sock",
    BIRD: f"/usr/sbin/bird -f -c @ROOT@/{_OURS}/bird.conf -s {_RUN}/bird.sock "
            f"-P {_RUN}/bird.pid",
}
_RELOADS = {
    BABELD: f"@ROOT@/{_SCRIPTS}/babeld-keys {_RUN}/babeld.sock @ROOT@/{_OURS}/babeld-keys.conf",
    BIRD: f"/usr/sbin/birdc -s {_RUN}/bird.sock configure",
}
# What babeld leaves behind in a crash keeps it from starting again.
_BABELD_LEFT = f"ExecStartPre=/bin/rm -f {_RUN}/babeld.pid {_RUN}/babeld.sock\n"


class HubKit:
    """What a kit is made of. `keys` are file names in OpenVPN's folder and their texts."""

    def __init__(self, fleet: Fleet, record: Record, hub: Hub, keys: dict[str, str],
                 babel_keys: list[babel_conf.Key], made: datetime.datetime):
        self._fleet, self._record, self._hub = fleet, record, hub
        self._keys, self._babel_keys, self._made = keys, babel_keys, made
        self._instances = instances(hub)
        self._links = mesh_links(fleet, record, hub)

    def files(self) -> dict[str, str | bytes]:
        """The kit's files by their names in it."""
        installed = {
            f"{_OURS}/kit": self._identity(),
            f"{_OURS}/hub.env": self._environment(),
            f"{_OURS}/policy.nft": firewall.hub_rules(
                self._fleet, self._record, self._hub, self._title("firewall")),
            _AGENT: hub_agent.gateway_json(
                self._fleet, self._record, self._hub, self._babel_keys),
            _FIRMWARE: sources.archive(),
            **{f"{_SCRIPTS}/{name}": _static(name)
               for name in ("hub-network", "hub-drain", "babeld-keys")},
            _SYSCTL: _static("90-branchline.conf"),
            f"{_UNITS}/{_NETWORK_UNIT}": _static(_NETWORK_UNIT),
            f"{_UNITS}/{_AGENT_UNIT}": _static(_AGENT_UNIT),
            **{f"{_KEYS}/{name}": text for name, text in self._keys.items()},
        }
        if self._hub.babel != BRANCHLINE:
            installed |= {f"{_OURS}/{name}": text for name, text in self._babel().items()}
            installed[f"{_UNITS}/{_BABEL_UNIT}"] = self._babel_unit()
        for instance in self._instances:
            installed[_conf(instance)] = openvpn_conf.server(
                self._title(f"server {instance.name}"), instance)
            installed.update(self._clients(instance))
        for link in self._links:
            installed[_conf(link)] = openvpn_conf.mesh(self._title(f"link to {link.peer}"), link)
        for each in (*self._instances, *self._links):
            installed[f"{_UNITS}/{_unit(each)}.d/branchline.conf"] = _static("openvpn.conf")
        return {"install.sh": _static("install.sh"), "units": self._units(),
                **{f"files/{path}": text for path, text in installed.items()}}

    def _title(self, what: str) -> str:
        return heading(self._fleet, self._record.fleet, self._hub.name, what) + \
            "\n# Made by branchctl; the next kit overwrites what is changed here."

    def _identity(self) -> str:
        """What the installer compares and looks up."""
        return "".join(f"{name} {value}\n" for name, value in {
            "fleet": self._record.fleet, "network": self._fleet.network, "hub": self._hub.name,
            "babel": self._hub.babel, "made": int(self._made.timestamp())}.items())

    def _environment(self) -> str:
        prefixes = " ".join(map(str, self._hub.networks()))
        return f"ADDRESS={self._record.addresses[self._hub.name]}\nPREFIXES='{prefixes}'\n" \
               f"HELLO_MS={self._fleet.hello_ms}\n"

    def _babel(self) -> dict[str, str]:
        """The Babel daemon's files."""
        arguments = self._fleet, self._record, self._hub
        if self._hub.babel == BIRD:
            return {"bird.conf": babel_conf.bird(*arguments, self._babel_keys,
                                                 self._title("Babel"))}
        key = self._babel_keys[0] if self._babel_keys else None
        return {"babeld.conf": babel_conf.babeld(*arguments, key, self._title("Babel")),
                "babeld-keys.conf": babel_conf.babeld_keys(key, self._title("Babel's key"))}

    def _babel_unit(self) -> str:
        unit = _static(_BABEL_UNIT)
        unit = unit.replace("@COMMAND@", _COMMANDS[self._hub.babel])
        unit = unit.replace("@BEFORE@", _BABELD_LEFT if self._hub.babel == BABELD else "")
        return unit.replace("@RELOAD@", _RELOADS[self._hub.babel])

    def _served(self) -> list[str]:
        """The stock clients that may connect here."""
        return [client.name for client in self._fleet.clients.values()
                if self._hub.name in client.hubs and client.name not in self._record.blocked]

    def _clients(self, instance: Instance) -> dict[str, str]:
        folder = f"{_KEYS}/{instance.name}"
        arguments = self._fleet, self._record
        found = {f"{folder}/{branch.name}": openvpn_conf.branch_ccd(*arguments, branch, instance)
                 for branch in self._fleet.branches.values()
                 if branch.name not in self._record.blocked}
        gateway = self._record.addresses[self._hub.name]
        for name in self._served():
            found[f"{folder}/{name}"] = openvpn_conf.client_ccd(
                *arguments, self._fleet.clients[name], gateway)
        return found

    def _units(self) -> str:
        """What the installer starts, in order: unit, how it takes up changes, of which files.

        A unit has a line for each way in which it takes up changes. OpenVPN reads
        client-config-dirs and the CRL at each connection.
        """
        common = [f"{_KEYS}/ca.crt"]
        hub_keys = [f"{_KEYS}/hub.crt", f"{_KEYS}/hub.key"]
        lines = [f"{_NETWORK_UNIT} reload {_OURS}/hub.env {_OURS}/policy.nft "
                 f"{_NETWORK} {_SYSCTL}"]
        for each in self._instances:
            lines.append(" ".join([_unit(each), "restart", _conf(each), *common, *hub_keys,
                                   f"{_KEYS}/tls-crypt-v2.key"]))
        for link in self._links:
            own = hub_keys if link.listens else [f"{_KEYS}/mesh.crt", f"{_KEYS}/mesh.key"]
            lines.append(" ".join([_unit(link), "restart", _conf(link), *common, *own,
                                   f"{_KEYS}/mesh-{link.peer}.key"]))
        if self._hub.babel == BIRD:
            lines += [f"{_BABEL_UNIT} restart {_UNITS}/{_BABEL_UNIT}",
                      f"{_BABEL_UNIT} reload {_OURS}/bird.conf"]
        elif self._hub.babel == BABELD:
            # Of all that babeld reads only a key can be changed while it runs.
            lines += [f"{_BABEL_UNIT} restart {_OURS}/babeld.conf {_UNITS}/{_BABEL_UNIT}",
                      f"{_BABEL_UNIT} reload {_OURS}/babeld-keys.conf"]
        lines.append(f"{_AGENT_UNIT} restart {_AGENT} {_FIRMWARE} {_UNITS}/{_AGENT_UNIT}")
        return "\n".join(lines) + "\n"


def _unit(each: Instance | MeshLink) -> str:
    return f"openvpn-server@{each.unit}.service"


def _conf(each: Instance | MeshLink) -> str:
    return f"{_OPENVPN}/{each.unit}.conf"


def _static(name: str) -> str:
    return (resources.files("branchctl") / "hub_files" / name).read_text()
