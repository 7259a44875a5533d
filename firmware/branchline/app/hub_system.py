"""What the operating system offers to a hub's agent."""

from branchline.app.base_system import BaseSystem
from branchline.hal.linux.client_routes import ClientRoutes
from branchline.hal.linux.hub_socket import HubSocket
from branchline.hal.linux.tcp import open_tcp
from branchline.hal.linux.unix_stream import connect_unix

_SMALL = 1 << 16


class _TcpStream:
    """A Tcp with the calls of a UnixStream."""

    def __init__(self, tcp):
        self._tcp = tcp
        self.fileno = tcp.fileno
        self.connected = tcp.connected
        self.write = tcp.write
        self.close = tcp.close

    def readinto(self, view):
        """As UnixStream's."""
        return self._tcp.readinto(view, len(view))


class HubSystem(BaseSystem):
    """Linux, as a hub sees it."""

    def connect_management(self, path, endpoint):
        """A stream to a server's management interface: at the UNIX socket `path`, or at endpoint
        (address octets, port), then one that does not stand before connected() says so."""
        if path is not None:
            return connect_unix(path)
        return _TcpStream(open_tcp(endpoint[0], endpoint[1], rcvbuf=_SMALL, sndbuf=_SMALL))

    def open_hub_socket(self, address, port):
        """A HubSocket."""
        return HubSocket(address, port)

    def client_routes(self, protocol, source):
        """A ClientRoutes."""
        return ClientRoutes(self._netlink, protocol, source)
