"""From a folder with gateway.json to a running gateway, or hub's agent, and an exit code."""

import gc
import hashlib
import os
import sys

from branchline import __version__
from branchline.app import settings  # noqa: F401  (its objects outlive the overlay below)
from branchline.app.log import Log
from branchline.app.status import StatusFile
from branchline.wire.errors import BranchlineError, ConfigError
from branchline.wire.overlay import Overlay

_USAGE = """usage: main.py FOLDER
Runs the gateway, or hub's agent, that FOLDER/gateway.json describes, in the foreground and in this
network namespace. SIGHUP has it take up what has changed in FOLDER; a gateway does so without a
packet lost where another tunnel works. SIGINT or SIGTERM stops it: servers are told, devices and
routes removed; a hub's routes to its clients stay.
  BRANCHLINE_STATUS=FILE   writes a JSON snapshot of the tunnels there once a second
  BRANCHLINE_CRYPTO=NAMES  the crypto providers to use: gnutls,libcrypto,pure
  BRANCHLINE_TLS=portable  verifies servers as boards do whose interpreter has no ffi
Exit codes: 0 stopped by a signal, 1 the gateway could not run, 2 a mistake in the configuration.
"""

_OTHERS = 0o077
_SMALL_HEAP = 1 << 20
_COLLECT_EVERY = 8192


def main(arguments, slot=None):
    """Runs the gateway; returns the exit code. arguments: the command line without the program;
    slot: the branchboot.slots.Choice that this is a start of, if it is one."""
    if len(arguments) != 1 or arguments[0] in ("-h", "--help"):
        sys.stdout.write(_USAGE)
        return 0 if arguments[:1] in (["-h"], ["--help"]) else 2
    _spare_heap()
    folder = arguments[0].rstrip("/") or "/"
    if folder[0] != "/":
        # A stock process that is started works in the profile's own folder.
        folder = os.getcwd().rstrip("/") + "/" + folder
    while True:
        try:
            config, profiles = _load(folder, slot)
        except ConfigError as error:
            sys.stderr.write("error: " + str(error) + "\n")
            return 2
        code = _run(folder, config, profiles, slot)
        if code is not None:
            return code


def _spare_heap():
    """Collects often where the heap is small: what lives on then lies close together, and large
    buffers find room. It costs nothing later, as carrying packets allocates nothing."""
    if _is_small():
        gc.threshold(_COLLECT_EVERY)


def _is_small():
    """Whether this is a small heap; CPython has none."""
    return hasattr(gc, "threshold") and gc.mem_alloc() + gc.mem_free() < _SMALL_HEAP


def _load(folder, slot):
    """(config, tunnel name -> Profile); whatever is wrong shows before anything is touched."""

    def read_file(name):
        path = name if name.startswith("/") else folder + "/" + name
        with open(path, "rb") as file:
            return file.read()

    # The parsers are large and of no more use afterwards: small heaps want their room back.
    with Overlay():
        from branchline.app.config import load_config

        config = load_config(read_file)
    if slot and config.state is not None:
        config.state = slot.state
    if config.role == "hub":
        with Overlay():
            from branchline.app.hub_files import read_files

            read_files(config, folder, read_file)
        return config, {}
    return config, _profiles(config, read_file)


def _profiles(config, read_file):
    from branchline.openvpn import profile  # noqa: F401  (its objects outlive the overlay)

    with Overlay():
        from branchline.openvpn.profile_parser import parse_profile

        return _parsed(config, parse_profile, read_file)


def _parsed(config, parse_profile, read_file):
    profiles = {}
    for tunnel in config.tunnels:
        try:
            data = read_file(tunnel.profile)
        except OSError as error:
            raise ConfigError(
                "gateway.json: tunnels." + tunnel.name + ".profile",
                "cannot read " + tunnel.profile + ": " + str(error),
                "paths are relative to the folder of gateway.json",
            ) from None
        digest = hashlib.sha256(data)
        if tunnel.engine == "openvpn":
            # The stock client is the judge of its own profiles.
            profiles[tunnel.name] = (tunnel.profile, data)
        else:
            read_beside = _beside(tunnel.profile, read_file, digest)
            profiles[tunnel.name] = parse_profile(tunnel.profile, data, read_beside)
        tunnel.digest = digest.digest()
    return profiles


def _beside(path, read_file, digest):
    """read_file for what the file at `path` names, relative to that file's folder; what is read
    goes into the digest."""
    folder = path[: path.rfind("/") + 1]

    def read(name):
        data = read_file(name if name.startswith("/") else folder + name)
        digest.update(data)
        return data

    return read


def _system(config, log):
    if config.role == "hub":
        from branchline.app.hub_system import HubSystem

        return HubSystem(log)
    from branchline.app.system import System

    return System(log)


def _records(folder, config, system, log, slot):
    """(the Records or None, whether this is to be a safe start)."""
    if config.state is None:
        return None, False
    from branchline.app.records import Records

    path = config.state if config.state.startswith("/") else folder + "/" + config.state
    records = Records(path, system, log, _is_small())
    safe = records.starting() or (slot is not None and slot.safe)
    if config.role == "hub":
        safe = False  # nothing is optional there
    if safe:
        config.simplify()
        text = "several starts in a row have crashed: tunnels only, for ten minutes"
        log("error", "gateway", "safe-mode", text)
        records.note("gateway", "safe-mode", text, True)
    records.note("gateway", "start", "branchline " + __version__)
    if slot and slot.said:
        records.note("gateway", "slot", slot.said)
    return records, safe


def _run(folder, config, profiles, slot):
    """The exit code, or None: to be run once more."""
    log = Log(config.log_level)
    log("info", "gateway", "start", config.name + " branchline " + __version__)
    if config.routing and config.routing.keys and os.stat(folder + "/gateway.json")[0] & _OTHERS:
        text = "others may read gateway.json, which holds keys: chmod 600 gateway.json"
        log("warning", "gateway", "secrets", text)
    for name, profile in profiles.items():
        for directive, line, reason in getattr(profile, "ignored", ()):
            log("info", name, "ignored", "line %d: %s: %s" % (line, directive, reason))
    system = _system(config, log)
    try:
        # Before anything is written: a second gateway must not touch the first one's records.
        claim = system.claim()
    except OSError as error:
        log("error", "gateway", "failed", _reason(error))
        return 1
    try:
        return _run_claimed(folder, config, profiles, system, log, slot)
    except MemoryError:
        gc.collect()
        log("error", "gateway", "failed", "the heap is too small: start with a larger -X heapsize")
        return 1
    finally:
        claim.close()


def _run_claimed(folder, config, profiles, system, log, slot):
    """As _run. What raises anything else is a crash, and counts as one."""
    records, safe = _records(folder, config, system, log, slot)
    try:
        system.prepare(config, folder)
        gateway = _gateway(folder, config, profiles, system, log, records, safe, slot)
        if slot and config.role == "gateway":
            gateway.confirm(slot)
        ended = gateway.run()
        code = None if ended is None else 0 if ended else 1
    except ConfigError as error:
        sys.stderr.write("error: " + str(error) + "\n")
        code = 2
    except (BranchlineError, OSError) as error:
        log("error", "gateway", "failed", _reason(error))
        code = 1
    if records:
        records.stop()
    return code


def _reason(error):
    # The last argument says more than the error number before it.
    return str(error.args[-1] if len(error.args) > 1 else error)


def _setting(name):
    """An environment variable; boards have none."""
    return os.getenv(name) if hasattr(os, "getenv") else None


def _gateway(folder, config, profiles, system, log, records, safe, slot):
    """The Gateway, or Hub, made as the environment wants it."""
    path = _setting("BRANCHLINE_STATUS")
    status = (lambda status: StatusFile(path, status, log)) if path else None
    if config.role == "hub":
        from branchline.app.hub import Hub

        return Hub(config, system, log, lambda: _load(folder, slot)[0], records, status)
    from branchline.app.engines import make_engines
    from branchline.app.gateway import Gateway

    names = _setting("BRANCHLINE_CRYPTO")
    crypto = names and names.split(",")
    portable_tls = _setting("BRANCHLINE_TLS") == "portable"
    engines = make_engines(folder, config, profiles, system, crypto, portable_tls)

    def load():
        fresh, texts = _load(folder, slot)
        return fresh, lambda tunnels: make_engines(
            folder, fresh, texts, system, crypto, portable_tls, tunnels
        )

    return Gateway(engines, config, system, log, load, records, safe, status)
