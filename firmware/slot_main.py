"""The entry on Linux where there are slots: `micropython slot_main.py ROOT [COMMAND]`."""

import json
import sys

from branchboot.disk import pieces
from branchboot.manifest import MAX_OCTETS, Manifest, ManifestError
from branchboot.slots import Slots
from branchboot.update import Update, UpdateError

_USAGE = """usage: slot_main.py ROOT [COMMAND]
    boot      (or nothing) starts the gateway of the slot whose turn it is
    status    which slot is good, and how the last trial ended, as JSON
    missing   reads a MANIFEST; prints which files must be sent, as JSON
    stage     reads a MANIFEST; takes the missing files from ROOT/incoming; the next start tries it

Exit codes of boot: the gateway's own (see app/run.py), and 3 when no slot can be started. Whoever
starts it starts it again when it ends, whatever the code, unless it was stopped.
"""

_INCOMING = "/incoming/"
_NOTHING_TO_START = 3
_IMAGE = "/branchline.romfs"


def _fail(text):
    sys.stderr.write("error: " + text + "\n")
    return 1


def _boot(slots):
    choice = slots.choose()
    if choice.said:
        sys.stderr.write(choice.said + "\n")
    if choice.folder is None:
        sys.stderr.write("error: nothing to start in " + slots.root + ": install a bundle\n")
        return _NOTHING_TO_START
    code = None
    try:
        code = _start(choice)
    finally:
        if choice.trial:
            choice.reject("it ended with code %s before it confirmed itself" % code)
    if code == 0:
        choice.stopped()
    return code


def _start(choice):
    from image_main import mount

    mount(choice.folder + _IMAGE)
    from branchline.app.run import main

    return main([choice.folder], choice)


def _update(slots):
    return Update(slots, Manifest(sys.stdin.buffer.read(MAX_OCTETS + 1)), "linux")


def _missing(slots):
    update = _update(slots)
    print(json.dumps({"present": update.is_present(), "missing": update.missing()}))
    return 0


def _stage(slots):
    update = _update(slots)
    if update.is_present():
        print("nothing to change")
        return 0
    update.receive(lambda name: pieces(slots.disk, slots.root + _INCOMING + name))
    print("staged in slot " + (slots.trial or slots.good))
    return 0


def _status(slots):
    print(json.dumps(slots.status()))
    return 0


_COMMANDS = {"boot": _boot, "status": _status, "missing": _missing, "stage": _stage}


def main(arguments):
    """Carries out one command; returns the exit code."""
    command = arguments[1] if len(arguments) == 2 else "boot"
    if not 1 <= len(arguments) <= 2 or command not in _COMMANDS:
        sys.stderr.write(_USAGE)
        return 2
    slots = Slots(arguments[0].rstrip("/") or "/")
    try:
        return _COMMANDS[command](slots)
    except (ManifestError, UpdateError) as error:
        return _fail(str(error))
    except OSError as error:
        return _fail("cannot write %s: %s" % (slots.root, error))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
