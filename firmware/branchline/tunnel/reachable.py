"""Asks whether a server answers by UDP, beside a session that goes on by TCP.

It is the beginning of a handshake: the server's first answer is all that is wanted, no certificate
is sent, and the server forgets the attempt by itself.
"""

from micropython import const

from branchline.openvpn.session import Session
from branchline.wire.slot import Slot
from branchline.wire.ticks import earliest, ticks_add, ticks_diff

_PATIENCE_MS = const(5000)
_BUFFER = const(1600)


class Reachable:
    """One question; `answer` is None until it is True or False. Raises OSError, Unsupported."""

    def __init__(self, profile, env, system, address, port, now):
        self.answer = None
        self._system = system
        self._slot = Slot(_BUFFER)
        # Which may be refused, too: nothing is open then.
        self._session = Session(profile, env, False, len(address) == 16, system.unix_time())
        self._transport = system.open_udp(address, port, profile)
        system.poller.register(self._transport, self._on_transport)
        self._until = ticks_add(now, _PATIENCE_MS)
        self._session.start(now)
        self._send()

    def _send(self):
        session = self._session
        out = self._slot.at(0)
        while n := session.next_datagram(out):
            self._transport.write(out, n)

    def _on_transport(self, readable, writable):
        session = self._session
        now = self._system.ticks()
        n = self._transport.readinto(self._slot.at(session.wire_offset))
        if n:
            session.receive(self._slot, n, now)
            if session.authentic():
                self._finish(True)

    def handle_timer(self, now):
        """Time has passed."""
        if self.answer is None:
            if ticks_diff(now, self._until) >= 0:
                self._finish(False)
            else:
                self._session.handle_timer(now)
                self._send()

    def next_timer(self):
        """The tick of the earliest deadline, or None."""
        if self.answer is not None:
            return None
        return earliest(self._until, self._session.next_timer())

    def _finish(self, answer):
        self.answer = answer
        self._system.poller.unregister(self._transport)
        self._transport.close()
        self._session.close()

    def close(self):
        """Gives up, if there is no answer yet."""
        if self.answer is None:
            self._finish(False)
