"""What the manager, the watchdog and routing see of a tunnel, whatever engine runs it.

An engine has `name`, `state`, `start(now)`, `stop(now)`, `handle_timer(now)`, `next_timer()`,
`next_event()` and `status()`. It reads and writes its own descriptors when the poller calls it.
"""

from micropython import const

# States.
STOPPED = const(0)
WAITING = const(1)  # until the next attempt
CONNECTING = const(2)  # name, transport, handshake, options
UP = const(3)
STATE_NAMES = ("stopped", "waiting", "connecting", "up")

# Events: (kind, detail).
TUNNEL_UP = const(1)  # detail: the device's name
TUNNEL_DOWN = const(2)  # detail: (reason, text)
TUNNEL_FINISHED = const(3)  # the engine will not try again; detail: (reason, text)
