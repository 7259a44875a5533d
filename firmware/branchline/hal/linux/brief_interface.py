"""An interface whose code is loaded only at a tunnel's start and end: it takes much of a small
heap, and the time between is long."""

from branchline.wire.overlay import Overlay


class BriefInterface:
    """As hal.linux.interface.Interface, by the device's name; between apply() and undo() only
    what was put into the kernel is remembered."""

    def __init__(self, name):
        self._name = name
        self._entries = ()

    def apply(self, plan, txqueuelen):
        """Interface.apply; the device is there already."""
        return self._with_interface(lambda interface: interface.apply(plan, txqueuelen))

    def undo(self):
        """Interface.undo."""
        return self._with_interface(lambda interface: interface.undo()) if self._entries else []

    def _with_interface(self, work):
        with Overlay():
            from branchline.hal.linux.interface import Interface
            from branchline.hal.linux.netlink import Netlink

            netlink = Netlink()
            try:
                interface = Interface(netlink, self._name, self._entries)
                try:
                    return work(interface)
                finally:
                    self._entries = interface.entries()
            finally:
                netlink.close()
