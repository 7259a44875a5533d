"""hal.linux.reboot: refused wherever the network namespace is not the machine's.

The system calls themselves are replaced before anything is called: no test may restart a machine.
"""

from branchline.hal.linux import reboot
from support import raises

_CASES = (
    ("the machine's own", b"net:[1]", b"net:[1]", True),
    ("another", b"net:[2]", b"net:[1]", False),
    ("process 1's is secret", b"net:[1]", b"", False),
    ("ours cannot be told", b"", b"net:[1]", False),
    ("neither can", b"", b"", False),
)


def test_only_in_the_machines_own_namespace():
    called = []
    found = {}

    def restart(command):
        called.append(command)
        return 0

    reboot._sync = lambda: called.append("sync")
    reboot._restart = restart
    reboot._namespace = found.get
    for name, ours, machine, allowed in _CASES:
        del called[:]
        found["self"], found["1"] = ours, machine
        if allowed:
            reboot.reboot()
            assert called == ["sync", 0x01234567], name
        else:
            error = raises(OSError, reboot.reboot)
            assert error.args[0] == 1 and "namespace" in error.args[1], name
            assert called == [], name
