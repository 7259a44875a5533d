"""The object `watchdog` of gateway.json: what is noticed how soon, what may be done about it."""

from micropython import const

from branchline.app.json_object import MAX_DEVICE, fail
from branchline.app.settings import Watchdog
from branchline.watchdog.damping import Damping

_MAX_PATH = const(64)
# Faster probes than this would be noticed on a slow uplink.
_MIN_PROBE_MS = const(50)
_MAX_PROBE_MS = const(60_000)


def read_watchdog(item):
    """The Watchdog of a JsonObject. Raises ConfigError."""
    item.allow("probe_ms", "idle_probe_ms", "damping", "per_hour", "wan", "always", "device",
               "device_s")
    watchdog = Watchdog()
    watchdog.probe_ms = _probe(item, "probe_ms", watchdog.probe_ms)
    watchdog.idle_probe_ms = _probe(item, "idle_probe_ms", watchdog.probe_ms)
    if watchdog.idle_probe_ms < watchdog.probe_ms:
        hint = "an idle tunnel is probed less often"
        fail(item.at("idle_probe_ms"), "is less than probe_ms", hint)
    if item.has("damping"):
        _read_damping(item.member("damping"), watchdog)
    if item.has("per_hour"):
        _read_limits(item.member("per_hour"), watchdog)
    watchdog.wan = item.word("wan", None, MAX_DEVICE)
    watchdog.always = item.flag("always", False)
    watchdog.device = item.text("device", None, _MAX_PATH)
    watchdog.device_s = item.number("device_s", watchdog.device_s, 5, 600)
    if watchdog.wan is None and item.has("per_hour") and item.member("per_hour").has("wan"):
        fail(item.at("per_hour.wan"), "no interface is named", "add watchdog.wan")
    return watchdog


def _probe(item, key, default):
    value = item.number(key, default, 0, _MAX_PROBE_MS)
    if 0 < value < _MIN_PROBE_MS:
        fail(item.at(key), "must be 0 (no probes) or at least %d" % _MIN_PROBE_MS)
    return value


def _read_damping(item, watchdog):
    item.allow("half_life_s", "suppress", "reuse", "max_s")
    watchdog.half_life_s = item.number("half_life_s", watchdog.half_life_s, 1, 3600)
    watchdog.suppress = item.number("suppress", watchdog.suppress, 0, 100_000)
    watchdog.reuse = item.number("reuse", watchdog.reuse, 1, 100_000)
    watchdog.max_suppress_s = item.number("max_s", watchdog.max_suppress_s, 1, 86_400)
    if watchdog.suppress and watchdog.suppress <= watchdog.reuse:
        fail(item.at("suppress"), "must be more than reuse", "or 0: no damping")
    if watchdog.suppress and watchdog.suppress >= Damping(watchdog).ceiling:
        hint = "raise max_s, or lower half_life_s"
        fail(item.at("suppress"), "is more than a penalty can be", hint)


def _read_limits(item, watchdog):
    item.allow("restart", "engine", "wan", "reboot")
    watchdog.restarts_per_hour = item.number("restart", watchdog.restarts_per_hour, 0, 720)
    watchdog.engines_per_hour = item.number("engine", watchdog.engines_per_hour, 0, 60)
    watchdog.wan_per_hour = item.number("wan", watchdog.wan_per_hour, 0, 12)
    watchdog.reboots_per_hour = item.number("reboot", 0, 0, 4)
