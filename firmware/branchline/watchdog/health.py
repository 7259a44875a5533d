"""The health of one tunnel, from the echoes of probes to the hub.

A probe goes out every `probe_ms`. One that has no answer after `timeout` (RFC 6298's, at least
30 ms) is a suspicion: further probes follow at once, close upon each other, and only if none of
them all is answered the tunnel is DOWN. Where few probes are lost this takes at most

    probe_ms + max(250 ms, 2 * timeout + 5 * 25 ms)

from the fault on: 0.5 s with a probe every 250 ms. Any answer to a probe sent since the suspicion
began ends it.

Echoes alone decide: what else the hub sends proves only one of the two directions. What the engine
counts serves to say more of the reason, and to probe idle tunnels less often. Only where the hub
has never answered a probe, but pings as OpenVPN does, its silence is its death.
"""

from array import array

from micropython import const

from branchline.wire.ticks import earliest, ticks_add, ticks_diff

UNKNOWN = const(0)  # no answer so far
UP = const(1)
DEGRADED = const(2)
DOWN = const(3)
STATE_NAMES = ("unknown", "up", "degraded", "down")

# At 5 % random loss each way 9.75 % of the echoes are missing. Seven in a row: 0.0975^7 of 14,400
# probes an hour, once in 800 hours; that is why no fewer will do.
_CONFIRM = const(7)
# Where half of the echoes are missing it takes 20 for the same certainty.
_MAX_CONFIRM = const(20)
_MIN_TIMEOUT_MS = const(30)
_MAX_TIMEOUT_MS = const(1000)
_FIRST_TIMEOUT_MS = const(500)
_MIN_GAP_MS = const(25)
# Queues fill up and radios pause for a moment: so long no silence counts, however short the path.
_SILENCE_MS = const(250)
# A handler that was called later than this has to give the answers that wait a chance.
_LATE_MS = const(50)
_RECOVER = const(3)  # answers in a row after which a dead tunnel is up
_UNANSWERED_MS = const(5000)
_SLOW_MS = const(1000)
# Of the last 64 regular probes; at 9.75 % 6 are missing, 20 or more once in many years, and at
# 30 % loss each way (51 %) 33.
_WINDOW = const(64)
_LOSSY = const(20)
_LOSSLESS = const(10)
_MIN_STAY_MS = const(5000)
_RING = const(64)  # probes under way; a power of two
_MIN_VAR_US = const(5000)
# A delay of more than thrice the path's own and this is a full queue.
_SLOWED_US = const(150_000)
_IDLE_OCTETS = const(2000)  # in a second: no more than probes and Hellos


class Health:
    """settings: probe_ms (0: no probes, always UNKNOWN), idle_probe_ms; random(n): n octets."""

    def __init__(self, settings, random):
        self.state = UNKNOWN
        self.reason = ""
        self._probe_ms = settings.probe_ms
        self._idle_ms = settings.idle_probe_ms
        self._sequence = self._first = int.from_bytes(random(2), "big")
        self._sent_at = array("I", bytes(4 * _RING))
        self._sent_us = array("I", bytes(4 * _RING))
        self._open = bytearray(_RING)  # 1: under way, 2: given up
        self._window = bytearray(_WINDOW)  # 1: lost
        self._lost = self._window_at = 0
        self._rtt_us = self._base_us = -1
        self._var_us = 0
        self.ever_answered = False
        self._idle = False
        self._sent = self._received = 0
        self._quiet_ms = None
        self._heard_at = 0
        self._silent_since = None  # octets received when a suspicion began
        self._listened = 0
        self._running = False
        self._since = self._began = self._phase = 0
        self._events = []
        self._clear()

    def _clear(self):
        self._due = None  # of the next regular probe
        self._suspect = -1  # the first probe of a suspicion
        self._burst = 0  # probes sent since then, that one included
        self._burst_due = None
        self._verdict_due = None
        self._late = False
        self._row = 0
        self._wanted = False

    # ---- the tunnel ----

    def start(self, now, quiet_ms=None, phase=None):
        """The tunnel is up: begins to probe; quiet_ms: within which the hub is to be heard, if
        anybody knows. phase: a tick from which whole intervals are counted, or None for now;
        tunnels of one phase are probed in the same moment."""
        self._clear()
        self._phase = now if phase is None else phase
        self._quiet_ms = quiet_ms
        self._heard_at = now
        for i in range(_RING):
            self._open[i] = 0
        # Another session may go to another hub by another way.
        for i in range(_WINDOW):
            self._window[i] = 0
        self._lost = 0
        self._rtt_us = -1
        self._running = self._probe_ms > 0
        self._idle = False
        self._due = now if self._running else None
        self._began = now
        self._set(UNKNOWN, "", now)

    def stop(self, now):
        """The tunnel is down: nothing is to be probed."""
        self._running = False
        self._clear()
        self._set(UNKNOWN, "", now)

    def traffic(self, sent, received, now):
        """The octets that the engine has counted so far; to be told about once a second."""
        moved = received - self._received + sent - self._sent
        if self._running and not self.ever_answered:
            self._miss(received != self._received, now)
        self._sent = sent
        self._received = received
        idle = 0 <= moved < _IDLE_OCTETS
        if self._idle and not idle and self._running and self._due is not None:
            self._due = earliest(self._due, ticks_add(now, self._probe_ms))
        self._idle = idle

    def _miss(self, heard, now):
        """Judges a hub that has answered no probe by whether it is heard at all."""
        if heard:
            self._heard_at = now
            if self.state == DOWN:
                self._set(UNKNOWN, "the hub is heard again", now, True)
        elif self._quiet_ms and self.state != DOWN:
            silent_ms = ticks_diff(now, self._heard_at)
            if silent_ms >= self._quiet_ms:
                text = "neither an answer nor anything else for %d s" % (silent_ms // 1000)
                self._set(DOWN, text, now, True)

    @property
    def is_alive(self):
        """Whether its probes are answered."""
        return self.state in (UP, DEGRADED)

    @property
    def losses(self):
        """How many of the last 64 regular probes got lost."""
        return self._lost

    @property
    def suspects(self):
        """Whether a probe is missing and the verdict is not there yet."""
        return self._suspect >= 0

    def listen(self, received):
        """The octets received so far, to be told while it suspects: do only ours get lost?"""
        if self._silent_since is None:
            self._silent_since = received
        self._listened = received

    # ---- probes ----

    def handle_timer(self, now):
        """Time has passed: next_probe() may have something to send, next_event() some news."""
        if not self._running:
            return
        if self._suspect < 0:
            self._look_for_misses(now)
        if self._burst_due is not None and ticks_diff(now, self._burst_due) >= 0:
            self._burst_due = None
            self._wanted = True
        if self._verdict_due is not None and ticks_diff(now, self._verdict_due) >= 0:
            if not self._was_late(self._verdict_due, now):
                self._die(now)
            else:
                self._verdict_due = ticks_add(now, self._timeout_ms())
        if self._due is not None and ticks_diff(now, self._due) >= 0:
            interval = self._interval(now)
            self._due = ticks_add(now, interval - ticks_diff(now, self._phase) % interval)
            self._wanted = self._wanted or self._suspect < 0

    def _interval(self, now):
        never = self.state == UNKNOWN and not self.ever_answered
        if never and ticks_diff(now, self._began) >= _UNANSWERED_MS:
            if not self.reason:
                self._set(UNKNOWN, "the hub does not answer probes", now, True)
            return _SLOW_MS
        return self._idle_ms if self._idle and self.state == UP else self._probe_ms

    def _was_late(self, due, now):
        """Whether this call comes so late that answers may wait to be read; once in a row."""
        late = ticks_diff(now, due) > _LATE_MS and not self._late
        self._late = late
        return late

    def _look_for_misses(self, now):
        """Begins a suspicion with the first probe that has had its time."""
        timeout = self._timeout_ms()
        while back := self._oldest():
            at = (self._sequence - back) & (_RING - 1)
            due = ticks_add(self._sent_at[at], timeout)
            if ticks_diff(now, due) < 0 or self._was_late(due, now):
                return
            self._open[at] = 2
            if self.state == DOWN or not self.ever_answered:
                # How long an outage lasts says nothing of the loss before and after it.
                self._row = 0
                continue
            self._judge(1, now)
            if self._answered_since(back):
                continue
            self._suspect = (self._sequence - back) & 0xFFFF
            self._silent_since = None
            self._burst = back
            self._next_of_burst(now)
            return

    def _oldest(self):
        """How far back the oldest probe under way lies, 0 if none is."""
        last = self._sequence
        back = min((last - self._first) & 0xFFFF, _RING - 1)
        while back and self._open[(last - back) & (_RING - 1)] != 1:
            back -= 1
        # None before it can come under way again, so nobody need look there once more.
        self._first = (last - back) & 0xFFFF
        return back

    def _answered_since(self, back):
        """Whether a probe later than the one so far back is answered: then that was but lost."""
        last = self._sequence
        return any(not self._open[(last - later) & (_RING - 1)] for later in range(1, back))

    def _next_of_burst(self, now):
        confirm = self._confirm()
        if self._burst < confirm:
            self._burst_due = now if self._burst_due is None else self._burst_due
        else:
            self._verdict_due = ticks_add(now, self._timeout_ms())

    def _confirm(self):
        """How many probes without an answer are proof, by the loss of late."""
        over = self._lost - _WINDOW // 10
        return min(_CONFIRM + max(0, over) // 2, _MAX_CONFIRM)

    def next_probe(self):
        """The sequence (16 bits) of the probe to send now, or -1."""
        if not self._wanted:
            return -1
        self._wanted = False
        return self._sequence

    def sent(self, now, now_us):
        """That probe was sent, or could not be."""
        at = self._sequence & (_RING - 1)
        self._sent_at[at] = now
        self._sent_us[at] = now_us & 0xFFFFFFFF
        self._open[at] = 1
        self._sequence = (self._sequence + 1) & 0xFFFF
        if self._suspect >= 0:
            self._burst += 1
            if self._burst < self._confirm():
                self._burst_due = ticks_add(now, self._gap_ms())
            else:
                self._verdict_due = ticks_add(now, self._timeout_ms())

    def _gap_ms(self):
        spread = (_SILENCE_MS - 2 * self._timeout_ms()) // (_CONFIRM - 2)
        return max(_MIN_GAP_MS, spread)

    def received(self, sequence, now, now_us):
        """An answer to a probe came."""
        if not self._running:
            return
        back = (self._sequence - sequence) & 0xFFFF
        at = sequence & (_RING - 1)
        if not 0 < back < _RING or not self._open[at]:
            return
        given_up = self._open[at] == 2
        self._open[at] = 0
        # Where a clock of microseconds wraps early, that of milliseconds knows better.
        most_us = (ticks_diff(now, self._sent_at[at]) + 1) * 1000
        self._measure(min((now_us - self._sent_us[at]) & 0xFFFFFFFF, most_us))
        self.ever_answered = True
        if self._suspect >= 0:
            if (sequence - self._suspect) & 0xFFFF < 0x8000:
                self._suspect = -1
                self._burst_due = self._verdict_due = None
                self._forgive()
        elif not given_up and self.state != DOWN:
            self._judge(0, now)
        self._late = False
        self._row += 1
        if self.state == UNKNOWN or (self.state == DOWN and self._row >= _RECOVER):
            self._set(UP, "the hub answers, %d ms" % (self._rtt_us // 1000), now, True)

    def _forgive(self):
        """What the burst sent is no measure of loss: its probes are not judged."""
        for i in range(_RING):
            if self._open[i] == 1:
                self._open[i] = 2

    def _measure(self, rtt_us):
        """RFC 6298 2.3; and the path's own delay, which follows the least, slowly upwards."""
        if self._rtt_us < 0:
            self._rtt_us = self._base_us = rtt_us
            self._var_us = rtt_us // 2
            return
        self._var_us += (abs(rtt_us - self._rtt_us) - self._var_us) >> 2
        self._rtt_us += (rtt_us - self._rtt_us) >> 3
        # Downwards no faster than the estimate: or a way that became short would seem slowed.
        self._base_us += (rtt_us - self._base_us) >> (3 if rtt_us < self._base_us else 10)

    def _timeout_ms(self):
        if self._rtt_us < 0:
            return _FIRST_TIMEOUT_MS
        timeout = (self._rtt_us + 4 * max(self._var_us, _MIN_VAR_US)) // 1000
        return min(max(timeout, _MIN_TIMEOUT_MS), _MAX_TIMEOUT_MS)

    # ---- the verdict ----

    def _die(self, now):
        self._suspect = -1
        self._burst_due = self._verdict_due = None
        self._row = 0
        self._forgive()
        heard = self._silent_since is not None and self._listened > self._silent_since
        if heard and self.state == UNKNOWN:
            # The handshake has gone both ways just now: it filters probes.
            self.ever_answered = False
            self._set(UNKNOWN, "the hub is heard, but no longer answers probes", now, True)
            return
        reason = "%d probes in a row without an answer" % self._burst
        if heard:
            reason += ": only one way, for the hub is heard"
        self._set(DOWN, reason, now, True)

    def _judge(self, lost, now):
        """Enters a regular probe's fate into the window; the tunnel may become worse or better."""
        window = self._window
        self._lost += lost - window[self._window_at]
        window[self._window_at] = lost
        self._window_at = (self._window_at + 1) % _WINDOW
        slowed = self._rtt_us - self._base_us
        if self.state == UP:
            if self._lost >= _LOSSY:
                text = "%d %% of the probes are lost" % (100 * self._lost // _WINDOW)
                self._set(DEGRADED, text, now, True)
            elif slowed > 2 * self._base_us + _SLOWED_US:
                text = "a delay of %d ms instead of %d"
                text %= (self._rtt_us // 1000, self._base_us // 1000)
                self._set(DEGRADED, text, now, True)
        elif self.state == DEGRADED and ticks_diff(now, self._since) >= _MIN_STAY_MS:
            good = self._lost <= _LOSSLESS and slowed < self._base_us + _SLOWED_US // 2
            if good:
                self._set(UP, "loss and delay are low", now, True)

    def _set(self, state, reason, now, tell=False):
        if state != self.state:
            self._since = now
        self.state = state
        self.reason = reason
        if tell:
            self._events.append((state, reason))

    # ---- for the owner ----

    def next_timer(self):
        """The tick of the earliest deadline, or None."""
        if not self._running:
            return None
        first = None
        back = self._oldest() if self._suspect < 0 else 0
        if back:
            at = (self._sequence - back) & (_RING - 1)
            first = ticks_add(self._sent_at[at], self._timeout_ms())
        return earliest(first, self._due, self._burst_due, self._verdict_due)

    @property
    def has_news(self):
        """Whether next_event() has something."""
        return bool(self._events)

    def next_event(self):
        """The next (state, reason), or None."""
        return self._events.pop(0) if self._events else None

    def status(self, now):
        """A dict of JSON values; times in ms, loss from 0 to 1 of the last 64 probes."""
        known = self._rtt_us >= 0
        return {
            "state": STATE_NAMES[self.state],
            "reason": self.reason,
            "for_s": max(0, ticks_diff(now, self._since)) // 1000,
            "rtt_ms": round(self._rtt_us / 1000, 1) if known else None,
            "jitter_ms": round(self._var_us / 1000, 1) if known else None,
            "loss": round(self._lost / _WINDOW, 2),
        }
