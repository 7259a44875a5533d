"""A board's hardware watchdog (machine.WDT), with the calls of hal.linux.hardware_watchdog."""


class MachineWatchdog:
    """wdt: the class machine.WDT. Once made, it resets the board when nothing feeds it for
    `timeout_s`; nothing stops it.

    Raises OSError with a text, as for a timeout that the chip cannot do (RP2040: over 8.3 s).
    """

    note = ""

    def __init__(self, wdt, timeout_s):
        try:
            self._wdt = wdt(timeout=timeout_s * 1000)
        except ValueError as error:
            raise OSError(22, "start the hardware watchdog: " + str(error)) from None
        self.timeout_s = timeout_s

    def feed(self):
        """Puts the reset off by `timeout_s`; True."""
        self._wdt.feed()
        return True

    def close(self):
        """Feeds it a last time: nothing can stop it, so a board must be running again by then."""
        self._wdt.feed()
