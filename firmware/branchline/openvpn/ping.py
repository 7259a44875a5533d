"""Pings, the exit notice, and the limits on silence: ping, ping-restart, ping-exit, inactive.

The packet path only counts packets; once a second tick() compares the counts, so that a packet
costs no clock reading.
"""

from micropython import const

# The payload of a ping packet, and of the notice that a peer without control-channel exit sends
# (the "OCC" magic and its opcode 6).
PING = b"\x2a\x18\x7b\xf3\x64\x1e\xb4\xcb\x07\xed\x2d\x0a\x98\x1f\xc7\x48"
_OCC_MAGIC = b"\x28\x7f\x34\x6b\xd4\xef\x7a\x81\x2d\x56\xb8\xd3\xaf\xc5\x45\x9c"
EXIT_NOTICE = _OCC_MAGIC + b"\x06"

# What tick() asks for; IDLE is nothing.
IDLE = const(0)
SEND_PING = const(1)
PING_RESTART = const(2)
PING_EXIT = const(3)
INACTIVE = const(4)


class Keepalive:
    """Timers in seconds, 0 for none; inactive_octets: less traffic counts as inactivity."""

    def __init__(self, ping, ping_restart, ping_exit, inactive, inactive_octets):
        self._ping = ping
        self._ping_restart = ping_restart
        self._ping_exit = ping_exit
        self._inactive = inactive
        self._inactive_octets = max(1, inactive_octets)
        self._sent = self._received = 0
        self._since_sent = self._since_received = self._since_active = 0
        self._octets = 0

    def tick(self, seconds, sent, received, octets):
        """Some seconds have passed; the counts are totals so far, octets those of tunnelled data.

        sent and received are packets; ping packets count as well.
        """
        self._since_sent = 0 if sent != self._sent else self._since_sent + seconds
        self._since_received = 0 if received != self._received else self._since_received + seconds
        self._sent, self._received = sent, received
        self._since_active += seconds
        if octets - self._octets >= self._inactive_octets:
            self._octets = octets
            self._since_active = 0
        if self._inactive and self._since_active >= self._inactive:
            return INACTIVE
        if self._ping_exit and self._since_received >= self._ping_exit:
            return PING_EXIT
        if self._ping_restart and self._since_received >= self._ping_restart:
            return PING_RESTART
        if self._ping and self._since_sent >= self._ping:
            self._since_sent = 0
            return SEND_PING
        return IDLE
