"""gateway.json: read, checked in full, and turned into settings; can be unloaded after that.

Every mistake is a ConfigError that names the key, such as "gateway.json: tunnels[1].profile".
"""

from binascii import unhexlify

from micropython import const

from branchline.app.json_text import JsonError, parse_json
from branchline.app.settings import Config, Routing, Tunnel
from branchline.wire.errors import ConfigError
from branchline.wire.ip import parse_address, parse_prefix
from branchline.wire.nearest import nearest

CONFIG_FILE = "gateway.json"

_MAX_FILE = const(65536)
_MAX_TUNNELS = const(16)
_MAX_ITEMS = const(64)
_MAX_NAME = const(64)
_MAX_DEVICE = const(15)  # IFNAMSIZ - 1
_MIN_HELLO_MS = const(20)
_MAX_HELLO_MS = const(655350)  # RFC 8966 4.6.5: 16 bits of centiseconds
_MIN_SECRET = const(16)
_MAX_SECRET = const(64)
_LATER = "this version does not support it yet"
_REQUIRED = object()


def load_config(read_file):
    """The Config; read_file(name) -> bytes reads from the gateway's folder (OSError if not)."""
    try:
        data = read_file(CONFIG_FILE)
    except OSError as error:
        raise ConfigError(
            CONFIG_FILE,
            "cannot be read: " + str(error),
            "CONFIG names the folder in which it lies",
        )
    if len(data) > _MAX_FILE:
        raise ConfigError(CONFIG_FILE, "is longer than 64 KB")
    try:
        return _config(_Object(parse_json(bytes(data).decode()), ""))
    except JsonError as error:
        raise ConfigError(
            CONFIG_FILE + ":" + str(error.line), "not JSON: " + error.args[0], "correct that line"
        )
    except UnicodeError:
        raise ConfigError(CONFIG_FILE, "is not UTF-8 text", "save it as UTF-8")


def _fail(where, reason, hint=""):
    raise ConfigError(CONFIG_FILE + ": " + where if where else CONFIG_FILE, reason, hint)


class _Object:
    """A JSON object and where it stands; each getter checks the type."""

    def __init__(self, value, where):
        self.where = where
        self._value = value
        if not isinstance(value, dict):
            _fail(where, "must be an object { ... }")

    def allow(self, *known):
        """Any other key is a mistake."""
        for key in self._value:
            if key not in known:
                near = nearest(key, known)
                _fail(
                    self.at(key[:_MAX_NAME]),
                    "unknown key",
                    "did you mean '" + near + "'?" if near else "known are: " + ", ".join(known),
                )

    def at(self, key):
        """Where a key of this object stands."""
        return self.where + "." + key if self.where else key

    def has(self, key):
        return key in self._value

    def member(self, key):
        """The object that is a key's value."""
        return _Object(self._value[key], self.at(key))

    def _get(self, key, default, kind, what):
        if key not in self._value:
            if default is _REQUIRED:
                _fail(self.at(key), "is missing", "add it")
            return default
        value = self._value[key]
        # A bool is an int to Python, but not to JSON.
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            _fail(self.at(key), "must be " + what)
        return value

    def text(self, key, default=_REQUIRED, longest=_MAX_NAME):
        value = self._get(key, default, str, "a string")
        if value is not default and not 0 < len(value) <= longest:
            _fail(self.at(key), "must have 1 to " + str(longest) + " characters")
        return value

    def word(self, key, default=_REQUIRED, longest=_MAX_NAME):
        """A text that can stand in a log line or name a device: printable, no spaces or "/"."""
        value = self.text(key, default, longest)
        if value is not default:
            for char in value:
                if not "!" <= char <= "~" or char == "/":
                    _fail(self.at(key), "may hold neither spaces nor '/' nor accents")
        return value

    def choice(self, key, choices, default=_REQUIRED):
        value = self.text(key, default)
        if value not in choices:
            _fail(self.at(key), "unknown value", "use one of: " + ", ".join(choices))
        return value

    def number(self, key, default, least, most):
        value = self._get(key, default, int, "a whole number")
        if not least <= value <= most:
            _fail(self.at(key), "must be from " + str(least) + " to " + str(most))
        return value

    def flag(self, key, default):
        return self._get(key, default, bool, "true or false")

    def items(self, key, most, default=()):
        """Pairs of (where, value) of an array."""
        values = self._get(key, default, list, "an array [ ... ]")
        if len(values) > most:
            _fail(self.at(key), "has more than " + str(most) + " entries")
        return [(self.at(key) + "[" + str(i) + "]", values[i]) for i in range(len(values))]


def _config(top):
    top.allow("name", "address", "lans", "tunnels", "routing", "watchdog", "api", "log")
    config = Config()
    config.name = top.word("name")
    for key in ("watchdog", "api"):
        if top.has(key):
            _fail(key, _LATER, "remove it")
    if top.has("address"):
        config.address = _parsed(parse_address, top.text("address"), "address")
    config.lans = [_lan(_Object(value, where)) for where, value in top.items("lans", _MAX_ITEMS)]
    config.tunnels = _tunnels(top.items("tunnels", _MAX_TUNNELS, _REQUIRED))
    if top.has("routing"):
        config.routing = _routing(top.member("routing"))
    if top.has("log"):
        log = top.member("log")
        log.allow("level")
        config.log_level = log.choice("level", ("debug", "info", "warning", "error"), "info")
    return config


def _parsed(parse, text, where):
    """parse(text), its ValueError told with the place."""
    try:
        return parse(text)
    except ValueError as error:
        _fail(where, str(error))


def _prefix(text, where):
    if not isinstance(text, str):
        _fail(where, "must be a string such as \"10.0.0.0/8\"")
    return _parsed(parse_prefix, text, where)


def _lan(item):
    item.allow("interface", "prefix")
    interface = item.word("interface", longest=_MAX_DEVICE)
    return (interface,) + _prefix(item.text("prefix"), item.at("prefix"))


def _tunnels(items):
    if not items:
        _fail("tunnels", "holds no tunnel", "add one with a name and a profile")
    tunnels = []
    for where, value in items:
        item = _Object(value, where)
        item.allow("name", "profile", "engine", "device")
        tunnel = Tunnel(
            item.word("name"),
            item.text("profile", longest=255),
            item.word("device", None, _MAX_DEVICE),
        )
        if item.choice("engine", ("native", "openvpn"), "native") != "native":
            _fail(item.at("engine"), _LATER, "use native, or leave it out")
        for other in tunnels:
            if other.name == tunnel.name:
                _fail(item.at("name"), "another tunnel has this name", "names must differ")
            if tunnel.device is not None and other.device == tunnel.device:
                _fail(item.at("device"), "another tunnel has this device", "devices must differ")
        tunnels.append(tunnel)
    return tunnels


def _routing(item):
    item.allow("protocol", "hello_ms", "rtt", "keys", "announce", "accept")
    item.choice("protocol", ("babel",))
    routing = Routing()
    routing.hello_ms = item.number("hello_ms", 500, _MIN_HELLO_MS, _MAX_HELLO_MS)
    routing.rtt = item.flag("rtt", True)
    routing.keys = [_key(_Object(value, where)) for where, value in item.items("keys", 8)]
    for where, value in item.items("announce", _MAX_ITEMS):
        routing.announce.append(_prefix(value, where))
    for where, value in item.items("accept", _MAX_ITEMS):
        routing.accept.append(_prefix(value, where))
    identities = [key[0] for key in routing.keys]
    if len(set(identities)) != len(identities):
        _fail(item.at("keys"), "two keys have the same id", "ids must differ")
    return routing


def _key(item):
    item.allow("id", "algorithm", "secret")
    identity = item.word("id")
    algorithm = item.choice("algorithm", ("hmac-sha256",))
    try:
        secret = unhexlify(item.text("secret", longest=2 * _MAX_SECRET))
    except (ValueError, TypeError):
        _fail(item.at("secret"), "is not hexadecimal", "make one: openssl rand -hex 32")
    if len(secret) < _MIN_SECRET:
        _fail(item.at("secret"), "has less than 16 octets", "make one: openssl rand -hex 32")
    return identity, algorithm, secret
