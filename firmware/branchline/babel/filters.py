"""Which prefixes may be learned and announced, and why one is refused."""

from branchline.babel.prefix import covers, prefix_key

_MARTIANS = tuple(
    [
        prefix_key(start + bytes(size - len(start)), plen)
        for start, plen, size in (
            (b"", 8, 4),
            (b"\x7f", 8, 4),
            (b"\xa9\xfe", 16, 4),
            (b"\xe0", 3, 4),
            (b"", 127, 16),  # the unspecified address and loopback
            (b"\0" * 10 + b"\xff\xff", 96, 16),  # IPv4-mapped
            (b"\xfe\x80", 10, 16),
            (b"\xff", 8, 16),
        )
    ]
)


def is_martian(key):
    """Whether the prefix lies in what is never routed: loopback, link-local, multicast, ..."""
    return any([covers(martian, key) for martian in _MARTIANS])


class Rule:
    """A prefix with what may lie within it; None matches any interface or neighbour.

    prefix: 4 or 16 octets; longest, shortest: prefix lengths (by default all that fit);
    interface: its name; neighbour: its link-local address, 16 octets.
    """

    def __init__(
        self, prefix, plen, shortest=None, longest=None, interface=None, neighbour=None, allow=True
    ):
        self.key = prefix_key(prefix, plen)
        self.shortest = plen if shortest is None else shortest
        self.longest = len(prefix) * 8 if longest is None else longest
        self.interface = interface
        self.neighbour = neighbour
        self.allow = allow

    def matches(self, key, interface, neighbour):
        """Whether the rule decides about a prefix on this interface from or to this neighbour."""
        return (
            self.shortest <= key[1] <= self.longest
            and (self.interface is None or self.interface == interface)
            and (self.neighbour is None or self.neighbour == neighbour)
            and covers(self.key, key)
        )


class Policy:
    """Rules for what is accepted and announced: the first that matches decides.

    An empty list allows all but the default route, which takes a rule of its own; a list that
    is not empty refuses what no rule matches. Whatever the rules say: `protected` are the
    addresses (octets) of the tunnels' remotes, as a route that covers one would lead a tunnel
    into itself; `own` are pairs (key, interface) of our prefixes, within which nothing is
    learned but on the interface, if any, that leads there.
    """

    def __init__(self, accept=(), announce=(), own=()):
        self.accept = _Rules(accept)
        self.announce = _Rules(announce)
        self.own = list(own)
        self.protected = []

    def replace_accept(self, rules):
        """Accepts by other rules from here on."""
        self.accept = _Rules(rules)

    def refusal(self, key, interface, neighbour):
        """The name of the reason for not learning a route, or None."""
        if is_martian(key):
            return "martian"
        for own, leads_there in self.own:
            if leads_there != interface and covers(own, key):
                return "own_prefix"
        rule = self.accept.first(key, interface, neighbour)
        if key[1] == 0 and (rule is None or rule.key[1] != 0):
            return "default_route"
        for address in self.protected:
            if covers(key, prefix_key(address, len(address) * 8)):
                return "covers_remote"
        if rule is None:
            return None if self.accept.empty else "not_accepted"
        return None if rule.allow else "not_accepted"

    def may_announce(self, key, interface):
        """Whether a prefix may be announced on an interface (its name)."""
        rule = self.announce.first(key, interface, None)
        return self.announce.empty if rule is None else rule.allow


class _Rules:
    """Rules in their order. A hub has hundreds for one prefix each, so these are not searched."""

    def __init__(self, rules):
        self.empty = not rules
        self._ranges = []  # (place, rule)
        self._exact = {}  # key -> the same, of rules for that prefix alone
        for place, rule in enumerate(rules):
            if rule.shortest == rule.longest == rule.key[1]:
                self._exact.setdefault(rule.key, []).append((place, rule))
            else:
                self._ranges.append((place, rule))

    def first(self, key, interface, neighbour):
        """The first rule that decides about a prefix, or None."""
        found = None
        for rules in (self._exact.get(key, ()), self._ranges):
            for place, rule in rules:
                if found and place > found[0]:
                    break
                if rule.matches(key, interface, neighbour):
                    found = place, rule
                    break
        return found and found[1]
