"""What an OpenVPN server says, for the tests of a hub's agent."""

HEADERS = (
    "TITLE\tOpenVPN 2.6.14",
    "TIME\t2026-11-26 17:48:45\t1000",
    "HEADER\tCLIENT_LIST\tCommon Name\tReal Address\tVirtual Address\tVirtual IPv6 Address"
    "\tBytes Received\tBytes Sent\tConnected Since\tConnected Since (time_t)\tUsername"
    "\tClient ID\tPeer ID\tData Channel Cipher",
)
ROUTES = (
    "HEADER\tROUTING_TABLE\tVirtual Address\tCommon Name\tReal Address\tLast Ref"
    "\tLast Ref (time_t)"
)
END = ("GLOBAL_STATS\tMax bcast/mcast queue length\t1", "GLOBAL_STATS\tdco_enabled\t0")


def client(name, cid, address, created=990, real=None):
    """A line of the list of clients."""
    fields = ("CLIENT_LIST", name, real or _real(cid), address, "", "1", "2", "then",
              str(created), "UNDEF", str(cid), "0", "AES-256-GCM")  # fmt: skip
    return "\t".join(fields)


def route(name, cid, prefix):
    """A line of the routing table."""
    return "\t".join(("ROUTING_TABLE", prefix, name, _real(cid), "then", "990"))


def _real(cid):
    return "192.0.2.%s:1194" % cid


def answer(*lines):
    """The octets of an answer to `status 3`: clients first, then routes."""
    clients = [line for line in lines if line.startswith("CLIENT")]
    routes = [line for line in lines if not line.startswith("CLIENT")]
    whole = HEADERS + tuple(clients) + (ROUTES,) + tuple(routes) + END + ("END",)
    return "".join([line + "\r\n" for line in whole]).encode()
