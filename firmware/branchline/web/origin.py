"""Who may ask: programs, and pages that came from the gateway itself.

Any page that a browser shows can send requests to an address that the browser reaches, and so can
one whose name an attacker lets resolve to such an address (DNS rebinding). Both give themselves
away: the browser tells the page's origin, or the name that it asked for.
"""

from branchline.wire.ip import parse_address


def refusal(headers):
    """Why a request with these headers (a mapping that ignores case) is refused, or None."""
    host = headers.get("Host")
    if not host:
        return "the request names no Host"
    if not _is_literal(_without_port(host)):
        return "the Host must be an IP address or localhost, not a name that may point anywhere"
    origin = headers.get("Origin")
    if origin is not None and origin.lower() != "http://" + host.lower():
        return "the request comes from a page of another origin"
    return None


def _without_port(host):
    """The part of a Host before its port; brackets stay."""
    name, colon, port = host.rpartition(":")
    return name if colon and _is_number(port) and not name.endswith(":") else host


def _is_number(text):
    return 0 < len(text) <= 5 and all("0" <= char <= "9" for char in text)


def _is_literal(name):
    if name.lower() == "localhost":
        return True
    try:
        if name.startswith("[") and name.endswith("]"):
            return len(parse_address(name[1:-1])) == 16
        return len(parse_address(name)) == 4
    except ValueError:
        return False
