"""A gateway's policy, as `filter` in gateway.json says it."""


class Table:
    """What may pass between the tunnels and what is behind this gateway.

    own: what is behind it, and peers: by the names that rules give them, what others have; each a
    set as filter.prefixes packs it. rules: (whether this side opens it, the others' name,
    services), the last as octets: five for each, as filter.packet reads them.
    """

    def __init__(self, own, peers, rules):
        self.own = own
        self.peers = peers
        self.rules = rules
