"""gateway.json: read, checked in full, and turned into settings; can be unloaded after that.

Every mistake is a ConfigError that names the key, such as "gateway.json: tunnels[1].profile".
"""

from micropython import const

from branchline.app.json_object import (
    CONFIG_FILE,
    MAX_DEVICE,
    REQUIRED,
    JsonObject,
    fail,
    parsed,
    prefix,
)
from branchline.app.json_text import JsonError, parse_json
from branchline.app.settings import Config, Lan, Tunnel
from branchline.wire.errors import ConfigError
from branchline.wire.ip import masked, parse_address

_MAX_FILE = const(1 << 20)  # a hub knows hundreds of branches
_MAX_TUNNELS = const(64)
_MAX_ITEMS = const(64)
_KEYS = (
    "name",
    "role",
    "address",
    "lans",
    "tunnels",
    "routing",
    "filter",
    "watchdog",
    "api",
    "log",
    "state",
)


def load_config(read_file):
    """The Config, or a hub's HubConfig; read_file(name) -> bytes reads from the gateway's folder
    (OSError if not)."""
    try:
        data = read_file(CONFIG_FILE)
    except OSError as error:
        raise ConfigError(
            CONFIG_FILE,
            "cannot be read: " + str(error),
            "CONFIG names the folder in which it lies",
        )
    if len(data) > _MAX_FILE:
        raise ConfigError(CONFIG_FILE, "is longer than 1 MB")
    if data[:3] == b"\xef\xbb\xbf":  # Windows' editors begin UTF-8 with a byte-order mark
        data = data[3:]
    try:
        return _config(JsonObject(parse_json(bytes(data).decode()), ""))
    except JsonError as error:
        raise ConfigError(
            CONFIG_FILE + ":" + str(error.line), "not JSON: " + error.args[0], "correct that line"
        )
    except UnicodeError:
        raise ConfigError(CONFIG_FILE, "is not UTF-8 text", "save it as UTF-8")


def _config(top):
    if top.choice("role", ("gateway", "hub"), "gateway") == "hub":
        from branchline.app.hub_config import read_hub

        return read_hub(top)
    if top.has("servers"):
        fail("servers", "are a hub's", 'for a hub, add "role": "hub"')
    top.allow(*_KEYS)
    config = Config()
    read_common(top, config)
    config.lans = [_lan(JsonObject(value, at)) for at, value in top.items("lans", _MAX_ITEMS)]
    _check_overlaps(config.lans)
    config.tunnels = _tunnels(top.items("tunnels", _MAX_TUNNELS, REQUIRED))
    if top.has("routing"):
        # Apart, since only those who route need it in a small heap.
        from branchline.app.routing_config import read_routing

        config.routing = read_routing(top.member("routing"))
    if top.has("filter"):
        from branchline.app.filter_config import read_filter

        config.filter = read_filter(top.member("filter"), config)
    if top.has("watchdog"):
        from branchline.app.watchdog_config import read_watchdog

        config.watchdog = read_watchdog(top.member("watchdog"))
    return config


def read_common(top, config):
    """What gateways and hubs have alike: name, address, state, api and log."""
    config.name = top.word("name")
    config.state = None if top.is_null("state") else top.text("state", config.state, 255)
    if top.has("address"):
        config.address = parsed(parse_address, top.text("address"), "address")
    if top.has("api"):
        from branchline.app.api_config import read_api

        config.api = read_api(top.member("api"))
    if top.has("log"):
        log = top.member("log")
        log.allow("level")
        config.log_level = log.choice("level", ("debug", "info", "warning", "error"), "info")


def _lan(item):
    item.allow("interface", "prefix", "babel")
    interface = item.word("interface", longest=MAX_DEVICE)
    network, plen = prefix(item.text("prefix"), item.at("prefix"))
    return Lan(interface, network, plen, item.flag("babel", False))


def _check_overlaps(lans):
    """Two LANs with common addresses: packets for these would go to one of them at random."""
    for i, lan in enumerate(lans):
        for j, other in enumerate(lans[:i]):
            plen = min(lan.plen, other.plen)
            same = len(lan.prefix) == len(other.prefix)
            if same and masked(lan.prefix, plen) == masked(other.prefix, plen):
                where = "lans[%d].prefix" % i
                fail(where, "overlaps lans[%d].prefix" % j, "each LAN needs addresses of its own")


def _tunnels(items):
    if not items:
        fail("tunnels", "holds no tunnel", "add one with a name and a profile")
    tunnels = []
    for where, value in items:
        item = JsonObject(value, where)
        item.allow("name", "profile", "engine", "device", "probe")
        tunnel = Tunnel(
            item.word("name"),
            item.text("profile", longest=255),
            item.word("device", None, MAX_DEVICE),
            item.choice("engine", ("native", "openvpn"), "native"),
        )
        if item.has("probe"):
            tunnel.probe = parsed(parse_address, item.text("probe"), item.at("probe"))
        for other in tunnels:
            if other.name == tunnel.name:
                fail(item.at("name"), "another tunnel has this name", "names must differ")
            if tunnel.device is not None and other.device == tunnel.device:
                fail(item.at("device"), "another tunnel has this device", "devices must differ")
        tunnels.append(tunnel)
    return tunnels
