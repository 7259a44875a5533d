"""The remotes of a stock OpenVPN process: its list, and how to answer its >REMOTE."""

from branchline.openvpn.profile import Remote
from branchline.wire.ip import format_address

_FIELDS = 5  # index, host, port, protocol, "enabled" or "disabled"


def read_entries(lines):
    """(entries, those that are enabled) of `remote-entry-get all`; an entry is (host, port,
    protocol) as OpenVPN spells them, which is also how it asks."""
    rows = [line.split(",") for line in lines]
    rows = [row for row in rows if len(row) == _FIELDS]
    entries = [tuple(row[1:4]) for row in rows]
    return entries, [entry for entry, row in zip(entries, rows) if row[4] == "enabled"]


def remote_of(entry, label=""):
    """An entry as a Remote; label: what comes before the name to be resolved."""
    host, port, proto = entry
    number = int(port) if port.isdigit() and len(port) < 6 else port
    return Remote(label + host, number, proto.replace("-client", ""))


def remote_text(entry, address):
    """An entry reached at an address, for people, such as "192.0.2.1:1194/udp"."""
    where = format_address(address)
    if ":" in where:
        where = "[" + where + "]"
    return "%s:%s/%s" % (where, entry[1], entry[2][:3])


class RemoteQuery:
    """Leads the process to one remote: `target`, an entry, at `address`.

    `remote SKIP n` goes n entries on, round the end of the list, counting disabled ones, and has
    OpenVPN ask again; it ends itself where that leads round twice. MOD replaces host and port.
    """

    def __init__(self, target, address, entries, has_blocks):
        self._target = target
        self._address = address
        self._entries = entries
        self._has_blocks = has_blocks  # remotes differ in more than host, port and protocol
        self._skips = 0

    def answer(self, asked):
        """The command that answers the entry that it asks about, or None: there is no way."""
        target = self._target
        alike = not self._has_blocks and asked[2:] == target[2:]
        if asked == target or alike:
            return "remote MOD %s %s" % (format_address(self._address), target[1])
        entries = self._entries
        if asked not in entries or target not in entries or self._skips == len(entries):
            return None
        self._skips += 1
        return "remote SKIP %d" % ((entries.index(target) - entries.index(asked)) % len(entries))
