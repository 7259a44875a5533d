"""A changed gateway.json and changed profiles, taken up while the tunnels go on (SIGHUP).

Keys, what routing accepts and the filter change in place. A tunnel whose profile has changed gets
another engine: one after the other, each only while another tunnel works, so that a profile that
does not work takes no branch off the network. Before that its traffic is moved to the others,
while it still carries what comes.
"""

from micropython import const

from branchline.app.differences import changed, routing_differences
from branchline.tunnel.tunnel import UP
from branchline.wire.errors import BranchlineError, ConfigError
from branchline.wire.ticks import ticks_add, ticks_diff

# How long the network needs at least to send nothing by a tunnel any more, and at most. The word
# goes by every hub, and a hub may have to ask for a route that it may believe.
_DRAIN_MS = const(2000)
_MAX_DRAIN_MS = const(15_000)
_LOOK_MS = const(250)


class _Change:
    """A tunnel that is to get another engine, and its entry in gateway.json."""

    def __init__(self, tunnel, entry, engine):
        self.tunnel = tunnel
        self.entry = entry
        self.engine = engine


class Reload:
    """load() reads the gateway's folder and returns (Config, make), make(names) the engines of
    some tunnels (ConfigError); config: the app.settings.Config that runs; routing:
    app.routing.Routing or None; note(subject, event, reason, level); firewall:
    app.firewall.Firewall or None."""

    def __init__(self, load, config, manager, routing, note, firewall=None):
        self._load = load
        self._config = config
        self._manager = manager
        self._routing = routing
        self._note = note
        self._firewall = firewall
        self._changes = []
        self._leaving = None  # the change whose tunnel's traffic is being moved
        self._since = self._due = None
        self._waits = False  # and that has been said

    def begin(self, now):
        """Takes up what the folder holds, or, if there is a mistake in it, nothing."""
        try:
            config, make = self._load()
            if config.name != self._config.name:
                raise ConfigError("gateway.json: name", "is another: this takes a restart")
            entries = [entry for entry in config.tunnels if self._has_changed(entry)]
            engines = make([entry.name for entry in entries])
            if self._firewall:
                # Before any tunnel gets another device.
                self._firewall.reload(config.filter, config.tunnels, now)
        except (BranchlineError, OSError) as error:
            self._note("gateway", "reload", "refused, all stays as it was: " + str(error), "error")
            return
        if self._leaving and self._routing:
            self._routing.leave(None, now)
        find = self._manager.find
        self._leaving = None
        self._waits = False
        self._changes = [_Change(find(e.name), e, engine) for e, engine in zip(entries, engines)]
        self._due = now
        if self._routing and config.routing:
            self._routing.reload(config.routing, now)
        names = [entry.name for entry in entries]
        text = "tunnels to start anew: " + ", ".join(names) if names else "no profile has changed"
        self._note("gateway", "reload", text, "info")
        later = differences(self._config, config)
        if later:
            text = "only a restart takes up what has changed in " + ", ".join(later)
            self._note("gateway", "reload", text, "warning")

    def _running(self, name):
        for entry in self._config.tunnels:
            if entry.name == name:
                return entry
        return None

    def _has_changed(self, entry):
        running = self._running(entry.name)
        return running is not None and _content(running) != _content(entry)

    # ---- one tunnel after the other ----

    def next_timer(self):
        """The tick of the next look at the tunnels, or None."""
        return self._due

    def handle_timer(self, now):
        """Time has passed; whether the tunnels or routing may have been told something."""
        if self._due is None or ticks_diff(now, self._due) < 0:
            return False
        if self._leaving and self._has_left(self._leaving.tunnel, now):
            self._replace(self._leaving, now)
        elif self._leaving is None:
            self._next(now)
        self._due = ticks_add(now, _LOOK_MS) if self._changes else None
        return True

    def _next(self, now):
        for change in self._changes:
            tunnel = change.tunnel
            if tunnel.state != UP or self._is_last(tunnel):
                self._replace(change, now)
                return
            if self._manager.others_work(tunnel.name):
                self._leaving = change
                self._since = now
                if self._routing:
                    self._routing.leave(tunnel.link.device, now)
                return
        if self._changes and not self._waits:
            self._waits = True
            text = "goes on with its former profile until another tunnel works"
            self._note(self._changes[0].tunnel.name, "reload", text, "warning")

    def _is_last(self, tunnel):
        """Whether no other will ever take its place."""
        return all(other is tunnel or other.finished for other in self._manager.tunnels)

    def _has_left(self, tunnel, now):
        if tunnel.state != UP or self._routing is None:
            return True
        ms = ticks_diff(now, self._since)
        idle = not self._routing.is_used(tunnel.link.device)
        return ms >= _MAX_DRAIN_MS or (idle and ms >= _DRAIN_MS)

    def _replace(self, change, now):
        self._leaving = None
        self._waits = False
        self._changes.remove(change)
        running = self._running(change.tunnel.name)
        for name in ("profile", "digest", "engine", "device"):
            setattr(running, name, getattr(change.entry, name))
        self._note(change.tunnel.name, "reload", "starts with its changed profile", "info")
        change.tunnel.replace_engine(change.engine, now)


def _content(entry):
    return entry.digest, entry.engine, entry.device


def differences(running, fresh):
    """The keys of gateway.json that have changed and that only a start takes up."""
    names = ["filter"] if (running.filter is None) != (fresh.filter is None) else []
    names += changed(running, fresh, ("address", "lans", "watchdog", "api", "state", "log_level"))
    if _entries(running) != _entries(fresh):
        names.append("tunnels")
    return names + routing_differences(running.routing, fresh.routing)


def _entries(config):
    return [(entry.name, entry.probe) for entry in config.tunnels]
