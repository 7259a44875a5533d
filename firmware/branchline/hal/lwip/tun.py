"""TUN devices: interfaces of lwIP whose packets are read and written here, one each."""

import tun
from micropython import const

from branchline.hal.lwip import links

_EEXIST = const(17)
_EOPNOTSUPP = const(95)


class Tun:
    """An interface of lwIP; `readinto(view)` and `write(view, n)` are those of the module in C.

    `name`: what it is called; `index`: lwIP's number of it.
    """

    prefix = 0

    def __init__(self, name):
        self._tun = tun.Tun()
        self.name = name
        self.index = self._tun.index()
        self.readinto = self._tun.readinto
        self.write = self._tun.write
        links.add(name, self.index)

    def fileno(self):
        """What a poller waits for."""
        return self._tun

    def dropped(self):
        """(packets that found the queue full, packets that lwIP had no memory for)."""
        return self._tun.dropped()

    def close(self):
        """Takes it away, and with it its addresses and routes."""
        links.remove(self.name)
        self._tun.close()


def open_tun(name, tap=False):
    """Makes a device and returns its Tun; name may be a pattern such as "tun%d". Raises OSError
    with a text."""
    if tap:
        raise OSError(_EOPNOTSUPP, "this board has no tap devices: use dev tun")
    name = links.free_name(name)
    if links.find(name) is not None:
        raise OSError(_EEXIST, "another tunnel uses the device " + name)
    try:
        return Tun(name)
    except OSError as error:
        raise OSError(error.args[0], "there is no room for another device") from None
