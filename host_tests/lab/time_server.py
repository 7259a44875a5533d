"""A time server for boards: `python -m host_tests.lab.time_server ADDRESS` answers SNTP (RFC 4330)
with this machine's time."""

import socket
import struct
import sys
import time

PORT = 123
_FROM_1900 = 2208988800
_SERVER_VERSION_4 = 0x24


def answer(request: bytes, now: float) -> bytes:
    """What a server of stratum 2 answers."""
    seconds = int(now) + _FROM_1900
    stamp = struct.pack(">II", seconds & 0xFFFFFFFF, int(now % 1 * (1 << 32)))
    head = struct.pack(">BBbb", _SERVER_VERSION_4, 2, 6, -20) + bytes(12)
    return head + stamp + request[40:48] + stamp + stamp


def main(address: str) -> None:
    """Serves for ever."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((address, PORT))
        print("serving", flush=True)
        while True:
            request, client = server.recvfrom(512)
            if len(request) >= 48:
                server.sendto(answer(request, time.time()), client)


if __name__ == "__main__":
    main(sys.argv[1])
