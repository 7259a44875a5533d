"""The machine's System: the one bundle of what it offers, which app hands to all the rest."""

import sys

if sys.platform == "linux":
    from branchline.app.linux_system import System  # noqa: F401
else:
    from branchline.app.lwip_system import System  # noqa: F401
