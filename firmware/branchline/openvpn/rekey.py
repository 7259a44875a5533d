"""When a key has served long enough: reneg-sec, -bytes, -pkts and the cipher's limits."""

from micropython import const

_RETRY_S = const(10)
# A server that does not complete so many renegotiations in a row is out of step with us.
_MAX_FAILURES = const(3)


class RekeyTimer:
    """Measures the newest key of a session against the profile's limits."""

    def __init__(self, profile):
        self._profile = profile
        self.restart()

    def restart(self):
        """There is a new key."""
        self._age_s = self._not_before_s = self._failures = 0

    def failed(self):
        """A renegotiation failed: another one follows soon. False after too many of them."""
        self._failures += 1
        self._not_before_s = self._age_s + _RETRY_S
        return self._failures < _MAX_FAILURES

    def is_due(self, seconds, data):
        """Some seconds have passed; whether the key, a DataChannel, is to be replaced now."""
        self._age_s = age = self._age_s + seconds
        profile = self._profile
        return age >= self._not_before_s and (
            (profile.reneg_sec and age >= profile.reneg_sec)
            or data.needs_rekey
            or (profile.reneg_bytes and data.tx_octets + data.rx_octets >= profile.reneg_bytes)
            or (profile.reneg_pkts and data.tx_packets + data.rx_packets >= profile.reneg_pkts)
        )
