"""The metrics that only a hub has."""

_SERVER = (
    ("up", "Whether the OpenVPN server answers.", lambda server: server["state"] == "up"),
    ("clients", "Clients that are connected to the server.", lambda server: server["clients"]),
)


def hub_metrics_lines(status, head, escaped):
    """Yields the text, line by line; head and escaped: of metrics."""
    for name, text, value in _SERVER:
        yield head("server_" + name, "gauge", text)
        for server in status["servers"]:
            yield 'branchline_server_%s{server="%s"} %d\n' % (
                name,
                escaped(server["name"]),
                value(server),
            )
    yield head("announced_prefixes", "gauge", "Prefixes of clients that are announced.")
    yield "branchline_announced_prefixes %d\n" % len(status["announced"])
    yield head("hub_heard_seconds", "gauge", "How long ago another hub's agent was heard.")
    for hub in status["hubs"]:
        if hub["heard_s"] is not None:
            line = 'branchline_hub_heard_seconds{hub="%s"} %d\n'
            yield line % (escaped(hub["name"]), hub["heard_s"])
