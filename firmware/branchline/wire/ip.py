"""IPv4 and IPv6 addresses and prefixes: text to packed octets and back, strictly.

A bad text raises ValueError, which says what is wrong without quoting it.
"""


def _number(text, limit, what):
    """Plain ASCII decimal without sign, blank or leading zero, at most `limit`."""
    if not 0 < len(text) < 6 or (text[0] == "0" and len(text) > 1):
        raise ValueError(what)
    value = 0
    for char in text:
        digit = ord(char) - 48
        if not 0 <= digit <= 9:
            raise ValueError(what)
        value = value * 10 + digit
    if value > limit:
        raise ValueError(what)
    return value


def parse_ipv4(text):
    """The 4 octets of dotted-quad text; no leading zeros, no short forms."""
    parts = text.split(".")
    if len(parts) != 4:
        raise ValueError("not an IPv4 address")
    return bytes([_number(part, 255, "not an IPv4 address") for part in parts])


def _groups(text):
    """The octets of colon-separated groups (none for ""); the last may be a dotted quad."""
    out = bytearray()
    if not text:
        return out
    parts = text.split(":")
    for i, part in enumerate(parts):
        if "." in part and i == len(parts) - 1:
            out.extend(parse_ipv4(part))
            continue
        if not 0 < len(part) < 5:
            raise ValueError("not an IPv6 address")
        value = 0
        for char in part.lower():
            digit = "0123456789abcdef".find(char)
            if digit < 0:
                raise ValueError("not an IPv6 address")
            value = value << 4 | digit
        out.append(value >> 8)
        out.append(value & 0xFF)
    return out


def parse_ipv6(text):
    """The 16 octets of RFC 4291 2.2 text, any of its three forms; no zone, no brackets."""
    cut = text.find("::")
    if cut < 0:
        out = _groups(text)
        if len(out) != 16:
            raise ValueError("not an IPv6 address")
        return bytes(out)
    head = _groups(text[:cut])
    tail = _groups(text[cut + 2 :])
    gap = 16 - len(head) - len(tail)
    # The double colon stands for at least one group, and a dotted quad only ends the whole.
    if gap < 2 or "." in text[:cut]:
        raise ValueError("not an IPv6 address")
    return bytes(head) + bytes(gap) + bytes(tail)


def parse_address(text):
    """The 4 or 16 octets of an IPv4 or IPv6 address."""
    return parse_ipv6(text) if ":" in text else parse_ipv4(text)


def _longest_zeros(groups):
    """(start, length) of the first longest run of zero groups."""
    best = (0, 0)
    start = 0
    for i, group in enumerate(groups):
        if group:
            start = i + 1
        elif i + 1 - start > best[1]:
            best = (start, i + 1 - start)
    return best


def format_address(octets):
    """Canonical text (RFC 5952 for IPv6) of 4 or 16 octets (bytes-like)."""
    if len(octets) == 4:
        return ".".join([str(octet) for octet in octets])
    if len(octets) != 16:
        raise ValueError("an address has 4 or 16 octets")
    groups = [octets[i] << 8 | octets[i + 1] for i in range(0, 16, 2)]
    start, length = _longest_zeros(groups)
    # RFC 5952 5: an IPv4-mapped address keeps its dotted quad.
    if start == 0 and length == 5 and groups[5] == 0xFFFF:
        return "::ffff:" + format_address(octets[12:])
    texts = ["{:x}".format(group) for group in groups]
    if length < 2:
        return ":".join(texts)
    return ":".join(texts[:start]) + "::" + ":".join(texts[start + length :])


def masked(octets, plen):
    """The octets with all bits behind the first plen cleared."""
    out = bytearray(octets)
    for i in range(len(out)):
        keep = min(max(plen - 8 * i, 0), 8)
        out[i] &= 0xFF00 >> keep
    return bytes(out)


def parse_prefix(text):
    """(octets, plen) of "10.0.0.0/8" or "fd00::/8"; a bare address is a host prefix.

    Host bits must be zero: a prefix is written the one way in which it is compared.
    """
    address, slash, length = text.partition("/")
    octets = parse_address(address)
    bits = 8 * len(octets)
    plen = _number(length, bits, "bad prefix length") if slash else bits
    if masked(octets, plen) != octets:
        raise ValueError("bits behind the prefix length are set")
    return octets, plen


def format_prefix(octets, plen):
    """Text such as "10.0.0.0/8"."""
    return format_address(octets) + "/" + str(plen)


def netmask_length(octets):
    """The prefix length of a netmask of 4 octets; ValueError if its ones have gaps."""
    value = int.from_bytes(octets, "big")
    plen = 0
    while plen < 32 and value >> (31 - plen) & 1:
        plen += 1
    if value != (0xFFFFFFFF << (32 - plen)) & 0xFFFFFFFF:
        raise ValueError("not a netmask")
    return plen


def is_link_local(octets):
    """Whether an address is of IPv6 and lies in fe80::/10."""
    return len(octets) == 16 and octets[0] == 0xFE and octets[1] & 0xC0 == 0x80
