"""Takes a link down and brings it up again, which makes a modem or a DHCP client begin afresh."""

import json
from binascii import hexlify, unhexlify

from micropython import const

from branchline.hal.linux.snapshot import Snapshot
from branchline.wire.errors import StateError
from branchline.wire.ticks import ticks_add, ticks_diff

DOWN_MS = const(3000)
# DHCP clients and the like put back what is theirs in this time.
SETTLE_MS = const(2000)
_RETRY_MS = const(1000)
_TRIES = const(10)
_ENODEV = const(19)
_BOOT_ID = "/proc/sys/kernel/random/boot_id"

_IDLE = const(0)
_LOW = const(1)
_SETTLING = const(2)


class Bounce:
    """One device, by name. start(), then handle_timer() until `done`; nothing here waits.

    `notes`: texts of what could not be done. A link that cannot be brought up is tried every
    second for ever. A process that dies meanwhile leaves the link down: so record() is to be
    stored after start() and removed when done, and given to resume() at the next start.
    """

    def __init__(self, netlink, device):
        self._netlink = netlink
        self._device = device
        self._state = _IDLE
        self._due = None
        self._tries = 0
        self._dev = 0
        self._kept = None
        self.notes = []

    @property
    def done(self):
        """Whether nothing is under way."""
        return self._state == _IDLE

    def start(self, now):
        """Takes the link down; OSError with a text, and nothing is changed, if that fails."""
        if self._state != _IDLE:
            raise StateError("the link is being bounced")
        dev = self._netlink.index(self._device)
        kept = Snapshot(self._netlink, dev)
        kept.take()
        self._netlink.set_link(dev, up=False)
        self._begin(dev, kept, now, DOWN_MS)

    def _begin(self, dev, kept, now, ms):
        self._dev = dev
        self._kept = kept
        self._tries = 0
        self.notes = []
        self._wait(_LOW, now, ms)

    def next_timer(self):
        """The tick of the next step, or None."""
        return self._due

    def handle_timer(self, now):
        """Takes the next step when it is time for it."""
        if self._due is not None and ticks_diff(now, self._due) >= 0:
            self._step(now)

    def finish(self, now):
        """The gateway stops: what is left to do is done at once, as far as it can be."""
        self._tries = _TRIES
        if self._state == _LOW:
            self._step(now)
        if self._state == _SETTLING:
            self._step(now)

    def _step(self, now):
        if self._state == _LOW:
            self._bring_up(now)
        else:
            self._put_back(now)

    def _wait(self, state, now, ms):
        self._state = state
        self._due = ticks_add(now, ms)

    def _end(self, notes):
        self._state = _IDLE
        self._due = self._kept = None
        self.notes = notes

    def _bring_up(self, now):
        try:
            self._netlink.set_link(self._dev, up=True)
        except OSError as error:
            if error.args[0] == _ENODEV:
                self._end([error.args[-1]])
                return
            self.notes = [error.args[-1]]
            self._wait(_LOW, now, _RETRY_MS)
            return
        # Routes may need them, and IPv6 ones are tested for duplicates before they can be used.
        self._kept.restore_addresses()
        self._wait(_SETTLING, now, SETTLE_MS)

    def _put_back(self, now):
        notes = self._kept.restore_addresses() + self._kept.restore_routes()
        self._tries += 1
        if notes and self._tries < _TRIES:
            # The address that a gateway stands on may be a DHCP client's, which takes its time.
            self._wait(_SETTLING, now, _RETRY_MS)
        else:
            self._end(notes)

    def record(self):
        """What resume() needs (bytes); b"" when nothing is under way."""
        if not self._kept:
            return b""
        kept = [
            [hexlify(body).decode() for body in bodies]
            for bodies in (self._kept.addresses, self._kept.routes)
        ]
        return json.dumps([_boot_id(), self._device, self._dev] + kept).encode()

    def resume(self, data, now):
        """Goes on where an earlier process's bounce of this device was cut off; nothing happens
        if `data` is of another device, or cannot be read, or the machine has started since."""
        try:
            boot_id, device, dev, addresses, routes = json.loads(data)
            addresses = [unhexlify(body) for body in addresses]
            routes = [unhexlify(body) for body in routes]
            if device != self._device or dev != self._netlink.index(device):
                return
        except (ValueError, TypeError, OSError):
            return
        if boot_id == _boot_id():
            self._begin(dev, Snapshot(self._netlink, dev, addresses, routes), now, 0)


def _boot_id():
    with open(_BOOT_ID) as file:
        return file.read().strip()
