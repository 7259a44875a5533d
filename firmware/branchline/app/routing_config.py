"""The object `routing` of gateway.json: how Babel runs over the tunnels."""

from binascii import unhexlify

from micropython import const

from branchline.app.json_object import MAX_DEVICE, REQUIRED, JsonObject, fail, parsed, prefix
from branchline.app.settings import Routing
from branchline.wire.calendar import parse_time
from branchline.wire.ip import is_link_local, parse_address

_MAX_ITEMS = const(64)
_MAX_RULES = const(1024)  # a hub's: some for each branch
_MAX_KEYS = const(8)
_MIN_HELLO_MS = const(20)
# RFC 8966 4.6.9: 16 bits of centiseconds, here for the update interval of four Hellos.
_MAX_HELLO_MS = const(163830)
_MIN_SECRET = const(16)
_MAX_SECRET = const(64)
_KEYS = (
    "protocol",
    "hello_ms",
    "rtt",
    "stub",
    "max_routes",
    "max_neighbours",
    "keys",
    "announce",
    "accept",
)


def read_routing(item, of_hub=False):
    """The Routing of a JsonObject. Raises ConfigError."""
    item.allow(*(_KEYS + ("interfaces",) if of_hub else _KEYS))
    item.choice("protocol", ("babel",))
    routing = Routing()
    routing.hello_ms = item.number("hello_ms", routing.hello_ms, _MIN_HELLO_MS, _MAX_HELLO_MS)
    routing.rtt = item.flag("rtt", True)
    routing.stub = item.flag("stub", False)
    routing.max_routes = item.number("max_routes", routing.max_routes, 8, 16384)
    routing.max_neighbours = item.number("max_neighbours", routing.max_neighbours, 1, 1024)
    routing.keys = [_key(JsonObject(value, at)) for at, value in item.items("keys", _MAX_KEYS)]
    if item.has("announce"):
        routing.announce = [prefix(value, at) for at, value in item.items("announce", _MAX_RULES)]
    routing.accept = []
    for at, value in item.items("accept", _MAX_RULES):
        routing.accept += _accept(value, at)
    if of_hub:
        routing.interfaces = _interfaces(item)
    identities = [key[0] for key in routing.keys]
    if len(set(identities)) != len(identities):
        fail(item.at("keys"), "two keys have the same id", "ids must differ")
    return routing


def _interfaces(item):
    """Of (device, whether packets are signed there): names, or objects that say more."""
    interfaces = []
    for where, value in item.items("interfaces", _MAX_ITEMS, REQUIRED):
        if not isinstance(value, dict):
            value = {"device": value}
        each = JsonObject(value, where)
        each.allow("device", "signed")
        device = each.word("device", longest=MAX_DEVICE)
        if device in [other for other, _ in interfaces]:
            fail(where, "is there twice", "list each device once")
        interfaces.append((device, each.flag("signed", True)))
    return interfaces


def _accept(value, where):
    """Rules of a prefix in text form, or of an object that says more of what is accepted."""
    if not isinstance(value, dict):
        return [prefix(value, where) + (None, None, None, None)]
    item = JsonObject(value, where)
    item.allow("prefix", "shortest", "longest", "exactly", "device", "neighbour")
    source = (item.word("device", None, MAX_DEVICE), _neighbour(item))
    if item.has("exactly"):
        if item.has("prefix"):
            fail(where, "has both prefix and exactly", "make them two entries")
        exact = [prefix(value, at) for at, value in item.items("exactly", _MAX_RULES)]
        return [(network, plen, plen, plen) + source for network, plen in exact]
    network, plen = prefix(item.text("prefix"), item.at("prefix"))
    bits = len(network) * 8
    shortest = item.number("shortest", plen, plen, bits)
    longest = item.number("longest", bits, shortest, bits)
    return [(network, plen, shortest, longest) + source]


def _neighbour(item):
    text = item.text("neighbour", None)
    if text is None:
        return None
    address = parsed(parse_address, text, item.at("neighbour"))
    if not is_link_local(address):
        fail(item.at("neighbour"), "is not a link-local address", "it begins with fe80:")
    return address


def _key(item):
    item.allow("id", "algorithm", "secret", "send", "accept")
    identity = item.word("id")
    algorithm = item.choice("algorithm", ("hmac-sha256",))
    try:
        secret = unhexlify(item.text("secret", longest=2 * _MAX_SECRET))
    except (ValueError, TypeError):
        fail(item.at("secret"), "is not hexadecimal", "make one: openssl rand -hex 32")
    if len(secret) < _MIN_SECRET:
        fail(item.at("secret"), "has less than 16 octets", "make one: openssl rand -hex 32")
    return identity, algorithm, secret, _times(item, "send"), _times(item, "accept")


def _times(item, key):
    """(from, until) of a key's use in Unix seconds, None where the file says null or nothing."""
    times = [
        None if value is None else parsed(parse_time, str(value), where)
        for where, value in item.items(key, 2, [None, None])
    ]
    if len(times) != 2:
        fail(item.at(key), "must hold two times, from and until", "null leaves one open")
    if None not in times and times[0] >= times[1]:
        fail(item.at(key), "ends before it begins", "the first time is from, the second until")
    return tuple(times)
