"""The files that say where names are found: /etc/hosts and /etc/resolv.conf (resolv.conf(5))."""

from micropython import const

from branchline.wire import ip

_MAX_SERVERS = const(3)
_MAX_SEARCH = const(6)


def _lines(path):
    """Yields the words of each line, without comments; nothing if the file cannot be read."""
    try:
        with open(path) as file:
            for line in file:
                words = line.replace(";", "#").split("#")[0].split()
                if words:
                    yield words
    except OSError:
        pass


def find_in_hosts(path, host, sizes):
    """The addresses (octets) of a host in a hosts file whose length is one of `sizes`."""
    host = host.lower()
    found = []
    for words in _lines(path):
        if host in [name.lower() for name in words[1:]]:
            try:
                address = ip.parse_address(words[0])
            except ValueError:
                continue
            if len(address) in sizes and address not in found:
                found.append(address)
    return found


class ResolvConf:
    """What a resolv.conf says: `servers` (texts; without any the local host), `search` (domains),
    `ndots`, `timeout_ms` of one try and `attempts` for each server."""

    def __init__(self, path):
        self.servers = []
        self.search = []
        self.ndots = 1
        self.timeout_ms = 5000
        self.attempts = 2
        for words in _lines(path):
            if words[0] == "nameserver" and len(self.servers) < _MAX_SERVERS:
                self.servers.extend(words[1:2])
            elif words[0] in ("search", "domain"):
                self.search = words[1 : 1 + _MAX_SEARCH]
            elif words[0] == "options":
                for option in words[1:]:
                    self._set_option(option)
        if not self.servers:
            self.servers = ["127.0.0.1"]

    def _set_option(self, option):
        name, _, text = option.partition(":")
        if not text.isdigit():
            return
        value = int(text)
        if name == "ndots":
            self.ndots = min(value, 15)
        elif name == "timeout":
            self.timeout_ms = min(max(value, 1), 30) * 1000
        elif name == "attempts":
            self.attempts = min(max(value, 1), 5)

    def candidates(self, host):
        """The names to try for a host, in order: with `ndots` dots as it stands first, else with
        the search domains first; with a final dot as it stands only."""
        if host.endswith("."):
            return [host[:-1]]
        names = [host + "." + domain.rstrip(".") for domain in self.search]
        if host.count(".") >= self.ndots:
            return [host] + names
        return names + [host]
