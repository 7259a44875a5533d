"""Keeps the clock of a board that has no battery: at the start, and every hour, by SNTP."""

import time

import machine
from micropython import const

from branchline.wire import sntp
from branchline.wire.errors import ProtocolError
from branchline.wire.ticks import earliest, ticks_add, ticks_diff

_PORT = const(123)
_PATIENCE_MS = const(2000)
_RETRY_MS = const(5000)
_AGAIN_MS = const(3_600_000)


def set_clock(seconds):
    """Sets the time of day; seconds since 1970."""
    year, month, day, hour, minute, second, weekday, _ = time.gmtime(seconds)
    machine.RTC().datetime((year, month, day, weekday, hour, minute, second, 0))


class TimeKeeper:
    """servers: names or addresses, asked in turn; system: what has resolve(), open_udp(), poller,
    random(), ticks(), unix_time(), log(). `is_right`: whether a server has told the time."""

    def __init__(self, servers, system, not_before):
        self.is_right = False
        self._servers = servers
        self._system = system
        self._not_before = not_before
        self._turn = 0
        self._due = system.ticks()
        self._query = self._socket = self._nonce = None
        self._buf = bytearray(sntp.SIZE)

    def next_timer(self):
        """The tick of the next step, or None."""
        return earliest(self._due, self._query.next_timer() if self._asking() else None)

    def _asking(self):
        return self._query and not self._query.done and hasattr(self._query, "next_timer")

    def handle_timer(self, now):
        """Time has passed."""
        if self._query and self._query.done:
            query, self._query = self._query, None
            if query.addresses:
                self._ask(query.addresses[0], now)
        if self._due is not None and ticks_diff(now, self._due) >= 0:
            self._next_server(now)

    def _next_server(self, now):
        self._close()
        server = self._servers[self._turn % len(self._servers)]
        self._turn += 1
        self._due = ticks_add(now, _RETRY_MS)
        self._query = self._system.resolve(server, 4, now)
        if self._query.done:
            self.handle_timer(now)

    def _ask(self, address, now):
        self._due = ticks_add(now, _PATIENCE_MS)
        self._nonce = self._system.random(8)
        sntp.write_request(self._buf, self._nonce)
        try:
            self._socket = self._system.open_socket(address, _PORT)
        except OSError:
            return
        self._system.poller.register(self._socket, self._read)
        self._socket.write(self._buf, sntp.SIZE)

    def _read(self, readable, writable):
        n = self._socket.readinto(self._buf)
        if n is None:
            return
        try:
            seconds = sntp.read_answer(self._buf, n, self._nonce, self._not_before)
        except ProtocolError as error:
            self._system.log("debug", "gateway", "clock", str(error))
            return
        self._close()
        off = seconds - self._system.unix_time()
        if off:
            set_clock(seconds)
        if not self.is_right:
            self.is_right = True
            self._system.log("info", "gateway", "clock", "set by %d s" % off)
        self._due = ticks_add(self._system.ticks(), _AGAIN_MS)

    def _close(self):
        if self._socket:
            self._system.poller.unregister(self._socket)
            self._socket.close()
            self._socket = None
