"""The machine below the tunnels: its WAN, whether the loop still turns, and the last resorts."""

from micropython import const

from branchline.watchdog.ladder import Ladder, Rung
from branchline.watchdog.progress import Progress
from branchline.wire.ticks import earliest, ticks_add, ticks_diff

# An address and its route come one after the other.
_SETTLE_MS = const(100)
_CHECK_MS = const(5000)
_BOUNCE_MS = const(180_000)
_REBOOT_MS = const(900_000)
_BOUNCE = "bounce"


class Machine:
    """settings: app.settings.Watchdog; manager: tunnel.manager.Manager; records:
    app.records.Records or None; note(subject, event, reason, level). `supervision` is set once
    there is one; parts(): (name, next_timer) of what must not fall behind."""

    def __init__(self, settings, system, manager, records, note, servers, parts):
        self.supervision = None
        self._settings = settings
        self._system = system
        self._manager = manager
        self._records = records
        self._tell = note
        self._servers = servers
        self._parts = parts
        self._ladder = Ladder(
            [
                Rung("wan", _BOUNCE_MS, settings.wan_per_hour if settings.wan else 0),
                Rung("reboot", _REBOOT_MS, settings.reboots_per_hour),
            ]
        )
        self._watch = self._wan = self._changed = self._check_due = None
        self._bounce = None
        self._hardware = self._progress = None
        self._turns = 0
        self._acted = False

    def _note(self, subject, event, reason, level):
        self._acted = True
        self._tell(subject, event, reason, level)

    # ---- start and end ----

    def start(self, now):
        """Puts right what a crash has left, and begins to watch."""
        if self._settings.wan and self._records:
            self._resume(now)
        try:
            self._watch = self._system.watch_wan()
        except OSError as error:
            self._note("gateway", "wan", str(error.args[-1]), "warning")
        else:
            self._system.poller.register(self._watch, self._on_wan)
        self._check_due = now
        if self._settings.device:
            self._arm(now)

    def _arm(self, now):
        """The hardware watchdog resets the machine unless it is fed."""
        settings = self._settings
        try:
            self._hardware = self._system.open_watchdog(settings.device, settings.device_s)
        except OSError as error:
            self._note("gateway", "hardware-watchdog", str(error.args[-1]), "error")
            return
        self._progress = Progress(now)
        self._progress.watch_work("loop", lambda: True, lambda: self._turns)
        self._progress.watch_work("packets", self._manager.has_work, self._manager.sent)
        for name, next_timer in self._parts():
            self._progress.watch_timers(name, next_timer)
        text = self._hardware.note or "armed, %s s" % self._hardware.timeout_s
        self._note("gateway", "hardware-watchdog", text, "info")

    def stop(self, now):
        """Ends all of it; the machine is not reset."""
        if self._watch:
            self._system.poller.unregister(self._watch)
            self._watch.close()
            self._watch = None
        if self._bounce and not self._bounce.done:
            self._bounce.finish(now)
            self._forget_bounce()
        if self._hardware:
            self._hardware.close()
            self._hardware = None

    # ---- the WAN ----

    def _wan_index(self):
        """The index of the WAN's device, or None while no way leads to a server."""
        if self._settings.wan:
            return self._system.link_index(self._settings.wan)
        for address in self._servers():
            index = self._system.device_towards(address)
            if index is not None and not self._is_tunnel(index):
                return index
        return None

    def _is_tunnel(self, index):
        """The way to a server may for a moment lead into a tunnel."""
        devices = self.supervision.devices() if self.supervision else ()
        return index in [self._system.link_index(device) for device in devices]

    def _on_wan(self, readable, writable):
        while event := self._watch.read():
            kind, index, what = event
            if kind == "lost":
                self._changed = ticks_add(self._system.ticks(), _SETTLE_MS)
            elif index == self._wan:
                self._wan_event(kind, what)

    def _wan_event(self, kind, what):
        now = self._system.ticks()
        if kind == "link":
            self._note("gateway", "wan", "the link is " + ("up" if what else "down"), "warning")
            self._pause(not what, now)
        if kind != "link" or what:
            self._changed = ticks_add(now, _SETTLE_MS)

    def _pause(self, paused, now):
        """Without a link nothing is to be gained by restarts."""
        self._ladder.pause(paused, now)
        if self.supervision:
            self.supervision.pause(paused, now)

    # ---- time ----

    def next_timer(self):
        """The tick of the earliest deadline, or None."""
        return earliest(
            self._check_due,
            self._changed,
            self._ladder.next_timer(),
            self._bounce.next_timer() if self._bounce else None,
            self._progress.next_timer() if self._progress else None,
        )

    def handle_timer(self, now):
        """Time has passed; whether anything was done."""
        self._turns = self._turns + 1 & 0xFFFFFF
        self._acted = False
        if self._changed is not None and ticks_diff(now, self._changed) >= 0:
            self._changed = None
            self._look(now)
            if self.supervision:
                self.supervision.wan_changed(now)
                self._acted = True
        if self._check_due is not None and ticks_diff(now, self._check_due) >= 0:
            self._look(now)
        if self._bounce:
            self._bounce.handle_timer(now)
            if self._bounce.done:
                self._forget_bounce()
        self._climb(now)
        if self._progress and ticks_diff(now, self._progress.next_timer()) >= 0:
            self._feed(now)
        return self._acted

    def _look(self, now):
        self._check_due = ticks_add(now, _CHECK_MS)
        index = self._wan_index()
        if index is not None and index != self._wan:
            self._wan = index
            if self._watch:
                self._pause(not self._watch.is_up(index), now)

    def _feed(self, now):
        if self._progress.check(now):
            self._hardware.feed()
        while event := self._progress.next_event():
            what, name, reason = event
            level = "error" if what == "stuck" else "info"
            self._note("gateway", what, name + (": " + reason if reason else ""), level)

    # ---- the last rungs ----

    def _climb(self, now):
        supervision = self.supervision
        if supervision is None:
            return
        fine = supervision.all_work() if self._settings.always else supervision.any_works()
        if fine:
            self._ladder.end()
            return
        self._ladder.begin(now)
        rung = self._ladder.take(now, self._forbidden)
        if rung == "wan":
            self._bounce_wan(now)
        elif rung == "reboot":
            self._reboot()

    def _forbidden(self, rung):
        return "the WAN is being bounced" if self._bounce else ""

    def _bounce_wan(self, now):
        self._note("gateway", "wan", "no tunnel works: the link goes down and up", "error")
        try:
            bounce = self._system.bounce(self._settings.wan)
            bounce.start(now)
        except OSError as error:
            self._note("gateway", "wan", str(error.args[-1]), "error")
            return
        self._bounce = bounce
        if self._records:
            self._records.write(_BOUNCE, bounce.record())

    def _resume(self, now):
        data = self._records.read(_BOUNCE)
        if data:
            self._bounce = self._system.bounce(self._settings.wan)
            try:
                self._bounce.resume(data, now)
            except OSError as error:
                self._note("gateway", "wan", str(error.args[-1]), "error")
                self._bounce = None

    def _forget_bounce(self):
        for text in self._bounce.notes:
            self._note("gateway", "wan", text, "warning")
        self._bounce = None
        if self._records:
            self._records.write(_BOUNCE, b"")

    def _reboot(self):
        self._note("gateway", "reboot", "no tunnel works, and nothing else has helped", "error")
        if self._records:
            self._records.flush()
        try:
            self._system.reboot()
        except OSError as error:
            self._note("gateway", "reboot", str(error.args[-1]), "error")
