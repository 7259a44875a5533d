"""What has changed between two readings of gateway.json."""

_ROUTING = ("hello_ms", "rtt", "stub", "max_routes", "max_neighbours", "announce", "interfaces")


def changed(running, fresh, names):
    """The keys of gateway.json by which two settings differ, of the attributes of these names."""
    return [
        name.partition("_")[0]
        for name in names
        if _plain(getattr(running, name)) != _plain(getattr(fresh, name))
    ]


def routing_differences(running, fresh):
    """The same of the object `routing` (app.settings.Routing or None), less what it takes up
    while it runs (app.routing.Routing.reload)."""
    if running is None or fresh is None:
        return ["routing"] * (running is not fresh)
    names = ["routing." + name for name in _ROUTING
             if getattr(running, name) != getattr(fresh, name)]  # fmt: skip
    if (not running.keys) != (not fresh.keys):
        names.append("routing.keys")
    return names


def _plain(value):
    """What can be compared: settings are objects without a comparison of their own."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.__dict__ if hasattr(value, "__dict__") else value
