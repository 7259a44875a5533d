"""A hub's parts wired together: its servers' clients become routes, here and at the other hubs."""

import gc

from micropython import const

from branchline import __version__
from branchline.app.differences import changed, routing_differences
from branchline.app.hub_link import HubLink
from branchline.app.hub_peers import HubPeers
from branchline.app.loop import Loop
from branchline.babel.prefix import address as prefix_address
from branchline.babel.prefix import prefix_key, prefix_text
from branchline.hal.linux.signals import NAMES, SIGHUP, Signals
from branchline.hal.linux.sysctl import forwarding_enabled
from branchline.hub.choice import REVOKED, Choice, Rules
from branchline.hub.clients import Server
from branchline.wire.errors import BranchlineError, ConfigError
from branchline.wire.ticks import ticks_add, ticks_diff

# What the kernel refused is tried again.
_RETRY_MS = const(1000)
_COLLECT_EVERY = const(131072)
_AT_START = ("address", "servers", "hubs", "protocol", "api", "state", "log_level")


class Hub:
    """config: app.hub_settings.HubConfig, with passwords read and paths absolute; system:
    app.hub_system.HubSystem; load() reads the configuration again (ConfigError); records:
    app.records.Records or None; status: makes a StatusFile of status(), or None."""

    def __init__(self, config, system, log, load, records=None, status=None):
        self._config = config
        self._system = system
        self._log = log
        self._load = load
        self._records = records
        self._began = system.ticks_ms()
        self._choice = Choice(self._rules())
        self._links = [self._link(settings) for settings in config.servers]
        self._peers = HubPeers(system, config.address, config.hubs, self._changed)
        self._kernel = system.client_routes(config.protocol, config.address)
        self._announced = {}  # key -> device
        self._retry_due = None
        self._watch = None
        self._routing = None
        if config.routing:
            from branchline.app.routing import Routing

            self._routing = Routing(config, system, lambda: (), records)
        self._stopping = False
        snapshot = status(self.status) if status else None
        parts = [self, self._peers, self._routing, records, snapshot]
        parts = self._links + [part for part in parts if part]
        self._loop = Loop(system.poller, system.ticks, parts, lambda: self._stopping)
        self._api = None
        if config.api:
            from branchline.app.api_door import Door

            self._api = Door(system, config.api, self.status, lambda name: False)

    def _rules(self):
        config = self._config
        own = [address for _, address in config.hubs]
        if config.address:
            own.append(config.address)
        return Rules(config.accept, config.skip, config.revoked, own)

    def _link(self, settings):
        now = self._system.ticks()
        server = Server(settings.name, settings.device, settings.password, now)
        return HubLink(self._system, server, settings, self._changed, self._note)

    def run(self):
        """Runs until SIGINT or SIGTERM; returns True. The routes to clients stay, as the
        clients do; what Babel has learned is taken away."""
        if hasattr(gc, "threshold"):
            # Else what lives on is spread over the heap, and no list of clients finds room in it.
            gc.threshold(_COLLECT_EVERY)
        system = self._system
        signals = Signals()
        system.poller.register(signals, lambda readable, writable: self._signal(signals))
        try:
            self._start(system.ticks())
            while not self._stopping:
                self._loop.run()
                if self._api:
                    self._api.serve()
        finally:
            self._stop(system.ticks())
            system.poller.unregister(signals)
            signals.close()
        return True

    def _start(self, now):
        if not forwarding_enabled(4):
            text = "net.ipv4.ip_forward is 0: clients will reach nothing behind this hub"
            self._log("warning", "hub", "forwarding", text)
        left = self._system.sweep()
        if left:
            self._log("warning", "hub", "sweep", "removed %d routes of an earlier run" % left)
        self._adopt(now)
        self._watch = self._system.watch_links()
        self._system.poller.register(self._watch, self._links_changed)
        if self._routing:
            self._routing.start(now)
            for key in self._announced:
                self._routing.announce(key, now)
        if self._api:
            self._api.open(self._loop)

    def _stop(self, now):
        if self._api:
            self._api.close()
        for link in self._links:
            link.close()
        self._peers.close()
        if self._routing:
            self._routing.stop(now)
        if self._watch:
            self._system.poller.unregister(self._watch)
            self._watch.close()

    def _adopt(self, now):
        """Routes of an earlier run stand until it is known whether their clients are there."""
        devices = {}
        for link in self._links:
            devices[self._system.link_index(link.server.device)] = link.server.device
        for prefix, plen, dev in self._kernel.adopt():
            device = devices.get(dev)
            if device is None or not self._choice.rules.allow(prefix_key(prefix, plen)):
                self._kernel.remove(prefix, plen)
            else:
                self._announced[prefix_key(prefix, plen)] = device
        if self._announced:
            text = "took over %d routes of an earlier run" % len(self._announced)
            self._log("info", "hub", "routes", text)

    # ---- clients, here and elsewhere ----

    def _changed(self, now):
        """Other clients are here, or at other hubs: decides anew who is to be announced."""
        sessions = []
        for link in self._links:
            link.server.changed = False
            sessions.extend(link.server.sessions.values())
        self._peers.arrivals.changed = False
        choice = self._choice
        choice.update(sessions, self._peers.arrivals.claims)
        for session, why, _ in choice.ends:
            session.server.end(session, now, why == REVOKED)
            text = "at %s, from %s: %s" % (session.server.name, session.real, session.note)
            self._note("info", session.name, "ended", text)
        self._set_routes(now)
        self._peers.tell(choice.arrivals, now)
        for link in self._links:
            link.flush(now)

    def _set_routes(self, now):
        """Makes kernel and Babel agree with the choice."""
        self._retry_due = None
        routes = self._choice.routes
        unknown = [link.server.device for link in self._links if not link.server.is_known]
        for key, device in list(self._announced.items()):
            if key not in routes and device not in unknown:
                self._withdraw(key, now)
        for key, session in routes.items():
            if self._announced.get(key) != session.server.device:
                self._announce(key, session, now)

    def _announce(self, key, session, now):
        device = session.server.device
        try:
            self._kernel.set(prefix_address(key), key[1], device)
        except OSError as error:
            self._failed(error, now)
            return
        self._announced[key] = device
        if self._routing:
            self._routing.announce(key, now)
        self._log("info", session.name, "announced", "%s dev %s" % (prefix_text(key), device))

    def _withdraw(self, key, now):
        try:
            self._kernel.remove(prefix_address(key), key[1])
        except OSError as error:
            self._failed(error, now)
            return
        del self._announced[key]
        if self._routing:
            self._routing.withdraw(key, now)
        self._log("info", "hub", "withdrawn", prefix_text(key))

    def _failed(self, error, now):
        self._log("warning", "hub", "kernel", str(error.args[-1]))
        self._retry_due = ticks_add(now, _RETRY_MS)

    def next_timer(self):
        """The tick of the next attempt at what the kernel has refused, or None."""
        return self._retry_due

    def handle_timer(self, now):
        """Time has passed; whether that may concern the other parts."""
        if self._retry_due is None or ticks_diff(now, self._retry_due) < 0:
            return False
        self._set_routes(now)
        return True

    def _links_changed(self, readable, writable):
        """The kernel has dropped the routes by a link that was down or has been made anew."""
        change = self._watch.read()
        while change:
            index, is_up = change
            for link in self._links:
                device = link.server.device
                if is_up and index == self._system.link_index(device):
                    self._renew(device)
            change = self._watch.read()

    def _renew(self, device):
        for key, by in self._announced.items():
            if by == device:
                try:
                    self._kernel.set(prefix_address(key), key[1], device, True)
                except OSError as error:
                    self._failed(error, self._system.ticks())
                    break

    # ---- what is told ----

    def _note(self, level, subject, event, reason):
        self._log(level, subject, event, reason)
        if self._records:
            self._records.note(subject, event, reason)

    def _signal(self, signals):
        number = signals.read()
        if number == SIGHUP:
            self._reload(self._system.ticks())
        elif number is not None:
            self._stopping = True
            self._log("info", "hub", "stop", NAMES[number])

    def _reload(self, now):
        """Takes up other rules about clients, and what Babel accepts and signs with."""
        config = self._config
        try:
            fresh = self._load()
            if (fresh.role, fresh.name) != (config.role, config.name):
                raise ConfigError("gateway.json: name", "is another: this takes a restart")
        except (BranchlineError, OSError) as error:
            self._note("error", "hub", "reload", "refused, all stays as it was: " + str(error))
            return
        later = changed(config, fresh, _AT_START)
        later += routing_differences(config.routing, fresh.routing)
        for name in ("accept", "skip", "revoked"):
            setattr(config, name, getattr(fresh, name))
        self._choice.rules = self._rules()
        if self._routing and fresh.routing:
            self._routing.reload(fresh.routing, now)
        self._note("info", "hub", "reload", "taken up")
        if later:
            text = "only a restart takes up what has changed in " + ", ".join(later)
            self._note("warning", "hub", "reload", text)
        self._changed(now)

    def status(self):
        """A dict of JSON values: everything that is to be seen of the hub."""
        from branchline.app.hub_status import hub_status

        now = self._system.ticks()
        status = {
            "name": self._config.name,
            "role": "hub",
            "version": __version__,
            "uptime_s": (self._system.ticks_ms() - self._began) // 1000,
            "tunnels": [],
            "hubs": self._peers.status(now),
        }
        servers = [link.server for link in self._links]
        counters = (self._choice.counters, self._peers.arrivals.counters)
        status.update(hub_status(servers, self._announced, counters, now))
        if self._routing:
            status["routing"] = self._routing.status()
        if self._records:
            status["journal"] = self._records.tail()
        return status
