"""One connection's stream as microdot reads and writes it, with limits to what a client may send.

microdot reads any number of header lines of any length, and keeps them all; here they have a limit
together, and those that nobody asks for are passed over: a browser sends the cookies that other
services of the same host have set.
"""

from micropython import const

_MAX_LINE = const(1024)
_MAX_LINES = const(48)
_MAX_HEAD = const(8192)  # octets
_KEPT = (b"host", b"origin", b"content-length", b"content-type")
MAX_BODY = const(1024)
_CHUNK = const(512)
# Small pieces go together.
_PIECE = const(1024)
_ECONNRESET = const(104)  # microdot takes it for a client that has gone, and says nothing


def _name(line):
    """The name of a header line."""
    return line.partition(b":")[0].strip().lower()


class Bounded:
    """reader: has `await read(n)`; writer: has `write(data)` and `await drain()`; refuse(reason)
    is called, once, when the client passes a limit or is gone."""

    def __init__(self, reader, writer, refuse):
        self._reader = reader
        self._writer = writer
        self._refuse = refuse
        self._input = b""
        self._lines = 0
        self._head = 0
        self._output = bytearray()
        self._over = False

    def get_extra_info(self, name):
        """microdot asks for the client's address; nothing here depends on it."""
        return None

    async def readline(self):
        """The next line of the request's head that matters, with its end."""
        while True:
            is_request = self._lines == 0
            line = await self._line(is_request)
            if is_request or not line.strip() or _name(line) in _KEPT:
                if len(line) > _MAX_LINE:
                    self._fail("long-line")
                return line

    async def _line(self, is_request):
        """The next line; of a long one the beginning, long enough to show that it is."""
        line = b""
        while True:
            end = self._input.find(b"\n") + 1
            size = end or len(self._input)
            self._head += size
            if self._head > _MAX_HEAD or self._lines == _MAX_LINES:
                self._fail("long-head")
            line += self._take(size)[: _MAX_LINE + 1 - len(line)]
            if end or (is_request and len(line) > _MAX_LINE):
                self._lines += 1
                return line
            await self._fill()

    async def readexactly(self, n):
        """The request's body of n octets."""
        if not 0 <= n <= MAX_BODY:
            self._fail("bad-length")
        while len(self._input) < n:
            await self._fill()
        return self._take(n)

    async def read(self, n=-1):
        """Nothing: a body that is too long to be kept is not read at all."""
        return b""

    async def awrite(self, data):
        """Sends octets, some time before or in aclose."""
        if self._over:
            raise OSError(_ECONNRESET, "refused")
        view = memoryview(data)
        for start in range(0, len(data), _PIECE):
            self._output.extend(view[start : start + _PIECE])
            if len(self._output) >= _PIECE:
                await self._flush()

    async def aclose(self):
        """Sends what is left."""
        if self._output:
            await self._flush()

    async def _flush(self):
        output = self._output
        self._output = bytearray()
        self._writer.write(bytes(output))
        await self._writer.drain()

    async def _fill(self):
        data = await self._reader.read(_CHUNK)
        if not data:
            self._fail("gone")
        self._input += data

    def _take(self, n):
        data = self._input[:n]
        self._input = self._input[n:]
        return data

    def _fail(self, reason):
        self._over = True
        self._refuse(reason)
        raise OSError(_ECONNRESET, reason)
