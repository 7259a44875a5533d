"""What a session tells its owner: kinds of events, reasons of its end, and the server's words."""

from micropython import const

# Events: (kind, detail).
UP = const(1)  # detail: TunnelOptions
DOWN = const(2)  # detail: (reason, text)
REKEYED = const(3)  # detail: the new key id
INFO = const(4)  # detail: text for the log

# Reasons of DOWN that the owner tells apart; every other reason means 'try again'.
AUTH_FAILED = "auth-failed"
SERVER_RESTART = "server-restart"
HALT = "halt"
NAME_LEARNT = "name-learnt"
LOCAL_EXIT = ("ping-exit", "inactive")

# Control messages that end a session: word -> (reason, text where the server gives none).
ENDS = {
    b"AUTH_FAILED": (AUTH_FAILED, "the server refused the client's credentials"),
    b"RESTART": (SERVER_RESTART, ""),
    b"EXIT": (SERVER_RESTART, "the server leaves"),
    b"HALT": (HALT, "the server told the client to stop"),
}

# The stock server's limit for AUTH_PENDING.
_MAX_AUTH_PENDING_S = const(3600)


def pending_seconds(detail):
    """How long AUTH_PENDING's detail ("timeout 60,...") gives the user, or None."""
    for option in detail.split(","):
        word, _, value = option.partition(" ")
        if word == "timeout" and value.isdigit():
            return min(int(value), _MAX_AUTH_PENDING_S)
    return None
