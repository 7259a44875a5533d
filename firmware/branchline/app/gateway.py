"""The gateway's parts wired together, and the poll loop that runs them."""

import gc

from micropython import const

from branchline import BUILD_TIME, __version__
from branchline.app.loop import Loop
from branchline.tunnel.manager import Manager
from branchline.tunnel.tunnel import TUNNEL_UP, UP
from branchline.wire.errors import ConfigError
from branchline.wire.overlay import Overlay

_PAUSE_MS = const(2000)
# How long stock processes may take to leave; then they are killed.
_SETTLE_MS = const(3000)


class Gateway:
    """engines: of tunnel.engine, one for each of the tunnels of config (app.settings.Config);
    system: app.system.System; log: app.log.Log; load(): as of app.reload.Reload; records:
    app.records.Records or None; safe: whether this is a safe start; status: makes a StatusFile of
    status(), or None."""

    def __init__(self, engines, config, system, log, load, records=None, safe=False, status=None):
        self._log = log
        self._load = load
        self._reload = None
        self._config = config
        self._system = system
        self._records = records
        self._safe = safe
        self._began = system.ticks_ms()
        self._manager = Manager(engines, self._system, self._tunnel_changed, self._works)
        self._routing = None
        if config.routing:
            # Babel takes a good part of a small heap: only who routes loads it.
            from branchline.app.routing import Routing

            self._routing = Routing(config, system, self._server_addresses, records)
        self._firewall = None
        if config.filter:
            if not system.filters:
                raise ConfigError(
                    "gateway.json: filter", "cannot be enforced on this board", "remove it"
                )
            from branchline.app.firewall import Firewall, Kernel

            self._firewall = Firewall(config.filter, config.tunnels, Kernel(), log)
        self._devices = {}
        self._supervision = self._machine = None
        snapshot = status(self.status) if status else None
        self._parts = [
            part
            for part in (
                self._system,
                self._manager,
                self._routing,
                self._firewall,
                records,
                snapshot,
            )
            if part
        ]
        self._stopping = self._again = False
        if safe:
            from branchline.app.safe_mode import SafeMode

            self._parts.append(SafeMode(self._leave_safe_mode, system.ticks()))
        self._loop = Loop(self._system.poller, self._system.ticks, self._parts, self._is_over)
        self._api = None
        if config.api:
            from branchline.app.api_door import Door

            self._api = Door(self._system, config.api, self.status, self._restart_tunnel)

    def confirm(self, slot):
        """Before run(): this is a start of a slot, branchboot.slots.Choice, which is to be told
        whether it works."""
        from branchline.app.confirmation import Confirmation

        self._parts.append(
            Confirmation(slot, self._carries, self._give_up, self._note, self._system.ticks())
        )

    def _carries(self):
        """Whether a tunnel is up and, where there are probes, one was answered."""
        supervision = self._supervision
        return any(
            tunnel.state == UP and (supervision is None or supervision.answered(tunnel))
            for tunnel in self._manager.tunnels
        )

    def _give_up(self):
        self._stopping = True

    def _leave_safe_mode(self):
        self._note("gateway", "safe-mode", "it ends: a full start is tried again")
        self._stopping = self._again = True

    def run(self):
        """Runs until SIGINT or SIGTERM, or until no tunnel will be tried again.

        Returns True in the first case, None when a safe start has lasted and is to be followed by
        a full one. Everything is taken away in any case.
        """
        self._warn()
        signals = self._system.open_signals()
        if signals:
            self._system.poller.register(signals, lambda readable, writable: self._signal(signals))
        ticks = self._system.ticks
        manager = self._manager
        try:
            if self._firewall:
                # Before there is any tunnel. If this fails nothing was touched.
                self._firewall.load(ticks())
            manager.start(ticks())
            # The first packets are under way: time for what the tunnels do not wait for.
            self._sweep()
            self._start_machine()
            if self._routing:
                self._routing.start(ticks())
            if self._api:
                self._api.open(self._loop)
            self._run_loop()
        finally:
            try:
                if self._api:
                    self._api.close()
                if self._routing:
                    self._routing.stop(ticks())
            finally:
                manager.stop(ticks())
                self._system.settle(_SETTLE_MS)
                if self._supervision:
                    self._supervision.close()
                if self._machine:
                    self._machine.stop(ticks())
                if signals:
                    self._system.poller.unregister(signals)
                    signals.close()
                if self._firewall:
                    self._firewall.unload()
        return None if self._again else self._stopping

    def _sweep(self):
        left = self._system.sweep()
        if left:
            text = "removed %d routes of an earlier run" % left
            self._log("warning", "gateway", "sweep", text)
        if not self._firewall and self._system.filters:
            with Overlay():
                from branchline.hal.linux.nf_tables import sweep

                if sweep():
                    text = "removed the filter of an earlier run"
                    self._log("warning", "gateway", "sweep", text)

    def _start_machine(self):
        if not self._config.watchdog.probe_ms and not self._config.watchdog.device:
            return
        from branchline.app.machine import Machine

        system = self._system
        self._machine = Machine(
            self._config.watchdog,
            system,
            self._manager,
            self._records,
            self._note,
            self._server_addresses,
            self._watched_parts,
        )
        self._machine.start(system.ticks())
        self._parts.append(self._machine)

    def _watched_parts(self):
        """(name, next_timer) of what must not fall behind."""
        parts = [("tunnels", self._manager.next_timer)]
        if self._routing:
            parts.append(("routing", self._routing.next_timer))
        return parts

    def _is_over(self):
        return self._stopping or self._manager.finished()

    def _run_loop(self):
        """Runs until there is a reason to end; a full heap is none."""
        while not self._is_over():
            try:
                self._loop.run()
                if self._api:
                    self._api.serve()
            except MemoryError:
                self._restart()

    def _restart(self):
        """After a full heap no state is sure: every tunnel starts again from nothing."""
        gc.collect()
        self._log("error", "gateway", "memory", "the heap is full: all tunnels start again")
        self._manager.stop(self._system.ticks())
        gc.collect()
        # Not at once: servers need not suffer from a heap that is simply too small.
        self._system.poller.wait(_PAUSE_MS)
        self._manager.start(self._system.ticks())

    def _restart_tunnel(self, name):
        """Starts a tunnel's session anew; whether there is a tunnel of that name."""
        tunnel = self._manager.find(name)
        if tunnel:
            tunnel.restart("asked for by the API", self._system.ticks())
        return tunnel is not None

    def _server_addresses(self):
        known = [tunnel.server_address for tunnel in self._manager.tunnels]
        return [address for address in known if address]

    def _tunnel_changed(self, tunnel, kind, detail):
        """Routing speaks over a tunnel as long as it is up."""
        now = self._system.ticks()
        if kind == TUNNEL_UP:
            self._record(tunnel.name, "up", "by " + tunnel.remote_text)
        else:
            self._record(tunnel.name, "down", "%s: %s" % detail)
        if self._routing:
            device = self._devices.pop(tunnel.name, None)
            if device:
                self._routing.tunnel_down(device, now)
            if kind == TUNNEL_UP:
                self._devices[tunnel.name] = detail.device
                self._routing.tunnel_up(detail.device, detail.addresses, detail.mtu, now)
        if kind == TUNNEL_UP:
            self._supervise()
        if self._supervision:
            self._supervision.tunnel_changed(tunnel, kind, detail, now)

    def _supervise(self):
        """The watchdog is loaded when the first handshake's memory is free again."""
        if self._supervision is None and self._config.watchdog.probe_ms:
            from branchline.app.supervision import Supervision

            self._supervision = Supervision(
                self._config, self._system, self._manager, self._routing, self._note
            )
            self._parts.append(self._supervision)
            if self._machine:
                self._machine.supervision = self._supervision

    def _works(self, tunnel):
        return self._supervision is None or self._supervision.works(tunnel)

    def _note(self, subject, event, reason, level="info"):
        """A decision, for the journal and, unless it is there already (None), the log."""
        if level:
            self._log(level, subject, event, reason)
        self._record(subject, event, reason, level == "error")

    def _record(self, subject, event, reason, urgent=False):
        if self._records:
            self._records.note(subject, event, reason, urgent)

    def status(self):
        """A dict of JSON values: everything that is to be seen of the gateway."""
        now = self._system.ticks()
        tunnels = []
        for tunnel in self._manager.tunnels:
            status = tunnel.status()
            if self._supervision:
                status.update(self._supervision.status(tunnel.name, now))
            tunnels.append(status)
        status = {
            "name": self._config.name,
            "version": __version__,
            "uptime_s": (self._system.ticks_ms() - self._began) // 1000,
            "safe_mode": self._safe,
            "tunnels": tunnels,
        }
        if self._routing:
            status["routing"] = self._routing.status()
        if self._firewall:
            status["filter"] = self._firewall.status()
        if self._records:
            status["journal"] = self._records.tail()
        return status

    def _signal(self, signals):
        name = signals.read_name()
        if name == "SIGHUP":
            self._take_up()
        elif name is not None:
            self._stopping = True
            self._log("info", "gateway", "stop", name)

    def _take_up(self):
        """What has changed in the folder becomes true."""
        if self._safe:
            # Perhaps mended: that takes all of it.
            self._leave_safe_mode()
            return
        gc.collect()  # the parsers are large
        try:
            if self._reload is None:
                from branchline.app.reload import Reload

                self._reload = Reload(
                    self._load,
                    self._config,
                    self._manager,
                    self._routing,
                    self._note,
                    self._firewall,
                )
                self._parts.append(self._reload)
            self._reload.begin(self._system.ticks())
        except MemoryError:
            gc.collect()
            self._note("gateway", "reload", "the heap has no room for it: restart", "error")

    def _warn(self):
        system = self._system
        if system.unix_time() < BUILD_TIME:
            self._log(
                "warning",
                "gateway",
                "clock",
                "the clock is before this firmware's build: certificates may be refused",
            )
        if not system.forwarding_enabled(4):
            self._log(
                "warning",
                "gateway",
                "forwarding",
                "net.ipv4.ip_forward is 0: hosts on the LAN will not reach the tunnels",
            )
