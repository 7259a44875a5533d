"""The entry on a microcontroller board: runs the gateway whose folder its flash holds."""

import os
import sys

_FOLDER = "/gateway"


def main():
    """Runs the gateway until it ends; Ctrl-C ends it, and leaves the console to who pressed it.
    Without a configuration it returns at once."""
    try:
        os.stat(_FOLDER + "/gateway.json")
    except OSError:
        sys.stdout.write("no " + _FOLDER + "/gateway.json: there is nothing to run\n")
        return
    from branchline.app import run

    try:
        code = run.main([_FOLDER])
        sys.stdout.write("the gateway has ended with code %d\n" % code)
    except KeyboardInterrupt:
        sys.stdout.write("the gateway was interrupted\n")
