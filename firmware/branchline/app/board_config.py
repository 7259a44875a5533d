"""board.json, beside gateway.json: what on Linux the system's own configuration says.

    {"wan": {"address": "192.0.2.5/24", "gateway": "192.0.2.1", "dns": "192.0.2.1"},
     "lans": {"eth0.11": "192.168.11.1"}, "time": ["pool.ntp.org"]}

All of it may be missing, and the file, too: the WAN is then DHCP's, and a LAN's own address the
first of its prefix.
"""

from micropython import const

from branchline.app.json_object import JsonObject, fail, parsed
from branchline.app.json_text import JsonError, parse_json
from branchline.wire.errors import ConfigError
from branchline.wire.ip import masked, parse_ipv4

_FILE = "board.json"
_TIME_SERVERS = ("pool.ntp.org",)
_MAX_SERVERS = const(4)
_MAX_FILE = const(4096)


class Board:
    """static: None or (address, prefix length, gateway, name server); lans: (interface, address,
    prefix length); time_servers: names or addresses."""

    def __init__(self):
        self.static = None
        self.lans = []
        self.time_servers = _TIME_SERVERS


def read_board(folder, lans):
    """The Board; lans: app.settings.Lan. Raises ConfigError."""
    try:
        with open(folder + "/" + _FILE) as file:
            text = file.read(_MAX_FILE)
    except OSError:
        text = "{}"
    try:
        return _board(JsonObject(parse_json(text), ""), lans)
    except JsonError as error:
        where, reason, hint = str(error.line), "not JSON: " + error.args[0], "correct that line"
    except ConfigError as error:
        where, reason, hint = error.where.partition(": ")[2], error.reason, error.hint
    raise ConfigError(_FILE + ": " + where if where else _FILE, reason, hint)


def _board(top, lans):
    top.allow("wan", "lans", "time")
    board = Board()
    if top.has("wan"):
        board.static = _static(top.member("wan"))
    own = top.member("lans") if top.has("lans") else JsonObject({}, "lans")
    own.allow(*[lan.interface for lan in lans])
    for lan in lans:
        if len(lan.prefix) == 4:
            board.lans.append((lan.interface, _lan_address(own, lan), lan.plen))
    servers = top.items("time", _MAX_SERVERS)
    if servers:
        board.time_servers = [_name(where, value) for where, value in servers]
    return board


def _static(item):
    item.allow("address", "gateway", "dns")
    text, _, length = item.text("address").partition("/")
    if not length.isdigit() or not 0 < int(length) < 32:
        fail(item.at("address"), "needs a prefix length", 'as in "192.0.2.5/24"')
    addresses = [parsed(parse_ipv4, text, item.at("address"))]
    for key in ("gateway", "dns"):
        addresses.append(parsed(parse_ipv4, item.text(key), item.at(key)))
    return addresses[0], int(length), addresses[1], addresses[2]


def _lan_address(own, lan):
    """The board's own address on a LAN."""
    name = lan.interface
    if not own.has(name):
        return lan.prefix[:3] + bytes([lan.prefix[3] + 1])
    address = parsed(parse_ipv4, own.text(name), own.at(name))
    if masked(address, lan.plen) != lan.prefix:
        fail(own.at(name), "is not within the LAN's prefix of gateway.json")
    return address


def _name(where, value):
    if not isinstance(value, str) or not 0 < len(value) < 254:
        fail(where, "must be a name or an address")
    return value
