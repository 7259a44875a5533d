"""Which packets an interface is to lose, as classic BPF for `tc`: it needs no netem module.

The filter sees frames on ingress. ARP always passes: loss is meant for traffic, and a lost ARP
request costs a whole second.
"""

import ipaddress

_LOAD_HALF, _LOAD_WORD, _LOAD_OCTET = 40, 32, 48  # from an offset in the frame
_AND, _IS, _AT_LEAST, _RETURN = 84, 21, 53, 6
_RANDOM = 0xFFFFF000 + 56  # the offset that gives a random 32-bit number (SKF_AD_RANDOM)
_ETHERTYPE, _PROTOCOL, _SOURCE, _TARGET = 12, 23, 26, 30
_ARP, _IPV4, _UDP = 0x0806, 0x0800, 17
_PASS, _DROP = 0xFFFFFFFF, 2  # TC_ACT_UNSPEC, TC_ACT_SHOT


def bytecode(percent: float, peer: str | None = None, udp: bool = False) -> str:
    """The filter that drops that share of the packets, for `tc filter ... bpf bytecode`.

    peer: only IPv4 packets from or to that address or prefix; udp: of those, only UDP.
    """
    code = _Code()
    if peer is None:
        code.load(_LOAD_HALF, _ETHERTYPE)
        code.test(_IS, _ARP, true="pass")
    else:
        _match(code, ipaddress.ip_network(peer), udp)
    if percent < 100:
        code.load(_LOAD_WORD, _RANDOM)
        code.test(_AT_LEAST, int(percent * 2**32 / 100), true="pass")
    return code.text()


def _match(code: "_Code", network: ipaddress.IPv4Network, udp: bool) -> None:
    code.load(_LOAD_HALF, _ETHERTYPE)
    code.test(_IS, _IPV4, false="pass")
    if udp:
        code.load(_LOAD_OCTET, _PROTOCOL)
        code.test(_IS, _UDP, false="pass")
    for offset, otherwise in ((_SOURCE, None), (_TARGET, "pass")):
        code.load(_LOAD_WORD, offset)
        code.load(_AND, int(network.netmask))
        code.test(_IS, int(network.network_address), true="matched", false=otherwise)
    code.label("matched")


class _Code:
    """Instructions whose jumps name labels; "pass" is at the end, after the drop."""

    def __init__(self):
        self._lines: list[tuple] = []
        self._labels: dict[str, int] = {}

    def load(self, operation: int, operand: int) -> None:
        self._lines.append((operation, None, None, operand))

    def test(self, operation: int, operand: int, true: str | None = None,
             false: str | None = None) -> None:
        """Jump to a label; None: go on with the next instruction."""
        self._lines.append((operation, true, false, operand))

    def label(self, name: str) -> None:
        self._labels[name] = len(self._lines)

    def text(self) -> str:
        self.load(_RETURN, _DROP)
        self.label("pass")
        self.load(_RETURN, _PASS)
        lines = [
            f"{operation} {self._jump(true, at)} {self._jump(false, at)} {operand}"
            for at, (operation, true, false, operand) in enumerate(self._lines)
        ]
        return ",".join([str(len(lines)), *lines])

    def _jump(self, label: str | None, at: int) -> int:
        return 0 if label is None else self._labels[label] - at - 1
