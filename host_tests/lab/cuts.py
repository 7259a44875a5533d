"""Paths through an internet that are cut: between two hosts, or between one and all others."""

import dataclasses

from host_tests.lab.netns import Host
from host_tests.lab.pki import Pki

# ARP always passes: a cut is meant for traffic, and a lost ARP request costs a whole second.
_TABLE = """\
table netdev cuts
delete table netdev cuts
table netdev cuts {{
  chain arriving {{
    type filter hook ingress devices = {{ {devices} }} priority 0;
{arriving}
  }}
  chain leaving {{
    type filter hook egress devices = {{ {devices} }} priority 0;
{leaving}
  }}
}}
"""


@dataclasses.dataclass
class End:
    """A host on the internet: the router's device toward it, and all its public addresses.

    One that the router itself has, of a relay to that host, counts as the host's."""

    device: str
    addresses: list[str]


class Cuts:
    """What a router of an internet drops. Nobody is told: packets just vanish."""

    def __init__(self, router: Host, ends: dict[str, End]):
        self._router, self.ends = router, ends
        self.pairs: set[tuple[str, ...]] = set()

    def cut(self, *names: str) -> bool:
        """Cut the path between two hosts, or one host off from all; False if it is cut already."""
        pair = tuple(sorted(names))
        if pair in self.pairs:
            return False
        self.pairs.add(pair)
        self._apply()
        return True

    def heal(self, *names: str) -> bool:
        """Undo a cut; without a name, all of them. False if there is none."""
        chosen = {tuple(sorted(names))} if names else set(self.pairs)
        if not chosen & self.pairs:
            return False
        self.pairs -= chosen
        self._apply()
        return True

    def _apply(self) -> None:
        lines: dict[str, list[str]] = {"iifname": [], "oifname": []}
        for pair in sorted(self.pairs):
            if len(pair) == 1:
                device = self.ends[pair[0]].device
                for way, rules in lines.items():
                    rules.append(f'    {way} "{device}" meta protocol {{ ip, ip6 }} drop')
            else:
                for rules in lines.values():
                    rules += [*self._between(*pair), *self._between(*reversed(pair))]
        devices = ", ".join(f'"{end.device}"' for end in self.ends.values())
        text = _TABLE.format(devices=devices, arriving="\n".join(lines["iifname"]),
                             leaving="\n".join(lines["oifname"]))
        path = Pki(self._router.directory).write("cuts.nft", text)
        self._router.run("nft", "-f", str(path))

    def _between(self, source: str, target: str) -> list[str]:
        """Rules that drop what goes from one to the other."""
        rules = []
        for family, mark in (("ip6", True), ("ip", False)):
            there, here = (
                ", ".join(each for each in self.ends[name].addresses if (":" in each) is mark)
                for name in (target, source))
            if there and here:
                rules.append(f"    {family} saddr {{ {here} }} {family} daddr {{ {there} }} drop")
        return rules
