"""What a fault does to traffic between LANs: pings, and a TCP connection that must live on."""

import bisect
import contextlib
import dataclasses
import itertools
import socket
import threading
import time

from host_tests.lab.errors import LabError
from host_tests.lab.netns import Host
from host_tests.lab.ping import Pinger, PingResult

_INTERVAL = 0.01  # seconds, of pings as of what the download sends
_PORT = 5001
_WORDS = 100  # 8-octet numbers that the server sends at once: 80 KB/s
_STEADY_MS = 500  # of silence, up to which traffic counts as flowing
_POLL = 0.05
_TIMEOUT = 5.0


@dataclasses.dataclass(frozen=True)
class Gap:
    """What was seen in a time span (seconds of time.monotonic()); times in ms.

    gap_ms    the longest time between two replies, less the interval of the requests
    stall_ms  the longest time in which the download brought nothing, less its interval
    lost      pings without a reply, of those sent in the time span
    """

    began: float
    ended: float
    gap_ms: float
    stall_ms: float
    sent: int
    lost: int


class Download:
    """A TCP connection on which a server sends counted numbers at a steady pace.

    Each number is checked; `arrivals` says when something came, `error` what broke it.
    """

    def __init__(self, client: Host, server: Host, address: str):
        self.arrivals: list[float] = []
        self.octets = 0
        self.error = ""
        self._stopping = threading.Event()
        with server.call(socket.create_server, (address, _PORT)) as listener:
            self._client = client.call(socket.create_connection, (address, _PORT), _TIMEOUT)
            listener.settimeout(_TIMEOUT)
            self._server = listener.accept()[0]
        self._client.settimeout(_POLL)
        self._server.settimeout(None)
        self._threads = [threading.Thread(target=work, daemon=True)
                         for work in (self._send, self._receive)]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End the connection."""
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)  # wakes who waits for room to send
        for thread in self._threads:
            thread.join()
        self._client.close()
        self._server.close()

    def _send(self) -> None:
        numbers = itertools.count()
        while not self._stopping.wait(_INTERVAL):
            try:
                self._server.sendall(b"".join(
                    number.to_bytes(8, "big") for number in itertools.islice(numbers, _WORDS)))
            except OSError as error:
                self._fail(f"the server's end broke: {error}")
                return

    def _receive(self) -> None:
        numbers, rest = itertools.count(), b""
        while not self._stopping.is_set():
            try:
                data = self._client.recv(65536)
            except TimeoutError:
                continue
            except OSError as error:
                self._fail(f"the client's end broke: {error}")
                return
            if not data:
                self._fail("the connection ended")
                return
            self.arrivals.append(time.monotonic())
            self.octets += len(data)
            rest += data
            whole = len(rest) // 8 * 8
            wanted = b"".join(number.to_bytes(8, "big")
                              for number in itertools.islice(numbers, whole // 8))
            if rest[:whole] != wanted:
                self._fail("the octets that came are not those that were sent")
                return
            rest = rest[whole:]

    def _fail(self, why: str) -> None:
        if not self._stopping.is_set():
            self.error = self.error or why


class Traffic:
    """Pings and a download between two hosts, as a context manager.

        with Traffic(lyon.desk, nice.desk, nice.address) as traffic:
            began = time.monotonic()
            ...
            traffic.wait_steady(3.0, 30.0)
            print(traffic.between(began, time.monotonic()))
    """

    def __init__(self, client: Host, server: Host, address: str):
        self._pinger = Pinger(client, address, interval=_INTERVAL)
        self._ends = (client, server, address)
        self.download: Download | None = None

    def __enter__(self) -> "Traffic":
        try:
            self.download = Download(*self._ends)
        except OSError as error:
            raise LabError(f"no TCP connection to {self._ends[2]}: {error}") from None
        self._pinger.__enter__()
        return self

    def __exit__(self, *_) -> None:
        self._pinger.__exit__()
        self.download.close()

    @property
    def pings(self) -> PingResult:
        """What the pinger has seen so far."""
        return self._pinger.result

    def between(self, began: float, ended: float) -> Gap:
        """What happened between two moments of the past (of time.monotonic()).

        Pings that were sent too late for their replies to be in count as lost: end a little later.
        """
        pings = self.pings
        sent = sum(began <= at < ended for at in pings.sendings)
        received = sum(began <= at - rtt / 1000 < ended
                       for at, rtt in zip(pings.arrivals, pings.rtts))
        return Gap(
            began, ended, gap_ms=_longest(pings.arrivals, began, ended),
            stall_ms=_longest(self.download.arrivals, began, ended), sent=sent,
            lost=sent - received,
        )

    def wait_steady(self, seconds: float, timeout: float, download: bool = True) -> bool:
        """Wait until pings, and the download, have flowed for so many seconds from now on or
        later; False when that takes longer than `timeout`."""
        began = time.monotonic()
        while (now := time.monotonic()) < began + timeout:
            flows = [self.pings.arrivals, self.download.arrivals][:1 + download]
            if now >= began + seconds and all(
                    _longest(flow, now - seconds, now) <= _STEADY_MS for flow in flows):
                return True
            if self.download.error:
                raise LabError(f"the TCP download did not go on: {self.download.error}")
            time.sleep(_POLL)
        return False


def _longest(arrivals: list[float], began: float, ended: float) -> float:
    """The longest silence in ms beyond the interval, also one that reaches out of the span."""
    arrivals = arrivals[:]  # its thread goes on
    first, last = bisect.bisect_right(arrivals, began), bisect.bisect_left(arrivals, ended)
    moments = [arrivals[first - 1] if first else began, *arrivals[first:last], ended]
    longest = max(b - a for a, b in itertools.pairwise(moments))
    return max(0.0, (longest - _INTERVAL) * 1000)
