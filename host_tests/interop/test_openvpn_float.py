"""`float`: the server's answers may come from another address once they prove to be its own."""

import select
import socket
import threading

from host_tests.interop.openvpn_support import gateway

_PORT = 2194
_OTHER = "192.0.2.101"


class _TwoAddresses:
    """Passes datagrams on to the server on its host; answers leave from `sockets[leaving]`."""

    def __init__(self, host, server_port: int, addresses: tuple[str, ...]):
        self.leaving = 0
        self.received = [0] * len(addresses)
        self.sockets = [host.call(socket.socket, socket.AF_INET, socket.SOCK_DGRAM)
                        for _ in (*addresses, None)]
        for sock, address in zip(self.sockets, addresses, strict=False):
            sock.bind((address, _PORT))
        self._server = self.sockets.pop()
        self._server.connect((addresses[0], server_port))
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        client = None
        while True:
            for sock in select.select([*self.sockets, self._server], [], [])[0]:
                data, source = sock.recvfrom(65535)
                if sock is self._server:
                    self.sockets[self.leaving].sendto(data, client)
                else:
                    client = source
                    self.received[self.sockets.index(sock)] += 1
                    self._server.send(data)


def _server_with_two_addresses(pair):
    pair.hub.ip("addr", "add", f"{_OTHER}/24", "dev", pair.link.device(pair.hub))
    server = pair.server()
    return server, _TwoAddresses(pair.hub, 1194, (pair.remote(), _OTHER))


def test_the_tunnel_follows_a_server_to_another_address(pair):
    server, way = _server_with_two_addresses(pair)
    profile = server.profile("lyon", f"{pair.remote()} {_PORT}", lines=("float",))
    running = gateway(pair, profile)
    running.wait_up()
    way.leaving = 1
    assert pair.branch.ping(server.address, 5).lost == 0
    assert way.received[1] > 0
    running.stop()


def test_without_float_another_address_is_not_heard(pair):
    server, way = _server_with_two_addresses(pair)
    running = gateway(pair, server.profile("lyon", f"{pair.remote()} {_PORT}"))
    running.wait_up()
    way.leaving = 1
    assert pair.branch.ping(server.address, 3).received == 0
    assert way.received[1] == 0
    running.stop()
