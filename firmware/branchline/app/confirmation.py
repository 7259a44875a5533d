"""A start of a slot: it confirms itself once a tunnel works, or gives up for the other slot."""

from micropython import const

from branchline.wire.ticks import ticks_add, ticks_diff

_LOOK_MS = const(500)


class Confirmation:
    """slot: branchboot.slots.Choice; carries(): whether the gateway does what it is for;
    give_up() ends it; note(subject, event, reason, level): a decision, for journal and log."""

    def __init__(self, slot, carries, give_up, note, now):
        self._slot = slot
        self._carries = carries
        self._give_up = give_up
        self._note = note
        self._until = ticks_add(now, 1000 * slot.confirm_s) if slot.trial else None
        self._due = ticks_add(now, _LOOK_MS)

    def next_timer(self):
        """The tick of the next look, or None once it is decided."""
        return self._due

    def handle_timer(self, now):
        """Time has passed."""
        if self._due is None or ticks_diff(now, self._due) < 0:
            return
        self._due = ticks_add(now, _LOOK_MS)
        if self._carries():
            self._decide(True)
        elif self._until is not None and ticks_diff(now, self._until) >= 0:
            self._decide(False)

    def _decide(self, good):
        slot = self._slot
        trial = slot.trial
        self._due = None
        try:
            if good:
                slot.works()
            else:
                slot.reject("no tunnel has worked within %d s" % slot.confirm_s)
        except OSError as error:
            self._note("gateway", "slot", "cannot be recorded: " + str(error), "error")
        if trial and good:
            self._note("gateway", "slot", "%s has confirmed itself" % slot.slot, "info")
        elif not good:
            text = "%s: no tunnel has worked within %d s: back to the other one"
            self._note("gateway", "slot", text % (slot.slot, slot.confirm_s), "error")
            self._give_up()
