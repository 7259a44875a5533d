"""What a board carries, as MicroPython's manifest functions say it; frozen or copied alike.

hal: the folder of hal/ that is the board's own.
"""

import os

options.defaults(hal="lwip")

_OTHERS = [name for name in ("linux", "lwip") if name != options.hal]


def _files():
    for folder, _, names in os.walk("branchline"):
        below = os.path.relpath(folder, "branchline")
        if below.split(os.sep)[:2] not in [["hal", name] for name in _OTHERS]:
            for name in names:
                if name.endswith(".py") and not name.endswith("_cpython.py"):
                    yield os.path.normpath(os.path.join(below, name))


package("branchline", files=sorted(_files()), opt=2)
package("branchboot", opt=2)
