"""The policy as a table of nftables, in the words of nft(8).

What a rule allows is matched both ways, requests by the service's ports and answers by the same
ports as their source, so that connections outlive a loss of the kernel's connection tracking,
which is asked besides for what this cannot tell.
"""

from branchline.filter.packet import ANY, ICMP, SERVICE, TCP
from branchline.filter.prefixes import texts

_FAMILIES = ((4, "ip", "ipv4_addr"), (16, "ip6", "ipv6_addr"))
_GOES_ON = " tcp flags & (fin | syn | rst | ack) != syn"
_FRAME = """\
table inet branchline
delete table inet branchline
table inet branchline {
  counter spoofed { }
  counter denied { }
%s
  chain allowed {
%s
  }

  chain answers {
    ct state established,related accept
    meta nfproto ipv4 icmp type { echo-reply, destination-unreachable, time-exceeded, \
parameter-problem } accept
    icmpv6 type { echo-reply, destination-unreachable, packet-too-big, time-exceeded, \
parameter-problem } accept
  }

  chain spoofed {
    iifname { %s } ip saddr @own_4 counter name "spoofed" drop
    iifname { %s } ip6 saddr @own_6 counter name "spoofed" drop
    iifname != { %s } ip saddr != @own_4 counter name "spoofed" drop
    iifname != { %s } ip6 saddr != @own_6 counter name "spoofed" drop
    rt seg-left > 0 counter name "denied" drop
  }

  chain forward {
    type filter hook forward priority filter; policy accept;
    iifname != { %s } oifname != { %s } accept
    jump spoofed
    iifname { %s } oifname { %s } counter name "denied" drop
    jump answers
    jump allowed
    counter name "denied" drop
  }

  chain input {
    type filter hook input priority filter; policy accept;
    iifname != { %s } accept
    ip6 saddr fe80::/10 udp dport 6696 accept
    ip6 saddr fe80::/10 meta l4proto ipv6-icmp accept
    jump spoofed
    jump answers
    meta nfproto ipv4 icmp type echo-request accept
    icmpv6 type echo-request accept
    jump allowed
    counter name "denied" drop
  }
}
"""


def nft_text(table, devices):
    """What `nft -f` loads in one step, in place of the table that is there: the rules of a
    filter.table.Table for packets of the devices of these names."""
    names = ", ".join(['"' + device + '"' for device in devices])
    sets = _sets("own", table.own)
    for name in sorted(table.peers):
        sets.extend(_sets("to_" + name, table.peers[name]))
    rules = []
    for rule in table.rules:
        rules.extend(_rule(table, *rule))
    return _FRAME % (("\n".join(sets), "\n".join(rules)) + (names,) * 9)


def _sets(name, prefixes):
    """The set of IPv4 prefixes and that of IPv6 ones."""
    lines = []
    for size, _, kind in _FAMILIES:
        elements = ", ".join(texts(prefixes, size))
        content = " elements = { " + elements + " };" if elements else ""
        number = 4 if size == 4 else 6
        lines.append("  set %s_%d { type %s; flags interval;%s }" % (name, number, kind, content))
    return lines


def _rule(table, outward, peers, services):
    lines = []
    for size, family, _ in _FAMILIES:
        if not table.peers[peers][size == 16] or not table.own[size == 16]:
            continue
        number = 4 if size == 4 else 6
        ways = (
            "%s saddr @own_%d %s daddr @to_%s_%d" % (family, number, family, peers, number),
            "%s saddr @to_%s_%d %s daddr @own_%d" % (family, peers, number, family, number),
        )
        there, back = ways if outward else reversed(ways)
        for i in range(0, len(services), SERVICE):
            request, answer = _service(services[i : i + SERVICE], size)
            lines.append("    " + there + request + " accept")
            if answer:
                lines.append("    " + back + answer + " accept")
    return lines


def _service(octets, size):
    """What requests and answers of a service match; answers of ICMP are accepted elsewhere."""
    protocol = octets[0]
    if protocol == ANY:
        return "", _GOES_ON
    if protocol == ICMP:
        return " meta l4proto " + ("icmp" if size == 4 else "ipv6-icmp"), ""
    name = "tcp" if protocol == TCP else "udp"
    extra = _GOES_ON if protocol == TCP else ""
    low, high = octets[1] << 8 | octets[2], octets[3] << 8 | octets[4]
    if (low, high) == (0, 65535):
        return " meta l4proto " + name, " meta l4proto " + name + extra
    ports = str(low) if low == high else "%d-%d" % (low, high)
    return " %s dport %s" % (name, ports), " %s sport %s" % (name, ports) + extra
