"""Finds packets to the server among those for its own tunnel.

There must be none: sealed and sent, each would come back longer, without end. They come when the
route that keeps the server outside goes away, as it does when the uplink's interface goes down.
"""

_DESTINATIONS = {4: 16, 16: 24}  # octets of an address: where a header has the destination's
_ETHERNET = 14


class RecursionCheck:
    """server: the address octets of the server; tap: whether the packets are frames."""

    def __init__(self, server, tap):
        self._server = server
        self._version = 4 if len(server) == 4 else 6
        self._start = _ETHERNET if tap else 0
        self._at = self._start + _DESTINATIONS[len(server)]

    def is_to_server(self, buf, offset, n):
        """Whether the packet buf[offset : offset + n] goes to the server."""
        server = self._server
        i = len(server)
        at = offset + self._at
        if n < self._at + i or buf[offset + self._start] >> 4 != self._version:
            return False
        while i:
            i -= 1
            if buf[at + i] != server[i]:
                return False
        return True
