"""A profile as the stock client is to run it: less the directives that the gateway decides on.

OpenVPN itself judges all the rest. Dropped lines become empty ones, so that the line numbers of
its messages stay those of the file.
"""

from branchline.tunnel.engine import Retry

# Why the gateway drops a directive.
_RETRIES = "the gateway decides when and where to connect"
_OURS = "the gateway watches over the process"
_LOGS = "messages go to the gateway's log"
_REMAINS = "device and address must go when the tunnel goes"
_DROPPED = {
    b"auth-retry": _RETRIES,
    b"connect-retry": _RETRIES,
    b"connect-retry-max": _RETRIES,
    b"daemon": _OURS,
    b"log": _LOGS,
    b"log-append": _LOGS,
    b"machine-readable-output": _LOGS,
    b"management": _OURS,
    b"management-client": _OURS,
    b"management-client-group": _OURS,
    b"management-client-user": _OURS,
    b"management-external-cert": _OURS,
    b"management-external-key": _OURS,
    b"management-forget-disconnect": _OURS,
    b"management-hold": _OURS,
    b"management-log-cache": _OURS,
    b"management-query-passwords": _OURS,
    b"management-query-proxy": _OURS,
    b"management-query-remote": _OURS,
    b"management-signal": _OURS,
    b"management-up-down": _OURS,
    b"mute": _LOGS,
    b"persist-remote-ip": _RETRIES,
    b"persist-tun": _REMAINS,
    b"remap-usr1": _OURS,
    b"remote-random": _RETRIES,
    b"remote-random-hostname": _RETRIES,
    b"resolv-retry": _RETRIES,
    b"suppress-timestamps": _LOGS,
    b"syslog": _LOGS,
    b"verb": _LOGS,
    b"writepid": _OURS,
}
# Changes no route, but OpenVPN tells the server's address in the tunnel only to who has some.
_NO_ROUTE = ("--redirect-private", "!ipv4")
_OPTIONS = (
    "--management-client",
    "--management-hold",
    "--management-query-remote",
    "--management-query-passwords",
    "--management-up-down",
    "--connect-retry",
    "1",
    "1",
    "--connect-retry-max",
    "0",
    "--resolv-retry",
    "0",
    "--auth-retry",
    "nointeract",
    "--disable-dco",
    "--verb",
    "2",  # names the ciphers, but no commands
    "--suppress-timestamps",
)
INPUT = "/proc/self/fd/0"  # standard input, from its beginning each time
_CONNECTION = b"<connection>"
_MAX_RETRY_S = 300  # connect-retry's own default, for who sets its first number
_BOM = b"\xef\xbb\xbf"


class StockProfile:
    """`config`: the text for OpenVPN (octets; it may hold secrets); `retry`: what was taken out
    of it, as a Retry; `dropped`: (directive, line number, reason); `dev_type`: "tun" or "tap";
    `has_blocks`: whether remotes differ in more than host, port and protocol;
    `random_hostname`: whether names to resolve get a random label."""

    def __init__(self, text):
        self.retry = Retry()
        self.dropped = []
        self.dev_type = "tun"
        self.has_blocks = False
        self.random_hostname = False
        typed = False
        end = None  # of the inline file that the line belongs to
        kept = []
        for number, line in enumerate(text.split(b"\n"), 1):
            words = line.lstrip(_BOM).split() if number == 1 else line.split()
            name = words[0] if words else b""
            if end is not None:
                end = None if name == end else end
            elif name[:1] == b"<" and name[:2] != b"</":
                if name == _CONNECTION:
                    self.has_blocks = True
                else:
                    end = b"</" + name[1:]
            else:
                name = name[2:] if name[:2] == b"--" else name
                if name in _DROPPED:
                    self._drop(name, words, number)
                    line = b""
                elif name == b"dev-type" and len(words) > 1:
                    self.dev_type = "tap" if words[1] == b"tap" else "tun"
                    typed = True
                elif name == b"dev" and len(words) > 1 and not typed:
                    self.dev_type = "tap" if words[1][:3] == b"tap" else "tun"
            kept.append(line)
        self.config = b"\n".join(kept)

    def _drop(self, name, words, number):
        self.dropped.append((name.decode(), number, _DROPPED[name]))
        retry = self.retry
        first = words[1] if len(words) > 1 else b""
        if name == b"connect-retry":
            retry.first_s = _seconds(first, retry.first_s)
            retry.max_s = _seconds(words[2] if len(words) > 2 else b"", _MAX_RETRY_S)
        elif name == b"connect-retry-max":
            retry.max_rounds = _seconds(first, 0)
        elif name == b"resolv-retry":
            retry.resolv_s = _seconds(first, None)
        elif name == b"auth-retry":
            retry.auth_nointeract = first != b"none"
        elif name == b"remote-random":
            retry.random = True
        elif name == b"remote-random-hostname":
            self.random_hostname = True


def _seconds(word, otherwise):
    """A plain decimal number of at most six digits, or `otherwise`."""
    return int(word) if word.isdigit() and len(word) < 7 else otherwise


def arguments(program, folder, path, stock, device=None, rank=0):
    """The command line for a StockProfile that comes on standard input. What stands behind the
    profile overrides it: failures are answered by the gateway, not by the process."""
    argv = [program]
    argv.extend(_NO_ROUTE)
    argv.extend(("--cd", folder, "--config", INPUT, "--management", path, "unix"))
    argv.extend(_OPTIONS)
    if device:
        argv.extend(("--dev", device, "--dev-type", stock.dev_type))
    if rank:
        argv.extend(("--route-metric", str(rank)))
    return argv
