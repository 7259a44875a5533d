"""The gateway's own table of nftables in the kernel: whether it is there, what it has dropped.

`nft` loads it; what is asked and done here takes one message each, and no program.
"""

import struct

from micropython import const

from branchline.hal.linux import rtnetlink as rt
from branchline.hal.linux.netlink import Netlink

_NETLINK_NETFILTER = const(12)
_NFPROTO_INET = const(1)
_BATCH_BEGIN = const(0x10)
_BATCH_END = const(0x11)
_SUBSYSTEM = const(10)  # NFNL_SUBSYS_NFTABLES
_GET_TABLE = const(0x0A01)
_DELETE_TABLE = const(0x0A02)
_GET_OBJECT = const(0x0A13)
_REQUEST = const(1)
_NAME = const(1)  # the first attribute of a table and of an object
_OBJECT_NAME = const(2)
_OBJECT_TYPE = const(3)
_OBJECT_DATA = const(4)
_COUNTER = b"\0\0\0\1"
_COUNTER_PACKETS = const(2)
_ENOENT = const(2)
_NO_NF_TABLES = (22, 95)  # EINVAL, EOPNOTSUPP

_TABLE = rt.attribute(_NAME, b"branchline\0")
# By this counter a gateway's table is told from that of a hub's kit.
_MARK = b"spoofed"


class NfTables(Netlink):
    """The table `inet branchline`. Methods raise OSError(errno, text)."""

    def __init__(self):
        super().__init__(_NETLINK_NETFILTER)

    def owner(self):
        """Whose table there is: "ours", "theirs" or, without one, None."""
        if _MARK in self.counters():
            return "ours"
        return "theirs" if self._exists() else None

    def _exists(self):
        """Whether there is such a table, of whomever."""
        try:
            self._request("find the filter", _GET_TABLE, 0, _family(_NFPROTO_INET) + _TABLE)
        except OSError as error:
            if error.args[0] != _ENOENT:
                raise
            return False
        return True

    def dropped(self):
        """(packets dropped for their source, those that no rule allows), or None without the
        table."""
        found = self.counters()
        return (found[_MARK], found.get(b"denied", 0)) if _MARK in found else None

    def counters(self):
        """The packets that each counter of the table has seen, by its name (octets)."""
        found = {}

        def take(buf, start, end):
            seen = rt.attributes(buf, start + 4, end)
            data = seen.get(_OBJECT_DATA, b"")
            packets = rt.attributes(data, 0, len(data)).get(_COUNTER_PACKETS)
            if packets:
                name = seen.get(_OBJECT_NAME, b"").rstrip(b"\0")
                found[name] = struct.unpack(">Q", packets)[0]

        body = _family(_NFPROTO_INET) + _TABLE + rt.attribute(_OBJECT_TYPE, _COUNTER)
        self.dump("read the filter's counters", _GET_OBJECT, body, take)
        return found

    def sweep(self):
        """Removes the table if it is a gateway's; whether there was one."""
        if self.owner() != "ours":
            return False
        self._delete()
        return True

    def _delete(self):
        seq = self._next()
        batch = _family(0, _SUBSYSTEM)
        message = rt.message(_BATCH_BEGIN, _REQUEST, seq, batch)
        message += rt.request(_DELETE_TABLE, 0, seq, _family(_NFPROTO_INET) + _TABLE)
        message += rt.message(_BATCH_END, _REQUEST, seq, batch)
        try:
            self._exchange("remove the filter", message)
        except OSError as error:
            if error.args[0] != _ENOENT:
                raise


def _family(family, resource=0):
    """struct nfgenmsg."""
    return struct.pack(">BBH", family, 0, resource)


def sweep():
    """Removes a gateway's table, if there is one; whether there was. Raises OSError."""
    try:
        kernel = NfTables()
    except OSError:
        return False  # a kernel without nfnetlink
    try:
        return kernel.sweep()
    except OSError as error:
        if error.args[0] not in _NO_NF_TABLES:
            raise
        return False
    finally:
        kernel.close()
