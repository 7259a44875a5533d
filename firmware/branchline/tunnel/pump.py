"""The packet pump: moves packets between a device and a transport through a session.

This is the packet path: nothing on it allocates, and what is looked up often is a local.
"""

from micropython import const

from branchline.wire.errors import ProtocolError
from branchline.wire.slot import HEADROOM, Slot

_ELOOP = const(40)
# Packets moved in one direction before the poller looks at the others.
_BATCH = const(16)


class Pump:
    """Connects `session` and `transport`; attach() adds the device once the tunnel is up.

    capacity: octets of the longest packet; ticks() reads the clock, once for each batch;
    drained(now) is called when the session may have something to say, broken(error, now) when a
    stream is at its end.
    """

    def __init__(self, session, transport, poller, capacity, ticks, drained, broken):
        self.transport = transport
        self.device = None
        self._session = session
        self._poller = poller
        self._ticks = ticks
        self._drained = drained
        self._broken = broken
        self._received = Slot(capacity)
        self._sent = Slot(capacity)
        # The session's own datagrams and the device's packets take turns in one buffer.
        self._control = self._sent.at(HEADROOM - transport.prefix)
        self._control_body = self._sent.at(HEADROOM)
        self._clamp = self._is_to_server = None
        self._paused = False
        # Looking up a method as a value allocates, so the packet path finds these ready.
        self._read = transport.readinto
        self._write = transport.write
        self._receive = session.receive
        self._read_device = self._write_device = None
        self._follow = getattr(transport, "follow", None)
        poller.register(transport, self._on_transport)

    def attach(self, device, clamp, recursion=None):
        """The tunnel is up; clamp: an openvpn.mss.MssClamp, or None; recursion: a RecursionCheck
        where the tunnel's routes lead to the server too, or None."""
        self.device = device
        self._clamp = clamp and clamp.apply
        self._is_to_server = recursion and recursion.is_to_server
        self._read_device = device.readinto
        self._write_device = device.write
        self._poller.register(device, self._on_device)

    def rebind(self, transport):
        """Goes on over another transport of the same kind; closes the one before."""
        self._poller.unregister(self.transport)
        self.transport.close()
        self.transport = transport
        self._read = transport.readinto
        self._write = transport.write
        self._follow = getattr(transport, "follow", None)
        self._poller.register(transport, self._on_transport)

    def has_work(self):
        """Whether packets wait in the device that the transport would take."""
        return self.device and not self._paused and self._poller.is_readable(self.device)

    def detach(self):
        """Stops moving packets; closes neither end."""
        self._poller.unregister(self.transport)
        if self.device and not self._paused:
            self._poller.unregister(self.device)
        self.device = None

    def _on_transport(self, readable, writable):
        """Returns True if only packets moved, which the poller wants to know."""
        now = self._ticks()
        try:
            if writable:
                self._resume()
            if readable:
                self._read_transport(now)
        except (OSError, ProtocolError) as error:
            self._broken(error, now)
            return False
        if self._session.needs_drain:
            self.drain(now)
            return False
        return True

    def _read_transport(self, now):
        slot = self._received
        session = self._session
        read = self._read
        receive = self._receive
        for _ in range(_BATCH):
            n = read(slot.at(session.wire_offset))
            if n is None:
                return
            n = self._receive_floating(slot, n, now) if self._follow else receive(slot, n, now)
            if n and self.device:
                clamp = self._clamp
                if clamp:
                    clamp(slot.buf, HEADROOM, n)
                self._write_device(slot.at(HEADROOM), n)

    def _receive_floating(self, slot, n, now):
        """With `float` the server may answer from elsewhere: once the packet has proved to be
        its own, ours go there too."""
        before = self._session.authentic()
        n = self._receive(slot, n, now)
        if self._session.authentic() != before:
            self._follow()
        return n

    def _on_device(self, readable, writable):
        try:
            return self._read_device_batch()
        except OSError as error:
            self._broken(error, self._ticks())
            return False

    def _read_device_batch(self):
        slot = self._sent
        packet = slot.at(HEADROOM)
        read = self._read_device
        write = self._write
        seal = self._session.ring.seal
        wire = slot.at(self._session.wire_offset - self.transport.prefix)
        clamp = self._clamp
        is_to_server = self._is_to_server
        for _ in range(_BATCH):
            n = read(packet)
            if n is None:
                break
            if is_to_server and is_to_server(slot.buf, HEADROOM, n):
                raise OSError(_ELOOP, "the route that keeps the server outside the tunnel is gone")
            if clamp:
                clamp(slot.buf, HEADROOM, n)
            n = seal(slot, n)
            if n and write(wire, n) is None and self._pause():
                return True
        # The last packet may have been taken in part.
        self._pause()
        return True

    def _pause(self):
        """The transport takes no more: leave packets in the device until it does (TCP only)."""
        if self._is_blocked():
            self._poller.want_write(self.transport, True)
            if self.device and not self._paused:
                self._paused = True
                self._poller.unregister(self.device)
        return self._paused

    def _is_blocked(self):
        return getattr(self.transport, "blocked", False)

    def _resume(self):
        if not self.transport.flush():
            return
        # The session's own datagrams have waited, too.
        self._session.needs_drain = True
        self._poller.want_write(self.transport, False)
        if self._paused:
            self._paused = False
            self._poller.register(self.device, self._on_device)

    def drain(self, now):
        """Sends the session's own datagrams, then lets the owner take its events."""
        session = self._session
        session.needs_drain = False
        try:
            while not self._is_blocked() and (n := session.next_datagram(self._control_body)):
                self._write(self._control, n)
            self._pause()
        except OSError as error:
            self._broken(error, now)
            return
        self._drained(now)
