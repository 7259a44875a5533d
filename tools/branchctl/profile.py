"""Stock OpenVPN client profiles: of a branch toward one hub, of a client toward several."""

from collections.abc import Iterable

from branchctl.model import Fleet, Hub

CIPHERS = "AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305"
_COMMON = (
    "client", "dev tun", "nobind", "resolv-retry infinite", "connect-retry 1 30",
    "server-poll-timeout 5", "remote-cert-tls server", "tls-version-min 1.2",
    f"data-ciphers {CIPHERS}",
)


def heading(fleet: Fleet, identity: str, name: str, what: str) -> str:
    """The first line of whatever is made for a member; it tells one fleet's files from others'."""
    return f"# Branchline: {what} of {name}, network {fleet.network}, fleet {identity}"


def branch_profile(title: str, hub: Hub, ca: str, cert: str, key: str, wrap_key: str,
                   crl: str | None) -> str:
    """The profile with which a branch's gateway reaches one hub."""
    lines = [title, *_COMMON, f"verify-x509-name {hub.name} name", *_remotes([hub])]
    return _text(lines, ca, cert, key, crl, wrap_key)


def client_profile(title: str, hubs: list[Hub], ca: str, cert: str, key: str,
                   wrap_keys: dict[str, str], crl: str | None) -> str:
    """The profile of a stock client: the first hub that answers serves it.

    Only hubs have certificates for servers, so no name needs to be verified. Where hubs differ in
    their keys for tls-crypt-v2, each remote has its own.
    """
    lines = [title, *_COMMON, "verb 3"]
    if len(set(wrap_keys.values())) == 1:
        return _text(lines + _remotes(hubs), ca, cert, key, crl, next(iter(wrap_keys.values())))
    for hub in hubs:
        for remote in _remotes([hub]):
            lines += ["<connection>", remote, *_block("tls-crypt-v2", wrap_keys[hub.name]),
                      "</connection>"]
    return _text(lines, ca, cert, key, crl)


def _remotes(hubs: Iterable[Hub]) -> list[str]:
    return [f"remote {endpoint.host} {endpoint.port} "
            f"{'tcp-client' if endpoint.proto == 'tcp' else 'udp'}"
            for hub in hubs for endpoint in hub.endpoints]


def _text(lines: list[str], ca: str, cert: str, key: str, crl: str | None,
          wrap_key: str | None = None) -> str:
    for name, text in (("ca", ca), ("cert", cert), ("key", key), ("crl-verify", crl),
                       ("tls-crypt-v2", wrap_key)):
        if text:
            lines = [*lines, *_block(name, text)]
    return "\n".join(lines) + "\n"


def _block(name: str, text: str) -> list[str]:
    return [f"<{name}>", text.strip(), f"</{name}>"]
