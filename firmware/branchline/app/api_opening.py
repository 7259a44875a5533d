"""The API's listening socket, and why there is none; needed at the start only."""

import sys

from micropython import const

from branchline.wire.ip import format_address

_BACKLOG = const(8)
_LOOPBACK = bytes(15) + b"\x01"


def open_listener(system, address, port, log):
    """A socket that listens there, or None. log(level, text) is told which, and why."""
    if not _is_installed("microdot"):
        log("warning", "microdot is not installed (make setup): there is no API")
        return None
    try:
        listener = system.listen(address, port, _BACKLOG)
    except OSError as error:
        log("warning", str(error.args[-1]) + ": there is no API")
        return None
    where = "%s port %d" % (format_address(address), port)
    log("info", "listens on " + where)
    if address[0] != 127 and address != _LOOPBACK:
        log("warning", "whoever reaches %s may see the status and restart tunnels" % where)
    return listener


def _is_installed(module):
    """Whether a module would be found; it is not loaded."""
    if sys.implementation.name != "micropython":
        import importlib.util

        return importlib.util.find_spec(module) is not None
    import os

    for folder in sys.path:
        for suffix in (".mpy", ".py"):
            try:
                os.stat((folder + "/" if folder else "") + module + suffix)
                return True
            except OSError:
                pass
    return False
