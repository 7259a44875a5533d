"""Stock openvpn in the lab: a server with the profile that matches it, and a client."""

import dataclasses
import ipaddress
import re
import signal
import socket
import time

from host_tests.lab.errors import LabError
from host_tests.lab.netns import Host
from host_tests.lab.pki import Authority, Credential, Pki
from host_tests.lab.process import Process

_UP = "Initialization Sequence Completed"
_BUFFERS = ["sndbuf 2097152", "rcvbuf 2097152"]  # the kernel's default loses packets in bursts
_WRAPS = ("none", "tls-auth", "tls-crypt", "tls-crypt-v2")
_TIMEOUT = 20.0
_CHECK_USER = """#!/bin/sh
# openvpn gives the user and the password as the two lines of the file $1
exec grep -qxF "$(sed -n 1p "$1"):$(sed -n 2p "$1")" '{users}'
"""


@dataclasses.dataclass
class Options:
    """What a server and the profile of its clients agree on; see the OpenVPN 2.6 manual."""

    proto: str = "udp"  # udp, tcp, udp6, tcp6
    port: int = 1194
    wrap: str = "none"  # none, tls-auth, tls-crypt, tls-crypt-v2
    cookie: str | None = None  # tls-crypt-v2: force-cookie, allow-noncookie
    dev: str = "tun"  # tun, tap
    topology: str = "subnet"  # subnet, net30, p2p
    network: str = "10.8.0.0/24"
    network6: str | None = None
    data_ciphers: str = "AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305"
    fallback: str | None = None  # data-ciphers-fallback, for clients that do not negotiate
    auth: str = "SHA1"
    tls_min: str | None = None  # "1.2", "1.3"
    tls_max: str | None = None
    keepalive: tuple[int, int] = (1, 5)  # seconds
    reneg_sec: int | None = None
    reneg_bytes: int | None = None
    exit_notify: bool = False  # the server tells its clients when it stops (UDP)
    users: dict[str, str] = dataclasses.field(default_factory=dict, repr=False)
    push: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()  # prefixes behind clients; give each to one with ccd iroute
    ccd: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    server_lines: tuple[str, ...] = ()  # further directives, as they are
    client_lines: tuple[str, ...] = ()
    verb: int = 3


class Server:
    """A stock openvpn server on a host.

        server = Server(host, pki, proto="tcp", wrap="tls-crypt")
        server.start()
        profile = server.profile("lyon", address_of_host)
    """

    def __init__(self, host: Host, pki: Pki, *, name: str = "server", key: str = "P-256",
                 authority: Authority | None = None, credential: Credential | None = None,
                 **options):
        """`key` is the kind of all keys; `authority` signs both sides' certificates by default.

        `options` are the fields of Options.
        """
        self.host = host
        self.name = name
        self.options = Options(**options)
        if self.options.wrap not in _WRAPS:
            raise LabError(f"wrap is {self.options.wrap!r}: choose one of {', '.join(_WRAPS)}")
        self.authority = authority or pki.authority(f"Lab CA {key}", key)
        self.credential = credential or self.authority.issue(host.name, "server")
        self.process: Process | None = None
        self._pki = pki
        v2 = self.options.wrap == "tls-crypt-v2"
        self.wrap_key = pki.tls_crypt_v2_server_key() if v2 else pki.static_key()
        self._directory = host.directory / name
        self._directory.mkdir(mode=0o700)
        self._management = self._directory / "management"

    @property
    def address(self) -> str:
        """The server's own address inside the tunnel."""
        return str(ipaddress.ip_network(self.options.network)[1])

    @property
    def address6(self) -> str:
        """The server's own IPv6 address inside the tunnel."""
        if self.options.network6 is None:
            raise LabError(f"{self.name} has no network6")
        return str(ipaddress.ip_network(self.options.network6)[1])

    def start(self, timeout: float = _TIMEOUT) -> "Server":
        """Start the server and wait until it is ready."""
        config = self._write("server.conf", "\n".join(self._config()) + "\n")
        self.process = self.host.spawn(
            "openvpn", "--config", config, "--disable-dco", name=f"openvpn-{self.name}",
        )
        self.process.wait_for(_UP, timeout)
        return self

    def stop(self) -> None:
        """SIGTERM; with exit_notify the clients are told."""
        if self.process is not None:
            self.process.stop()

    def kill(self) -> None:
        """SIGKILL: the clients are told nothing."""
        if self.process is not None:
            self.process.kill()

    def restart(self) -> "Server":
        """A new process that knows nothing of the old one's clients."""
        self.kill()
        return self.start()

    def renegotiate(self) -> None:
        """Have all clients restart their sessions (SIGUSR1)."""
        self._running().signal(signal.SIGUSR1)

    def log(self) -> str:
        """What the present process has logged."""
        return self._running().log()

    def wait_for(self, pattern: str, timeout: float = _TIMEOUT, count: int = 1) -> re.Match:
        """Wait for `pattern` in the log."""
        return self._running().wait_for(pattern, timeout, count)

    def clients(self) -> list[dict[str, str]]:
        """Connected clients, with the columns' names of `status 3` ("Common Name" and so on)."""
        rows, columns = [], []
        for line in self.manage("status 3").splitlines():
            fields = line.split("\t")
            if fields[:2] == ["HEADER", "CLIENT_LIST"]:
                columns = fields[2:]
            elif fields[0] == "CLIENT_LIST":
                rows.append(dict(zip(columns, fields[1:], strict=True)))
        return rows

    def manage(self, command: str) -> str:
        """Give the management interface a command; return its answer without the last line."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_TIMEOUT)
            connection.connect(str(self._management))
            connection.sendall(command.encode() + b"\n")
            lines = []
            for line in connection.makefile():
                if line.startswith(">"):  # what it says unasked
                    continue
                if line.startswith(("END", "SUCCESS:", "ERROR:")):
                    if line.startswith("ERROR:"):
                        raise LabError(f"{self.name}: management refuses {command!r}: {line}")
                    break
                lines.append(line)
        return "".join(lines)

    def profile(self, client: str | Credential, *remotes: str, authority: Authority | None = None,
                wrap_key: str | None = None, lines: tuple[str, ...] = ()) -> str:
        """The .ovpn profile of a client, everything inline.

        client     a name, for which a certificate is issued, or a credential
        remotes    addresses or names; "ADDRESS PORT" where the port is not the server's
        authority  whose server certificates the client accepts, if not the server's own
        wrap_key   in place of the right key
        lines      directives to add
        """
        own = self.options
        credential = client
        if isinstance(client, str):
            credential = self.authority.issue(client, "client")
        text = ["client", f"dev {own.dev}", f"proto {own.proto}", "nobind", *self._common()]
        text += [f"remote {r}" if " " in r else f"remote {r} {own.port}" for r in remotes]
        text += ["remote-cert-tls server", "persist-key", *own.client_lines, *lines]
        text += _block("ca", (authority or self.authority).pem)
        text += _block("cert", credential.chain) + _block("key", credential.key)
        if own.users:
            user, password = next(iter(own.users.items()))
            text += _block("auth-user-pass", f"{user}\n{password}")
        if own.wrap != "none":
            text += self._client_wrap(wrap_key)
        return "\n".join(text) + "\n"

    def _client_wrap(self, key: str | None) -> list[str]:
        if self.options.wrap == "tls-crypt-v2":
            key = key or self._pki.tls_crypt_v2_client_key(self.wrap_key)
        direction = ["key-direction 1"] if self.options.wrap == "tls-auth" else []
        return direction + _block(self.options.wrap, key or self.wrap_key)

    def _common(self) -> list[str]:
        own = self.options
        lines = [f"data-ciphers {own.data_ciphers}", f"auth {own.auth}", *_BUFFERS]
        for directive, value in (
            ("data-ciphers-fallback", own.fallback), ("tls-version-min", own.tls_min),
            ("tls-version-max", own.tls_max),
        ):
            if value is not None:
                lines.append(f"{directive} {value}")
        return lines

    def _config(self) -> list[str]:
        own = self.options
        network = ipaddress.ip_network(own.network)
        lines = [
            f"dev-type {own.dev}", f"dev {self.name}", f"port {own.port}",
            f"proto {own.proto}", f"topology {own.topology}",
            f"server {network.network_address} {network.netmask}",
            *self._common(), f"keepalive {own.keepalive[0]} {own.keepalive[1]}",
            f"management {self._management} unix", f"verb {own.verb}", "dh none",
            f"ca {self.authority.path}", f"cert {self.credential.chain_path}",
            f"key {self.credential.key_path}",
        ]
        if own.network6:
            lines.append(f"server-ipv6 {own.network6}")
        for directive, value in (("reneg-sec", own.reneg_sec), ("reneg-bytes", own.reneg_bytes)):
            if value is not None:
                lines.append(f"{directive} {value}")
        if own.exit_notify:
            lines.append("explicit-exit-notify 1")
        if own.proto.startswith("tcp"):
            lines.append("tcp-nodelay")
        lines += self._server_wrap() + self._users() + self._ccd()
        lines += [f'push "{line}"' for line in own.push]
        return lines + list(own.server_lines)

    def _server_wrap(self) -> list[str]:
        wrap = self.options.wrap
        if wrap == "none":
            return []
        parameter = {"tls-auth": "0", "tls-crypt-v2": self.options.cookie or ""}.get(wrap, "")
        return [f"{wrap} {self._write('wrap.key', self.wrap_key)} {parameter}".rstrip()]

    def _users(self) -> list[str]:
        if not self.options.users:
            return []
        known = [f"{user}:{password}\n" for user, password in self.options.users.items()]
        users = self._write("users", "".join(known))
        script = self._write("check-user", _CHECK_USER.format(users=users))
        (self._directory / "check-user").chmod(0o700)
        return ["script-security 2", f"auth-user-pass-verify {script} via-file"]

    def _ccd(self) -> list[str]:
        directory = self._directory / "ccd"
        directory.mkdir(exist_ok=True)
        for client, lines in self.options.ccd.items():
            (directory / client).write_text("\n".join(lines) + "\n")
        routes = []
        for prefix in map(ipaddress.ip_network, self.options.routes):
            if prefix.version == 4:
                routes.append(f"route {prefix.network_address} {prefix.netmask}")
            else:
                routes.append(f"route-ipv6 {prefix}")
        return [f"client-config-dir {directory}", *routes]

    def _write(self, name: str, text: str) -> str:
        return str(Pki(self._directory).write(name, text))

    def _running(self) -> Process:
        if self.process is None:
            raise LabError(f"{self.name} has not been started")
        return self.process


class Client:
    """The stock client with a profile: what our gateway is compared with."""

    def __init__(self, host: Host, profile: str, *, name: str = "client", device: str = "tun0"):
        self.host = host
        self.name = name
        self.device = device
        self.process: Process | None = None
        self._profile = Pki(host.directory / name).write(f"{name}.ovpn", profile)

    def start(self) -> "Client":
        """Start the client; it is not up yet."""
        kind = "tap" if "\ndev tap" in self._profile.read_text() else "tun"
        self.process = self.host.spawn(
            "openvpn", "--config", str(self._profile), "--dev", self.device, "--dev-type", kind,
            "--verb", "4", "--disable-dco", name=f"openvpn-{self.name}",
        )
        return self

    def wait_up(self, timeout: float = _TIMEOUT, count: int = 1) -> float:
        """Wait until the tunnel is up (for the `count`th time); return seconds since start."""
        self.process.wait_for(_UP, timeout, count)
        return time.monotonic() - self.process.started

    def is_up(self) -> bool:
        """Whether the tunnel has come up and the process runs."""
        return self.process.running and _UP in self.process.log()

    def stop(self) -> int:
        """SIGTERM; return the exit code."""
        return self.process.stop()


def _block(name: str, text: str) -> list[str]:
    return [f"<{name}>", text.strip(), f"</{name}>"]
