"""Hosts that are addresses already: nobody has to be asked."""

from branchline.wire.ip import parse_address

# The resolver's families.
FAMILIES = {0: 0, 4: 2, 6: 10}


class Numeric:
    """The answer to a question about what is an address itself: as a resolver's Query."""

    done = True

    def __init__(self, address, family):
        fits = family in (0, 4 if len(address) == 4 else 6)
        self.addresses = [address] if fits else []
        self.error = "" if fits else "an address of the other family"


def numeric(host, family):
    """The Numeric of a host that is an address, or None; family 4, 6 or 0 for both."""
    try:
        return Numeric(parse_address(host), family)
    except ValueError:
        return None
