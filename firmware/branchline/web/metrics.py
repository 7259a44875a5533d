"""The metrics, in Prometheus' text format (version 0.0.4)."""

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# name, type, help, and the way to the value in a tunnel's status.
_TUNNEL = (
    ("up", "gauge", "Whether the tunnel's session stands.", None),
    ("usable", "gauge", "Whether packets get through, as probes tell.", None),
    ("attempts_total", "counter", "Attempts to connect.", ("attempts",)),
    ("rtt_seconds", "gauge", "Round-trip time of probes.", ("health", "rtt_ms")),
    ("jitter_seconds", "gauge", "Jitter of probes.", ("health", "jitter_ms")),
    ("loss_ratio", "gauge", "Share of probes that were lost.", ("health", "loss")),
    ("transmitted_bytes_total", "counter", "Octets sent into the tunnel.", ("tx_octets",)),
    ("received_bytes_total", "counter", "Octets received from the tunnel.", ("rx_octets",)),
    ("transmitted_packets_total", "counter", "Packets sent into the tunnel.", ("tx_packets",)),
    ("received_packets_total", "counter", "Packets received from the tunnel.", ("rx_packets",)),
    ("penalty", "gauge", "What routing adds to the tunnel's cost.", ("penalty",)),
    ("flap_penalty", "gauge", "Damping's penalty (RFC 2439).", ("damping", "penalty")),
    ("suppressed", "gauge", "Whether damping suppresses it.", ("damping", "suppressed")),
)


def metrics_lines(status):
    """Yields the text, line by line. A value that is not known has no line."""
    yield _head("info", "gauge", "The gateway.")
    yield 'branchline_info{name="%s",version="%s"} 1\n' % (
        _escaped(status.get("name", "")),
        _escaped(status.get("version", "")),
    )
    for name, key, text in (
        ("uptime_seconds", "uptime_s", "Seconds since the gateway started."),
        ("safe_mode", "safe_mode", "Whether the gateway runs in safe mode."),
    ):
        if status.get(key) is not None:
            yield _head(name, "gauge", text)
            yield "branchline_%s %s\n" % (name, _number(status[key]))
    tunnels = status.get("tunnels", ())
    for name, kind, text, way in _TUNNEL:
        head = _head("tunnel_" + name, kind, text)
        for tunnel in tunnels:
            value = _value(tunnel, name, way)
            if value is None:
                continue
            yield head + 'branchline_tunnel_%s{tunnel="%s"} %s\n' % (
                name,
                _escaped(tunnel["name"]),
                _number(value),
            )
            head = ""
    found = status.get("filter") or {}
    if found:
        yield _head("filter_loaded", "gauge", "Whether the kernel has the filter.")
        yield "branchline_filter_loaded %d\n" % (found.get("state") == "loaded")
    for name, text in (
        ("spoofed", "Packets dropped as their source is not of where they came from."),
        ("denied", "Packets dropped as no rule allows them."),
    ):
        if found.get(name) is not None:
            yield _head("filter_%s_total" % name, "counter", text)
            yield "branchline_filter_%s_total %d\n" % (name, found[name])
    if "servers" in status:
        from branchline.web.hub_metrics import hub_metrics_lines

        yield from hub_metrics_lines(status, _head, _escaped)
    routing = status.get("routing")
    if routing:
        for name, text in (
            ("routes", "Routes in use."),
            ("neighbours", "Babel's neighbours."),
            ("refused", "Routes that were refused."),
        ):
            yield _head("babel_" + name, "gauge", text)
            yield "branchline_babel_%s %d\n" % (name, len(routing.get(name, ())))


def _head(name, kind, text):
    return "# HELP branchline_%s %s\n# TYPE branchline_%s %s\n" % (name, text, name, kind)


def _value(tunnel, name, way):
    if name == "up":
        return tunnel["state"] == "up"
    if name == "usable":
        health = tunnel.get("health")
        return health and health.get("state") in ("up", "degraded")
    value = tunnel
    for key in way:
        value = value.get(key) if value else None
    if value is not None and way[-1].endswith("_ms"):
        return value / 1000
    return value


def _number(value):
    return "%d" % value if isinstance(value, (bool, int)) else repr(value)


def _escaped(text):
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
