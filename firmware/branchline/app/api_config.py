"""The object `api` of gateway.json: where the HTTP API listens."""

from branchline.app.json_object import fail, parsed
from branchline.wire.ip import parse_address

_DEFAULT = "127.0.0.1:8086"
_HINT = 'as in "127.0.0.1:8086" or "[::1]:8086"; null for no API'
_MAX_LISTEN = 64


def read_api(item):
    """(address octets, port) of a JsonObject, or None for no API. Raises ConfigError."""
    item.allow("listen")
    if item.is_null("listen"):
        return None
    text = item.text("listen", _DEFAULT, _MAX_LISTEN)
    where = item.at("listen")
    host, colon, port = text.rpartition(":")
    if not colon:
        fail(where, "must be an address and a port", _HINT)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if ":" not in host:
            fail(where, "brackets are for IPv6 addresses", _HINT)
    elif ":" in host:
        fail(where, "an IPv6 address must be in brackets", _HINT)
    address = parsed(parse_address, host, where)
    digits = all("0" <= char <= "9" for char in port)
    if not digits or not 0 < len(port) <= 5 or not 0 < int(port) < 65536:
        fail(where, "the port must be from 1 to 65535", _HINT)
    return address, int(port)
