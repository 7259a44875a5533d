"""The start of a microcontroller board: the slot whose turn it is, its gateway, and what follows.

Ctrl-C ends the gateway and leaves the console to who pressed it; whatever else ends it, the board
starts again. Where nothing is installed, the console is all that there is.
"""

import sys

from branchboot import segments


def main():
    """Runs the gateway; returns only to the console."""
    import machine

    choice = segments.mount().choose()
    if choice.said:
        sys.stdout.write(choice.said + "\n")
    if choice.folder is None:
        sys.stdout.write("nothing to start: branchctl flash installs a branch's gateway\n")
        return
    try:
        segments.mount_code(choice.folder)
        from branchline.app.board import main as run

        code = run(choice)
    except KeyboardInterrupt:
        choice.stopped()
        sys.stdout.write("the gateway was interrupted\n")
        return
    except Exception as error:
        sys.print_exception(error)
        code = 1
    if choice.trial:
        choice.reject("it ended with code %d before it confirmed itself" % code)
    elif code == 0:
        choice.stopped()
    sys.stdout.write("the gateway has ended with code %d: the board starts again\n" % code)
    machine.reset()
