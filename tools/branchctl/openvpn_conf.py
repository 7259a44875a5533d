"""A hub's OpenVPN configuration: servers for branches and clients, links with other hubs.

Paths are relative to /etc/openvpn/server, where the stock unit openvpn-server@ works; @ROOT@ is
replaced by the installer.
"""

from branchctl.bundle import cover
from branchctl.kit_names import LINK_LOCAL, Instance, MeshLink
from branchctl.model import Branch, Client, Fleet
from branchctl.policy import reachable
from branchctl.profile import CIPHERS
from branchctl.reader import Network
from branchctl.record import Record

FOLDER = "branchline"  # of keys and client-config-dirs
_MAX_ROUTES = 40  # pushed to a client: they must fit into a few control messages
# A dead peer is noticed after 10 s, on the hub after 20 s: enough for stock clients. Branches
# have probes and Babel, which notice within a second, and quicker pings would only cost.
_KEEPALIVE = "keepalive 2 10"


def server(title: str, instance: Instance) -> str:
    """The configuration of a server process.

    It is what `server` stands for, less its pool and its belief that all addresses of clients
    lie in the tunnel's subnet: stock clients have their virtual address as the only one.
    """
    udp = instance.proto == "udp"
    lines = [
        title, "mode server", "tls-server", "topology subnet",
        "dev-type tun", f"dev {instance.device}",
        # The IPv6 socket serves IPv4, too.
        f"proto {'udp6' if udp else 'tcp6-server'}", f"port {instance.port}",
        f"ifconfig {instance.address} {instance.network.netmask}",
        'push "topology subnet"', f'push "route-gateway {instance.address}"',
        "# Babel needs link-local addresses that OpenVPN knows.",
        "server-ipv6 fe80::/64",
        *_identity("hub"), "remote-cert-tls client",
        f"tls-crypt-v2 {FOLDER}/tls-crypt-v2.key",
        "# Nobody without a file here is served; the files say which addresses are whose.",
        f"client-config-dir {FOLDER}/{instance.name}", "ccd-exclusive",
        _KEEPALIVE,
        "# The kernel's data offload loses Babel's multicast.",
        "disable-dco",
        f"management @ROOT@/run/branchline/{instance.name}.sock unix",
        "persist-key", "verb 3",
    ]
    if udp:
        lines += ["multihome", "sndbuf 1048576", "rcvbuf 1048576", "explicit-exit-notify 1",
                  'push "explicit-exit-notify 1"']
    else:
        lines += ["tcp-nodelay"]
    return "\n".join(lines) + "\n"


def mesh(title: str, link: MeshLink) -> str:
    """The configuration of a link with another hub."""
    lines = [
        title, "mode p2p", "dev-type tun", f"dev {link.device}",
        # The IPv6 socket serves IPv4, too; who calls takes whichever the name leads to.
        f"proto {'udp6' if link.listens else 'udp'}",
        f"ifconfig {link.own} {link.other}", f"verify-x509-name {link.peer} name",
    ]
    if link.listens:
        lines += ["tls-server", f"lport {link.port}", "multihome", *_identity("hub"),
                  "remote-cert-tls client"]
    else:
        lines += ["tls-client", "nobind", f"remote {link.host} {link.port}",
                  "resolv-retry infinite", *_identity("mesh"), "remote-cert-tls server"]
    lines += [f"tls-crypt {FOLDER}/mesh-{link.peer}.key", "ping 1", "ping-restart 5",
              "ping-timer-rem", "explicit-exit-notify 1", "persist-tun", "persist-key",
              "disable-dco", "verb 3"]
    return "\n".join(lines) + "\n"


def _identity(name: str) -> list[str]:
    return [f"ca {FOLDER}/ca.crt", f"cert {FOLDER}/{name}.crt", f"key {FOLDER}/{name}.key",
            "dh none", f"crl-verify {FOLDER}/crl.pem", "tls-version-min 1.2",
            f"data-ciphers {CIPHERS}"]


def branch_ccd(fleet: Fleet, record: Record, branch: Branch, instance: Instance) -> str:
    """What a server must know of a branch: its addresses in the tunnel, of which Babel needs the
    link-local one, and what may come from it."""
    number = record.numbers[branch.name]
    lines = [
        f"ifconfig-push {instance.network[number]} {instance.network.netmask}",
        f"ifconfig-ipv6-push {LINK_LOCAL.format(number)}/64",
        f"iroute {record.addresses[branch.name]} 255.255.255.255",
        *(_iroute(lan.network) for lan in branch.lans),
    ]
    return "\n".join(lines) + "\n"


def client_ccd(fleet: Fleet, record: Record, client: Client, gateway: str) -> str:
    """What a server must know of a stock client: its virtual address, which is its only one, and
    the routes to whatever it may reach or be reached from. `gateway` is any other virtual address,
    as every packet into a tun device leaves it at the hub."""
    lines = [
        f"ifconfig-push {record.addresses[client.name]} {fleet.virtual.netmask}",
        "push-remove route-gateway", f'push "route-gateway {gateway}"',
        "push-remove ifconfig-ipv6",
    ]
    others = [network for name in reachable(fleet, client.name)
              for network in fleet.members[name].networks() if network.version == 4]
    lines += [f'push "route {each.network_address} {each.netmask}"'
              for each in cover(others, _MAX_ROUTES)]
    return "\n".join(lines) + "\n"


def _iroute(network: Network) -> str:
    if network.version == 6:
        return f"iroute-ipv6 {network}"
    return f"iroute {network.network_address} {network.netmask}"
