"""The watchdog at work: sends probes, tells routing what they say, carries out the steps."""

from micropython import const

from branchline.tunnel.tunnel import DOWN, TUNNEL_UP, UP
from branchline.watchdog.guard import ENGINE, INFINITY, REBIND, RESTART, STEP, Guard
from branchline.wire.ip import format_address
from branchline.wire.ticks import earliest, ticks_add, ticks_diff

_SECOND_MS = const(1000)
# How long a session may be dead before it is made anew: traffic has moved at once, and what comes
# back within this time comes back for nothing.
_RESTART_MS = const(5000)
_HURRY_MS = const(10_000)
# From so many lost of the last 64 probes on, until none is, a path counts as lossy.
_LOSSES = const(2)
# Ends of a session that say nothing against the way to the hub.
_ORDERLY = ("restart", "auth-failed", "auth-token", "inactive")


class _Watched:
    """One tunnel, its guard, and the socket of its probes."""

    def __init__(self, tunnel, guard, target):
        self.tunnel = tunnel
        self.guard = guard
        self.target = target  # configured, or None: the hub's address in the tunnel
        self.probe = None
        self.probed = None  # the address that is probed
        self.device = None
        self.penalty = None  # what routing was told last
        self.trust = None
        self.hurry_until = None  # the WAN has changed: no patience with a dead session


class Supervision:
    """config: app.settings.Config; manager: tunnel.manager.Manager; routing: app.routing.Routing
    or None; note(subject, event, reason, level): writes the journal and, unless level is None,
    the log."""

    def __init__(self, config, system, manager, routing, note):
        settings = config.watchdog
        self._system = system
        self._routing = routing
        self._note = note
        self._second = self._phase = None
        self._watched = [
            _Watched(tunnel, Guard(tunnel.name, settings, system.random, _RESTART_MS), entry.probe)
            for tunnel, entry in zip(manager.tunnels, config.tunnels)
        ]
        self._identifier = int.from_bytes(system.random(2), "big")

    # ---- the tunnels ----

    def tunnel_changed(self, tunnel, kind, detail, now):
        """A Manager's event, after routing has heard of it."""
        watched = self._find(tunnel.name)
        if kind == TUNNEL_UP:
            self._open(watched, detail)
            # One wake-up for all of them.
            self._phase = now if self._phase is None else self._phase
            probed = watched.probe is not None
            watched.guard.tunnel_up(probed, now, detail.quiet_ms, self._phase)
        else:
            self._close(watched)
            watched.guard.tunnel_down(detail[0] in _ORDERLY, now)
        self._settle(now)

    def _find(self, name):
        for watched in self._watched:
            if watched.tunnel.name == name:
                return watched
        raise KeyError(name)

    def _open(self, watched, link):
        # After a full heap nobody has told of the end before.
        self._close(watched)
        watched.device = link.device
        watched.penalty = 0
        watched.trust = (False, False)
        target = watched.target or link.gateway or link.gateway_ipv6
        if link.ends_idle:
            self._note(watched.tunnel.name, "unprobed", "probes would keep `inactive` from it")
            return
        if target is None:
            self._note(watched.tunnel.name, "unprobed", "the hub has no address in the tunnel")
            return
        try:
            watched.probe = probe = self._system.open_probe(
                link.device, target, self._identifier
            )
        except OSError as error:
            self._note(watched.tunnel.name, "unprobed", str(error.args[-1]), "warning")
            return
        watched.probed = target
        system = self._system

        def read(readable, writable):
            health = watched.guard.health
            sequence = probe.receive()
            while sequence is not None:
                health.received(sequence, system.ticks(), system.ticks_us())
                sequence = probe.receive()
            # An answer only puts deadlines off.
            return not health.has_news

        system.poller.register(probe, read)

    def _close(self, watched):
        if watched.probe:
            self._system.poller.unregister(watched.probe)
            watched.probe.close()
        watched.probe = watched.probed = watched.device = watched.penalty = None

    def works(self, tunnel):
        """Whether packets get through a tunnel that is up."""
        return self._find(tunnel.name).guard.is_usable()

    def answered(self, tunnel):
        """Whether the hub has answered a probe in this session, or is not probed."""
        watched = self._find(tunnel.name)
        return watched.probe is None or watched.guard.health.ever_answered

    # ---- time ----

    def next_timer(self):
        """The tick of the earliest deadline, or None."""
        return earliest(self._second, *[watched.guard.next_timer() for watched in self._watched])

    def handle_timer(self, now):
        """Time has passed; whether anything was decided."""
        if self._second is None or ticks_diff(now, self._second) >= 0:
            self._second = ticks_add(now, _SECOND_MS)
            self._count(now)
        changed = acted = False
        for watched in self._watched:
            guard = watched.guard
            if guard.health.suspects:
                traffic = watched.tunnel.engine.traffic()
                if traffic:
                    guard.health.listen(traffic[1])
            guard.handle_timer(now)
            sequence = guard.health.next_probe()
            if sequence >= 0:
                if watched.probe:
                    watched.probe.send(sequence)
                guard.health.sent(now, self._system.ticks_us())
            guard.drain(now)
            while event := guard.next_event():
                acted = True
                changed = self._take(watched, event, now) or changed
        if changed:
            self._settle(now)
        return acted

    def _count(self, now):
        for watched in self._watched:
            hurry = watched.hurry_until
            if hurry is not None and ticks_diff(now, hurry) >= 0:
                watched.hurry_until = None
            traffic = watched.tunnel.engine.traffic() if watched.guard.is_up else None
            if traffic:
                watched.guard.health.traffic(traffic[0], traffic[1], now)
            self._vouch(watched, now)

    def _take(self, watched, event, now):
        """Carries out or tells what a guard has decided; whether penalties may have changed."""
        kind, detail = event
        tunnel = watched.tunnel
        if kind == STEP:
            self._step(tunnel, detail[0], detail[1], now)
            return False
        if detail:
            good = watched.guard.is_usable() and detail[0] != "suppressed"
            self._note(tunnel.name, detail[0], detail[1], "info" if good else "warning")
        return True

    def _step(self, tunnel, rung, reason, now):
        if rung == REBIND:
            if tunnel.rebind(now):
                self._note(tunnel.name, "rebind", "from a fresh socket: " + reason)
        elif rung == RESTART:
            if tunnel.state == UP:
                self._restart(tunnel, reason, now)
        elif rung == ENGINE and not tunnel.finished:
            self._note(tunnel.name, "restart", "engine: " + reason, None)
            tunnel.restart_engine(reason, now)

    def _restart(self, tunnel, reason, now):
        self._note(tunnel.name, "restart", reason, None)
        tunnel.restart(reason, now, tunnel.has_other_remote, True)

    # ---- what routing is told ----

    def _vouch(self, watched, now):
        """Tells routing whether it may rely on the probes: they know sooner than Hellos when a
        path is lost, and do not take a few losses for its end."""
        if watched.device is None or not self._routing:
            return
        health = watched.guard.health
        lossy = health.losses >= _LOSSES or (watched.trust[1] and health.losses > 0)
        trust = (health.is_alive, health.is_alive and lossy)
        if trust != watched.trust:
            watched.trust = trust
            self._routing.set_trust(watched.device, trust[0], trust[1], now)

    def _settle(self, now):
        """Tells routing what each tunnel may carry. A damped tunnel carries nothing, unless no
        other one could take its place: to cut the branch off would be worse than any flap."""
        others = [w for w in self._watched if w.guard.is_usable() and not w.guard.is_damped]
        for watched in self._watched:
            if watched.device is None:
                continue
            guard = watched.guard
            penalty = guard.penalty()
            if guard.is_damped and others:
                penalty = INFINITY
            if penalty == watched.penalty:
                continue
            watched.penalty = penalty
            if self._routing:
                self._routing.set_penalty(watched.device, penalty, now)
            if guard.is_usable() or watched.tunnel.state != UP:
                continue
            # Without routing only the end of its device moves the traffic.
            if (others and not self._routing) or watched.hurry_until is not None:
                self._restart(watched.tunnel, guard.health.reason, now)

    # ---- for others ----

    def any_works(self):
        """Whether packets get through some tunnel."""
        return any(watched.guard.is_usable() for watched in self._watched)

    def all_work(self):
        """Whether packets get through every tunnel."""
        return all(watched.guard.is_usable() for watched in self._watched)

    def devices(self):
        """The names of the tunnels' devices."""
        return [watched.device for watched in self._watched if watched.device]

    def wan_changed(self, now):
        """The way out is another one: sessions go on from there, by a fresh socket or, where the
        probes find them dead, at once by a fresh session."""
        for watched in self._watched:
            tunnel = watched.tunnel
            if tunnel.state != UP:
                if not tunnel.finished and tunnel.state == DOWN:
                    tunnel.restart("the WAN has changed", now)
            elif tunnel.rebind(now):
                self._note(tunnel.name, "rebind", "the WAN has changed")
            elif watched.guard.is_usable():
                watched.hurry_until = ticks_add(now, _HURRY_MS)
            else:
                self._restart(tunnel, "the WAN has changed", now)

    def pause(self, paused, now):
        """The WAN itself is down, or back: while it is down nothing helps."""
        for watched in self._watched:
            watched.guard.ladder.pause(paused, now)

    def status(self, name, now):
        """What is known of a tunnel: JSON values."""
        watched = self._find(name)
        status = watched.guard.status(now)
        status["penalty"] = watched.penalty
        status["probes"] = watched.probed and format_address(watched.probed)
        return status

    def close(self):
        """Closes the probes' sockets."""
        for watched in self._watched:
            self._close(watched)
