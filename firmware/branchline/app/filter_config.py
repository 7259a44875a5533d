"""The object `filter` of gateway.json: who may open what through the tunnels."""

from micropython import const

from branchline.app.json_object import JsonObject, fail, prefix
from branchline.filter.packet import ANY, ICMP, SERVICE, TCP, UDP
from branchline.filter.prefixes import pack
from branchline.filter.table import Table
from branchline.wire.ip import format_prefix, masked
from branchline.wire.nearest import nearest

# Memory, and the time that each packet takes, grow with these.
MAX_PEERS = const(32)
MAX_PREFIXES = const(512)
MAX_RULES = const(64)
MAX_SERVICES = const(256)
_MAX_NAME = const(32)
_ANY_NUMBER = const(65536)  # of items: the file's length limits them, and what follows
_NAME = "abcdefghijklmnopqrstuvwxyz0123456789-"
_MAX_PORT = const(65535)
_PROTOCOLS = {"any": ANY, "icmp": ICMP, "tcp": TCP, "udp": UDP}


def read_filter(item, config):
    """The Table of a JsonObject; config: the Config as far as it is read. Raises ConfigError."""
    item.allow("peers", "rules")
    own = _own(config)
    if not own:
        fail(
            item.where,
            "needs to know what is behind this gateway",
            "give it an `address`, or `lans`",
        )
    peers = _peers(item.member("peers") if item.has("peers") else JsonObject({}, ""))
    items = item.items("rules", _ANY_NUMBER)
    if len(items) > MAX_RULES:
        _too_many(item.at("rules"), "rules", MAX_RULES)
    rules = [_rule(JsonObject(value, at), peers) for at, value in items]
    if sum([len(rule[2]) for rule in rules]) > SERVICE * MAX_SERVICES:
        _too_many(item.at("rules"), "services", MAX_SERVICES)
    return Table(pack(own), peers, rules)


def _own(config):
    own = [(lan.prefix, lan.plen) for lan in config.lans]
    if config.address:
        own.append((config.address, len(config.address) * 8))
    if config.routing and config.routing.announce:
        own.extend(config.routing.announce)
    return own


def _peers(item):
    names = item.names()
    if len(names) > MAX_PEERS:
        _too_many(item.where, "entries", MAX_PEERS)
    peers = {}
    count = 0
    for name in names:
        if not 0 < len(name) <= _MAX_NAME or any([char not in _NAME for char in name]):
            fail(item.at(name[:_MAX_NAME]), "is no name", "use small letters, digits and hyphens")
        found = [prefix(value, at) for at, value in item.items(name, _ANY_NUMBER)]
        count += len(found)
        if count > MAX_PREFIXES:
            _too_many(item.where, "prefixes", MAX_PREFIXES)
        _check_overlaps(sorted(found), item.at(name))
        peers[name] = pack(found)
    return peers


def _too_many(where, what, most):
    hint = "join what allows the same"
    if what == "prefixes":
        hint = "join those that adjoin; who has the same rights is best given adjoining addresses"
    fail(where, "has more than %d %s in all" % (most, what), hint)


def _check_overlaps(found, where):
    """Sorted, a prefix comes right behind the one that holds it, or another within that."""
    for before, each in zip(found, found[1:]):
        if len(before[0]) == len(each[0]) and masked(each[0], before[1]) == before[0]:
            text = format_prefix(*each) + " lies within " + format_prefix(*before)
            fail(where, text, "leave one of them out")


def _rule(item, peers):
    item.allow("to", "from", "allow")
    if item.has("to") == item.has("from"):
        fail(
            item.where,
            "needs either `to` or `from`",
            "`to`: what this side may open; `from`: what may be opened here",
        )
    key = "to" if item.has("to") else "from"
    name = item.text(key)
    if name not in peers:
        near = nearest(name, list(peers))
        hint = "did you mean '" + near + "'?" if near else "peers must have an entry of that name"
        fail(item.at(key), "is not among the peers", hint)
    services = [_service(value, at) for at, value in item.items("allow", _ANY_NUMBER)]
    if not services:
        fail(item.at("allow"), "allows nothing", 'as in ["icmp", "tcp/443"]; or remove the rule')
    return key == "to", name, b"".join(services)


def _service(text, where):
    """Five octets of "any", "icmp", "tcp", "udp", "tcp/443" or "udp/5000-5010"."""
    name, slash, ports = text.partition("/") if isinstance(text, str) else ("", "", "")
    low, high = 0, _MAX_PORT
    if slash:
        first, dash, last = ports.partition("-")
        low, high = _port(first), _port(last if dash else first)
    known = name in ("tcp", "udp") and 0 < low <= high if slash else name in _PROTOCOLS
    if not known:
        fail(where, "is no service", 'write "any", "icmp", "tcp", "tcp/443" or "udp/5000-5010"')
    return bytes([_PROTOCOLS[name], low >> 8, low & 255, high >> 8, high & 255])


def _port(text):
    """The number, or -1 where it is none."""
    if not 0 < len(text) <= 5 or not all(["0" <= char <= "9" for char in text]):
        return -1
    return int(text) if int(text) <= _MAX_PORT else -1
