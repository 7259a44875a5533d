"""gateway.json with the role "hub": checked in full, and turned into settings."""

from micropython import const

from branchline.app.config import read_common
from branchline.app.hub_settings import HubConfig, HubServer
from branchline.app.json_object import MAX_DEVICE, REQUIRED, JsonObject, fail, parsed, prefix
from branchline.wire.ip import parse_address

_MAX_SERVERS = const(16)
_MAX_HUBS = const(64)
_MAX_NAMES = const(4096)
_MAX_PREFIXES = const(256)
_MAX_NAME = const(64)
_MAX_PATH = const(107)  # of a UNIX socket
_MANAGEMENT = 'as in "/run/branchline/udp1194.sock" or "127.0.0.1:7505"'
# The kernel's own protocols end at 4, and 201 is that of the routes that Babel learns.
_LEAST_PROTOCOL = const(5)
_MOST_PROTOCOL = const(255)
_BABEL_PROTOCOL = const(201)


def read_hub(top):
    """The HubConfig of a JsonObject. Raises ConfigError."""
    for key in ("tunnels", "lans", "watchdog"):
        if top.has(key):
            fail(key, "is not for a hub", "its OpenVPN servers are listed in `servers`")
    top.allow("name", "role", "address", "servers", "clients", "hubs", "routes", "routing", "api",
              "log", "state")  # fmt: skip
    config = HubConfig()
    read_common(top, config)
    config.servers = _servers(top.items("servers", _MAX_SERVERS, REQUIRED))
    if not top.has("clients"):
        fail("clients", "is missing", 'as in {"accept": ["10.100.0.0/24"]}')
    _read_clients(top.member("clients"), config)
    config.hubs = _hubs(top.items("hubs", _MAX_HUBS), config)
    if top.has("routes"):
        config.protocol = _protocol(top.member("routes"), config.protocol)
    if top.has("routing"):
        from branchline.app.routing_config import read_routing

        config.routing = read_routing(top.member("routing"), True)
    return config


def _servers(items):
    if not items:
        fail("servers", "holds no server", "add one with a name, a device and a management")
    servers = []
    for where, value in items:
        item = JsonObject(value, where)
        item.allow("name", "device", "management", "password")
        name = item.word("name")
        device = item.word("device", longest=MAX_DEVICE)
        management = item.text("management", longest=255)
        path, endpoint = _management(management, item.at("management"))
        server = HubServer(name, device, path, endpoint, item.text("password", None, 255))
        for other in servers:
            for key in ("name", "device"):
                if getattr(other, key) == getattr(server, key):
                    fail(item.at(key), "another server has this " + key, "they must differ")
            if (other.path, other.endpoint) == (server.path, server.endpoint):
                fail(item.at("management"), "another server has this one", "they must differ")
        servers.append(server)
    return servers


def _management(text, where):
    """(path, None) or (None, (address, port))."""
    if "/" in text:
        if len(text.encode()) > _MAX_PATH:
            fail(where, "a socket's path has at most %d octets" % _MAX_PATH)
        return text, None
    host, colon, port = text.rpartition(":")
    if not colon:
        fail(where, "is neither a path with '/' nor an address and a port", _MANAGEMENT)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    address = parsed(parse_address, host, where)
    if not port.isdigit() or not 0 < len(port) <= 5 or not 0 < int(port) < 65536:
        fail(where, "the port must be from 1 to 65535", _MANAGEMENT)
    return None, (address, int(port))


def _read_clients(item, config):
    item.allow("accept", "skip", "revoked")
    config.accept = [
        prefix(value, at) for at, value in item.items("accept", _MAX_PREFIXES, REQUIRED)
    ]
    config.skip = _names(item, "skip")
    config.revoked = _names(item, "revoked")
    for name in config.revoked:
        if name in config.skip:
            fail(item.at("revoked"), name + " is in skip, too", "take it out of one of them")


def _names(item, key):
    names = []
    for where, value in item.items(key, _MAX_NAMES):
        if not isinstance(value, str) or not 0 < len(value) <= _MAX_NAME:
            fail(where, "must be a certificate's name of 1 to %d characters" % _MAX_NAME)
        names.append(value)
    return names


def _hubs(items, config):
    if items and config.address is None:
        fail("address", "is missing", "with `hubs` the hub needs an address that they know")
    hubs = []
    for where, value in items:
        item = JsonObject(value, where)
        item.allow("name", "address")
        name = item.word("name")
        address = parsed(parse_address, item.text("address"), item.at("address"))
        if address == config.address or name == config.name:
            fail(where, "is this hub itself", "list the others only")
        if len(address) != len(config.address):
            fail(item.at("address"), "is of another family than this hub's address")
        for other in hubs:
            if other[0] == name:
                fail(item.at("name"), "another hub has this name", "names must differ")
            if other[1] == address:
                fail(item.at("address"), "another hub has this address", "addresses must differ")
        hubs.append((name, address))
    return hubs


def _protocol(item, default):
    item.allow("protocol")
    protocol = item.number("protocol", default, _LEAST_PROTOCOL, _MOST_PROTOCOL)
    if protocol == _BABEL_PROTOCOL:
        fail(item.at("protocol"), "%d is that of the routes that Babel learns" % protocol)
    return protocol
