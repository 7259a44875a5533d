"""What an engine is: it carries out attempts; tunnel.tunnel decides which and when.

An engine has `name`, `kind` ("native", "openvpn"), `retry` (a Retry), `random_host` (whether the
names of servers get a random label), and

    open(now)                       gets ready; READY or FATAL follows as an event
    connect(index, address, now)    one attempt to the remote of that index at that address
                                    (octets); `patience_ms` is how long the server may take to
                                    answer at all
    disconnect(now)                 ends the attempt or the session politely; DOWN (STOPPED, "")
                                    follows
    rebind(now) -> bool             goes on with the session from a fresh socket; False: it cannot
    check(index, address, now) -> bool   asks beside the session whether that remote answers, and
                                    tells by ANSWER; False: it cannot
    close(now)                      takes everything away at once; open() may follow
    has_work()                      whether packets wait that it ought to send
    traffic()                       (octets sent, octets received) of the session, or None
    handle_timer(now), next_timer(), next_event()
    status()                        a dict of JSON values

It reads and writes its own descriptors when the poller calls it.
"""

from micropython import const

# Events: (kind, detail).
READY = const(1)  # detail: a list of openvpn.profile.Remote, in the profile's order
UP = const(2)  # detail: Link
DOWN = const(3)  # detail: (reason, text); the engine is ready for connect()
FATAL = const(4)  # detail: (reason, text); nothing would come of another attempt
NOTE = const(5)  # detail: (level, event, text) for the log
ANSWER = const(6)  # detail: whether the remote that check() asked does answer

# Reasons that the tunnel tells apart; every other one means "try again".
STOPPED = "stopped"
AUTH_FAILED = "auth-failed"
SERVER_RESTART = "server-restart"
TOKEN_EXPIRED = "auth-token"


# A server's pings may be lost twice in a row, and begin late.
_PINGS = const(3)
_GRACE_S = const(5)


def quiet_limit(ping_s, restart_s):
    """Link.quiet_ms for what `keepalive` at the server has pushed: it pings as often as it has us
    ping, and has us take its silence for its end."""
    if not ping_s or not restart_s:
        return None
    return min(_PINGS * ping_s + _GRACE_S, restart_s) * 1000


class Link:
    """A tunnel that is up, as routing and the watchdog see it.

    addresses: (octets, prefix length, peer or None); gateway, gateway_ipv6: the hub's addresses in
    the tunnel, None where it has none; server: the address outside of it. All in octets.
    ends_idle: the profile or the server wants the tunnel to end when it is idle. quiet_ms: a
    server that lives is heard at least once in this time, None where nobody says so. text: for
    the log.
    """

    def __init__(
        self,
        device,
        addresses,
        mtu,
        gateway,
        gateway_ipv6,
        server,
        ends_idle=False,
        quiet_ms=None,
    ):
        self.device = device
        self.addresses = addresses
        self.mtu = mtu
        self.gateway = gateway
        self.gateway_ipv6 = gateway_ipv6
        self.server = server
        self.ends_idle = ends_idle
        self.quiet_ms = quiet_ms
        self.text = ""


class Retry:
    """How a profile wants failures handled (OpenVPN manual, "Client Options"); times in seconds.

    max_rounds: connect-retry-max, 0 for no limit; poll_s: server-poll-timeout, or None where the
    profile leaves it to us; resolv_s: resolv-retry, None for "infinite"; auth_nointeract: refused
    credentials are tried again like any failure.
    """

    def __init__(
        self,
        first_s=1,
        max_s=None,
        max_rounds=0,
        random=False,
        poll_s=None,
        resolv_s=None,
        auth_nointeract=False,
    ):
        self.first_s = first_s
        self.max_s = max_s
        self.max_rounds = max_rounds
        self.random = random
        self.poll_s = poll_s
        self.resolv_s = resolv_s
        self.auth_nointeract = auth_nointeract
