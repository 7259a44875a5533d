"""What the tests with TLS and certificates share; runs on CPython and on MicroPython."""

import io

# Made by make_pki.py.
PKI = __file__.rsplit("/", 1)[0] + "/../../build/testpki/"


def pem(name):
    """The octets of a file of the test PKI."""
    with open(PKI + name, "rb") as file:
        return file.read()


class MemoryStream(io.IOBase):
    """The stream under an mbedtls server: what it is to read, and what it has written."""

    def __init__(self):
        self.input = b""
        self.output = b""

    def readinto(self, buf):
        n = min(len(buf), len(self.input))
        buf[:n] = self.input[:n]
        self.input = self.input[n:]
        return n or None

    def write(self, data):
        self.output += data
        return len(data)

    def ioctl(self, request, argument):
        return 0
